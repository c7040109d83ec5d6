"""Features of the spine that change with age, each measured at the disc levels, so that the predicted age can be split into contributions.

| feature | meaning | changes with age because |
| --- | --- | --- |
| disc_to_marrow | logarithm of the disc's signal over that of the marrow beside it | discs lose water, marrow turns into fat (Ishijima et al., Spine 1996) |
| csf_to_marrow | the same of the CSF near the disc | marrow turns into fat |
| disc_height_to_depth | middle height of the disc's mask over its depth | discs lose height |
| canal_to_depth | depth of the canal over that of the disc | the canal narrows |
| body_flatness | short over long axis of the vertebral body above | bodies become lower and wider |
| dorsal_tissue | brightness behind the canal, in units of the image's own range | muscle turns into fat |
| network_l1_l3 … network_l5_s1 | age of the segment by the network of `AgeEngine` | |
| pfirrmann, narrowing, bulging, modic, endplate | expected grade, log odds of findings, of the disc grader where one is given | |
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.age.crops import LEVELS, SliceSet
from lumbar.age.segments import SEGMENT_LEVELS, WHOLE
from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.findings import DiscGrades
from lumbar.domain.study import Weighting
from lumbar.domain.volume import Volume
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import outline
from lumbar.spine.spine_map import SpineMap

Array = NDArray[np.float64]
Grader = Callable[[SpineMap], Sequence[DiscGrades]]

SEEN = ("disc_to_marrow", "csf_to_marrow", "disc_height_to_depth", "canal_to_depth", "body_flatness", "dorsal_tissue")
NETWORK = tuple(f"network_{name.replace('-', '_').replace('/', '_').lower()}" for name in SEGMENT_LEVELS if name != WHOLE)
FINDINGS = ("narrowing", "bulging", "modic", "endplate")
GRADES = ("pfirrmann", *FINDINGS)
NAMES = (*SEEN, *NETWORK, *GRADES)

_FEWEST_PIXELS = 30
_MARROW_RIM = 2  # pixels of a body's border that are left out
_CSF_REACH_MM = 15.0
_MIDDLE_MM = 5.0  # slices this near to the midline show the tissue behind the canal
_DORSAL_MM = (35.0, 57.0)  # behind the middle of the disc
_LEAST_SIGNAL = 1e-3  # of the marrow's: keeps the logarithm of a black disc finite
_THICKEST_3D_MM = 2.5
_SURE = 0.01  # probabilities are clipped to this distance from 0 and 1


class Contrast(Enum):
    """Kinds of series with a scale of their own."""

    T2 = "t2"
    T2_3D = "t2_3d"
    T1 = "t1"


def contrast_of(weighting: Weighting, volume: Volume) -> Contrast | None:
    """The kind of a sagittal series; None for contrasts that the features were not checked on, such as STIR."""
    if weighting is Weighting.T1:
        return Contrast.T1
    if weighting is not Weighting.T2:
        return None
    thin = len(volume.array) > 1 and volume.grid.spacing_mm[0] <= _THICKEST_3D_MM
    return Contrast.T2_3D if thin else Contrast.T2


@dataclass(frozen=True, eq=False)
class AgeFeatures:
    """Features of one series."""

    values: Array  # (features, 5) in the order of NAMES and LEVELS; NaN where a level does not show it

    @property
    def means(self) -> Array:
        """(features,) mean over the levels; NaN where none shows the feature."""
        seen = np.isfinite(self.values)
        total = np.where(seen, self.values, 0).sum(axis=1)
        return np.where(seen.any(axis=1), total / np.maximum(seen.sum(axis=1), 1), np.nan)


def measure_features(spine: SpineMap, slices: SliceSet | None, segment_years: Mapping[str, float] | None, grades: Sequence[DiscGrades] = ()) -> AgeFeatures:
    """Measure one series.

    Args:
        spine: the mapped spine of this series.
        slices: its crops, for the tissue behind the canal; None leaves that out.
        segment_years: segment → age by the network; None leaves these out.
        grades: of its discs, if they were graded.
    """
    rows = dict.fromkeys(NAMES, np.full(len(LEVELS), np.nan))
    rows |= _measured(spine)
    if slices is not None:
        rows["dorsal_tissue"] = _dorsal_tissue(slices)
    for name, feature in zip((segment for segment in SEGMENT_LEVELS if segment != WHOLE), NETWORK, strict=True):
        if segment_years is not None and name in segment_years:
            rows[feature] = np.array([segment_years[name] if level in SEGMENT_LEVELS[name] else np.nan for level in LEVELS])
    rows |= _graded(grades)
    return AgeFeatures(np.stack([rows[name] for name in NAMES]))


def _measured(spine: SpineMap) -> dict[str, Array]:
    """Signal and shape at every named disc."""
    image, flat = spine.midplane.image, spine.flat
    canal = np.argwhere(spine.midplane.labels == SpineClass.CANAL)
    sizes = {finding.level: (finding.disc_mask_heights_mm, finding.canal_ap_mm) for finding in spine.finding.levels}
    probability = spine.midplane.probabilities[SpineClass.DISC]
    found = {name: np.full(len(LEVELS), np.nan) for name in SEEN}
    for number, level in enumerate(spine.names.discs):
        if level is None:
            continue
        column = LEVELS.index(level)
        bodies = [_inner(flat == FIRST_BODY + number + below) for below in (0, 1)]
        marrow = _median(image, bodies[0] | bodies[1])
        found["disc_to_marrow"][column] = _log_ratio(_median(image, flat == 1 + number), marrow)
        found["body_flatness"][column] = _flatness(flat == FIRST_BODY + number)
        shape = outline(flat == 1 + number, probability)
        if shape is None:
            continue
        near = canal[np.linalg.norm(canal * PIXEL_MM - shape.center, axis=1) <= _CSF_REACH_MM + shape.depth_mm / 2]
        csf = float(np.percentile(image[tuple(near.T)], 85)) if len(near) >= _FEWEST_PIXELS else np.nan
        found["csf_to_marrow"][column] = _log_ratio(csf, marrow)
        heights_mm, ap_mm = sizes.get(level, (None, None))
        found["disc_height_to_depth"][column] = np.nan if heights_mm is None else heights_mm[1] / shape.depth_mm
        found["canal_to_depth"][column] = np.nan if ap_mm is None else ap_mm / shape.depth_mm
    return found


def _inner(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(ndimage.binary_erosion(mask, iterations=_MARROW_RIM))


def _median(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    return float(np.median(image[mask])) if mask.sum() >= _FEWEST_PIXELS else float("nan")


def _log_ratio(signal: float, marrow: float) -> float:
    return float(np.log(max(signal / marrow, _LEAST_SIGNAL))) if np.isfinite(signal) and marrow > 0 else float("nan")


def _flatness(mask: NDArray[np.bool_]) -> float:
    """Short over long axis of the ellipse with the body's second moments."""
    places = np.argwhere(mask)
    if len(places) < _FEWEST_PIXELS or mask[0].any() or mask[-1].any():
        return float("nan")
    short, long = np.sqrt(np.linalg.eigvalsh(np.cov(places.T)))
    return float(short / max(long, 1e-6))


