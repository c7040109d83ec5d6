"""Evaluation of muscle masks and volumes against a reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Muscle, Side
from lumbar.domain.volume import Volume
from lumbar.errors import UnreadableInput
from lumbar.imaging.orient import AXIAL_AXES, turned
from lumbar.metrics.agreement import Agreement, agreement
from lumbar.metrics.bootstrap import Interval, bootstrap_interval
from lumbar.metrics.segmentation import LabelScore, brought_onto, score_labels
from lumbar.muscle.labels import BACK, LABELS, MASK_LABELS

_LEAST = 3  # cases that agreement needs
Pairs = tuple[NDArray[np.float64], NDArray[np.float64]]  # reference and measured values, case by case


@dataclass(frozen=True)
class MaskEvaluation:
    """Scores of one pair of masks."""

    scores: tuple[LabelScore, ...]  # the back muscles, then psoas and vertebra if either mask has them
    mean_dice: float | None  # over the muscles that either mask has
    areas_mm2: dict[int, Pairs]  # label → its areas on every slice where either mask shows it


@dataclass(frozen=True)
class VolumeAgreement:
    """Agreement of one label's values over many cases."""

    label: int
    muscle: Muscle
    side: Side
    agreement: Agreement


def evaluate_masks(reference: Volume, prediction: Volume) -> MaskEvaluation:
    """Score each label: the four back muscles always, psoas and vertebral body where the reference has them: many readers do not outline these.

    Raises:
        GeometryError: the masks lie on different grids.
        UnreadableInput: a mask contains labels of no muscle, or none at all.
    """
    for name, mask in (("reference", reference), ("prediction", prediction)):
        odd = sorted(set(np.unique(mask.array).tolist()) - {0, *MASK_LABELS})
        if odd:
            raise UnreadableInput(f"the {name} mask has the labels {odd}; muscle masks have 1 to 7 (see `lumbar segment muscle --help`)")
    labels = [*BACK, *(n for n in MASK_LABELS if n not in BACK and (reference.array == n).any())]
    scores = score_labels(reference, prediction, labels)
    dices = [score.dice for score in scores if score.dice is not None and score.label in LABELS]
    areas = {label: _areas(reference, prediction, label) for label in labels}
    return MaskEvaluation(scores, float(np.mean(dices)) if dices else None, areas)


def _areas(reference: Volume, prediction: Volume, label: int) -> Pairs:
    """Areas in mm² of `label` on the axial slices of the reference on which either mask shows it."""
    axial = [turned(mask, AXIAL_AXES) for mask in (reference, brought_onto(reference.grid, prediction))]
    pixel_mm2 = float(np.prod(axial[0].grid.spacing_mm[1:]))
    both = [(np.asarray(mask.array) == label).sum(axis=(1, 2)) * pixel_mm2 for mask in axial]
    shown = (both[0] > 0) | (both[1] > 0)
    return both[0][shown].astype(np.float64), both[1][shown].astype(np.float64)


@dataclass(frozen=True)
class LabelSummary:
    """One label over several masks; each mean with its 95 % interval from resampling masks."""

    label: int
    dice: Interval | None
    hd95_mm: Interval | None
    surface_dice_1mm: Interval | None
    volume: Agreement | None  # ml; None for fewer than three masks, or single slices
    area: Agreement | None  # mm², all slices of all masks


def summarize(cases: Sequence[MaskEvaluation]) -> tuple[LabelSummary, ...]:
    """Summaries of every label that one of `cases` has."""
    labels = sorted({score.label for case in cases for score in case.scores})
    return tuple(_summary([case for case in cases if label in case.areas_mm2], label) for label in labels)


def _summary(cases: Sequence[MaskEvaluation], label: int) -> LabelSummary:
    scores = [next(score for score in case.scores if score.label == label) for case in cases]
    volumes = np.array([[score.reference_volume_ml, score.prediction_volume_ml] for score in scores])
    areas = [np.concatenate([case.areas_mm2[label][k] for case in cases]) for k in (0, 1)]
    return LabelSummary(
        label,
        _mean([score.dice for score in scores]),
        _mean([score.hd95_mm for score in scores]),
        _mean([score.surface_dice_1mm for score in scores]),
        agreement(volumes[:, 0], volumes[:, 1]) if len(cases) >= _LEAST and volumes.any() else None,
        agreement(areas[0], areas[1]) if len(areas[0]) >= _LEAST else None,
    )


def _mean(values: Sequence[float | None]) -> Interval | None:
    known = np.array([value for value in values if value is not None], np.float64)
    return bootstrap_interval(lambda rows: float(known[rows].mean()), np.arange(len(known))) if known.size else None


def evaluate_pairs(pairs: Mapping[int, Pairs], margin_share: float = 0.05) -> tuple[VolumeAgreement, ...]:
    """Agreement of measured with reference values for every label.

    Raises:
        UsageError: fewer than three cases, or values that are not numbers.
    """
    return tuple(VolumeAgreement(label, *LABELS[label], agreement(*pairs[label], margin_share)) for label in sorted(pairs))
