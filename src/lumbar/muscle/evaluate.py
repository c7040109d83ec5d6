"""Evaluation of muscle masks and volumes against a reference."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Muscle, Side
from lumbar.domain.volume import Volume
from lumbar.errors import UnreadableInput
from lumbar.metrics.agreement import Agreement, agreement
from lumbar.metrics.segmentation import LabelScore, score_labels
from lumbar.muscle.labels import LABELS

Pairs = tuple[NDArray[np.float64], NDArray[np.float64]]  # reference and measured values, case by case


@dataclass(frozen=True)
class MaskEvaluation:
    """Scores of one pair of masks."""

    scores: tuple[LabelScore, ...]  # in the order of the labels
    mean_dice: float | None  # over the labels present in either mask


@dataclass(frozen=True)
class VolumeAgreement:
    """Agreement of one label's values over many cases."""

    label: int
    muscle: Muscle
    side: Side
    agreement: Agreement


def evaluate_masks(reference: Volume, prediction: Volume) -> MaskEvaluation:
    """Score each of the four labels.

    Raises:
        GeometryError: the masks lie on different grids.
        UnreadableInput: a mask contains labels of no muscle, or none at all.
    """
    for name, mask in (("reference", reference), ("prediction", prediction)):
        odd = sorted(set(np.unique(mask.array).tolist()) - {0, *LABELS})
        if odd:
            raise UnreadableInput(f"the {name} mask has the labels {odd}; muscle masks have 1 to 4 (right erector spinae, right and left multifidus, left)")
    scores = score_labels(reference, prediction, tuple(LABELS))
    dices = [score.dice for score in scores if score.dice is not None]
    return MaskEvaluation(scores, float(np.mean(dices)) if dices else None)


def evaluate_pairs(pairs: Mapping[int, Pairs], margin_share: float = 0.05) -> tuple[VolumeAgreement, ...]:
    """Agreement of measured with reference values for every label.

    Raises:
        UsageError: fewer than three cases, or values that are not numbers.
    """
    return tuple(VolumeAgreement(label, *LABELS[label], agreement(*pairs[label], margin_share)) for label in sorted(pairs))
