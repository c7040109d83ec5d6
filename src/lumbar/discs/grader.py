"""Grades of discs from a mapped spine: the average of networks on disc crops and a logistic model of measurements, without PyTorch."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from lumbar.datasets.spider_gradings import FINDINGS as SPIDER_FINDINGS
from lumbar.discs.crops import BODY, CANAL, DISC, DiscCrops, cut_discs
from lumbar.discs.features import NAMES
from lumbar.discs.model import GRADES, PFIRRMANN, Floats, MeasuredGrades, median_grade
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import DiscGrades
from lumbar.errors import InputError
from lumbar.models.folder import Model
from lumbar.models.runtime import Network
from lumbar.spine.spine_map import SpineMap

CROPS, STEPS_UP, IMAGES, MEASUREMENTS, LOGITS = "crops", "steps_up", "pictures", "measurements", "logits"
FINDINGS = tuple(SPIDER_FINDINGS)  # in the order of the remaining outputs of the network

_LEVELS_UP = tuple(Level)[::-1]
# Logarithm of the CSF-to-marrow ratio below which an image is not T2-weighted: misclassifies two T1 images of 289 SPIDER images.
_LEAST_FLUID = 0.05
_MOST_FLUID = 1.85  # likewise for fat suppression: none of the 555 graded T2 images reaches it


class DiscGrader:
    """Pfirrmann grades and binary findings."""

    def __init__(self, model: Model) -> None:
        """Take the networks, if there are any, and the coefficients of `model`.

        Raises:
            ModelError: the coefficients are missing, or belong to other measurements.
        """
        self.model = model
        self._measured = MeasuredGrades(model)

    def grade(self, spine: SpineMap, in_distribution_only: bool = False) -> tuple[DiscGrades, ...]:
        """The grades of the named discs of `spine`, from head to foot; none where no disc has an outline.

        The Pfirrmann grade is the median of its probabilities, which minimises the expected absolute error.

        Raises:
            InputError: with `in_distribution_only`, the grades were not validated on this contrast.
        """
        try:
            discs = cut_discs(spine)
        except InputError:
            return ()
        if in_distribution_only and (doubt := doubt_of_contrast(discs.features)):
            raise InputError(doubt)
        lumbar = [row for row, steps in enumerate(discs.steps_up) if steps < len(_LEVELS_UP)]
        p = blended(self.network_probabilities(discs), self.measured_probabilities(discs))
        return tuple(_one(_LEVELS_UP[int(discs.steps_up[row])], p[row]) for row in reversed(lumbar))

    def network_probabilities(self, discs: DiscCrops) -> Floats | None:
        """(n, 5 + findings) mean over the networks; None where the model has none."""
        if not self.model.networks:
            return None
        return network_probabilities(self.model.networks, discs, network_measurements(discs, self._measured))

    def measured_probabilities(self, discs: DiscCrops) -> Floats | None:
        """(n, 5 + findings) from measurements only; None for an image that is not T2-weighted, where they are meaningless."""
        if not looks_t2(discs.features):
            return None
        p = self._measured.probabilities(discs.features.astype(float))
        return np.concatenate([p[PFIRRMANN], *(p[name][:, 1:] for name in FINDINGS)], axis=1)


def network_measurements(discs: DiscCrops, measured: MeasuredGrades) -> NDArray[np.float32]:
    """(n, k) measurements as network input; zeros for an image that is not T2-weighted."""
    scaled = measured.scaler.scaled(discs.features.astype(float)).astype(np.float32)
    return scaled if looks_t2(discs.features) else np.zeros_like(scaled)


def network_probabilities(networks: Sequence[Network], discs: DiscCrops, measurements: NDArray[np.float32]) -> Floats:
    """(n, 5 + findings) mean over `networks`, with mirror test-time augmentation from head to foot."""
    fixed: dict[str, NDArray[Any]] = {STEPS_UP: discs.steps_up, IMAGES: np.zeros(len(discs.steps_up), np.int64), MEASUREMENTS: measurements}
    outputs = [network.run({CROPS: crops, **fixed})[LOGITS].astype(float) for crops in _views(discs) for network in networks]
    return np.asarray(np.mean([as_probabilities(logits) for logits in outputs], axis=0))


def as_probabilities(logits: Floats) -> Floats:
    """(n, 5 + findings): probabilities of the grades, then of the findings."""
    return np.concatenate([softmax(logits[:, :GRADES], axis=-1), 1 / (1 + np.exp(-logits[:, GRADES:]))], axis=1)


def blended(seen: Floats | None, measured: Floats | None) -> Floats:
    """The mean of both, where available: of the probabilities of the grades, and of the log-odds of the findings."""
    if seen is None or measured is None:
        either = measured if seen is None else seen
        if either is None:
            raise InputError("the discs of an image that is not T2-weighted cannot be graded from measurements only; use a model with networks")
        return either
    odds = (_log_odds(seen[:, GRADES:]) + _log_odds(measured[:, GRADES:])) / 2
    return np.concatenate([(seen[:, :GRADES] + measured[:, :GRADES]) / 2, 1 / (1 + np.exp(-odds))], axis=1)


def looks_t2(features: NDArray[np.float32]) -> bool:
    """Whether CSF is brighter than marrow in an image whose discs have `features` (n, k); true if not measurable."""
    return not _fluid(features) < _LEAST_FLUID


def doubt_of_contrast(features: NDArray[np.float32]) -> str | None:
    """Reason why grades from an image with these features (n, k) are unreliable; None if its contrast is like that of the validation images."""
    if not looks_t2(features):
        return "CSF is darker than marrow, and the grades were validated on T2-weighted images only"
    if _fluid(features) > _MOST_FLUID:
        return "marrow is darker than in any validation image: fat seems to be suppressed (STIR); use a T2-weighted series without fat suppression"
    return None


def _fluid(features: NDArray[np.float32]) -> float:
    """Logarithm of the CSF-to-marrow ratio, NaN if not measured."""
    fluid = features[:, NAMES.index("core to bone")] - features[:, NAMES.index("core to CSF")]
    known = fluid[np.isfinite(fluid)]
    return float(np.median(known)) if len(known) else float("nan")


def network_input(greys: NDArray[np.uint8], tissues: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 3, rows, columns): grey values around 0, the mask of the disc, and canal 1, bone -1."""
    marks = (tissues == CANAL).astype(np.float32) - (tissues == BODY)
    return np.stack([greys.astype(np.float32) / 100 - 1, (tissues == DISC).astype(np.float32), marks], axis=1)


def _views(discs: DiscCrops) -> Iterator[NDArray[np.float32]]:
    crops = network_input(discs.greys, discs.tissues)
    yield crops
    yield np.ascontiguousarray(crops[:, :, ::-1])


def _log_odds(p: Floats) -> Floats:
    clipped = np.clip(p, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _one(level: Level, p: Floats) -> DiscGrades:
    grades = p[:GRADES] / p[:GRADES].sum()
    findings: dict[str, Any] = {name: float(chance) for name, chance in zip(FINDINGS, p[GRADES:], strict=True)}
    return DiscGrades(level, median_grade(grades), {str(k + 1): float(v) for k, v in enumerate(grades)}, **findings)