def _dorsal_tissue(slices: SliceSet) -> Array:
    """Median brightness behind the canal at each level, near the midline."""
    options = slices.options
    first, last = (round(options.middle[1] + mm / options.pixel_mm) for mm in _DORSAL_MM)
    found = np.full(len(LEVELS), np.nan)
    for level in range(len(LEVELS)):
        away = np.where(slices.present[level] > 0, np.abs(slices.position_mm[level]), np.inf)
        near = away <= max(_MIDDLE_MM, float(away.min()))
        if np.isfinite(away.min()):
            found[level] = np.median(slices.images[level, near, :, first:last])
    return found


def _graded(grades: Sequence[DiscGrades]) -> dict[str, Array]:
    found = {name: np.full(len(LEVELS), np.nan) for name in GRADES}
    for one in grades:
        column = LEVELS.index(one.level)
        found["pfirrmann"][column] = sum(int(grade) * p for grade, p in one.probabilities.items())
        for name in FINDINGS:
            probability = getattr(one, name)
            if probability is not None:
                held = min(max(probability, _SURE), 1 - _SURE)
                found[name][column] = np.log(held / (1 - held))
    return found


def level_names() -> tuple[str, ...]:
    """The shown names of the levels, in the order of the columns."""
    return tuple(level.value for level in Level)
