"""Quality of each mask without a reference: the Dice to expect between it and a reader's.

Two signals are combined. Agreement is the Dice of the networks' own masks (of three or more, the mean over their pairs); networks that were trained on
different people, and on mirrored slices, differ where the image is ambiguous (Roy et al., NeuroImage 2019). Certainty is the Dice of the mask with the
probabilities it was made from, which is low where they lie near one half over much of the muscle. A line fitted to masks of people left out of training
(`recipes/muscle/doubt.py`) turns both into a Dice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lumbar.muscle.labels import MIRRORED

DOUBTFUL = 0.86  # masks with a lower expected Dice are marked; recipes/muscle/doubt.py measures the accuracy of this mark
_OFFSET, _OF_AGREEMENT, _OF_CERTAINTY = -0.13, 0.53, 0.57  # fitted to masks of half of the people; the other half measured them


@dataclass(frozen=True, eq=False)
class MaskAgreement:
    """Overlap of the networks' masks, and certainty of the mask made from them, on the slices of the axial volume."""

    shared: NDArray[np.float64]  # (slices, classes) pixels that two networks' masks share, added over their pairs
    total: NDArray[np.float64]  # (slices, classes) mean of both masks' pixels, added over the pairs
    inside: NDArray[np.float64]  # (slices, classes) probability added up over the mask
    either: NDArray[np.float64]  # (slices, classes) mean of the mask's pixels and of the probability added up over the slice

    def of(self, label: int, k: int | None = None) -> float | None:
        """Dice between the networks over all slices, or on slice `k`; None where no network predicted the label."""
        return _share(self.shared, self.total, label, k)

    def certainty(self, label: int, k: int | None = None) -> float | None:
        """Dice of the mask with its probabilities over all slices, or on slice `k`; None where there are none."""
        return _share(self.inside, self.either, label, k)

    def expected_dice(self, label: int, k: int | None = None) -> float | None:
        """Dice to expect against a reader's mask, over all slices or on slice `k`."""
        agreed, certain = self.of(label, k), self.certainty(label, k)
        if agreed is None or certain is None:
            return None
        return float(np.clip(_OFFSET + _OF_AGREEMENT * agreed + _OF_CERTAINTY * certain, 0, 1))


def _share(part: NDArray[np.float64], whole: NDArray[np.float64], label: int, k: int | None) -> float | None:
    chosen = slice(None) if k is None else slice(k, k + 1)
    total = float(whole[chosen, label].sum())
    return float(part[chosen, label].sum()) / total if total > 0 else None


def agreement_of(masks: Sequence[NDArray[np.uint8]], chances: NDArray[np.float32], kept: NDArray[np.int64], slices: int) -> MaskAgreement:
    """Agreement and certainty of the networks' masks (kept slices, rows, columns) and the probabilities (kept slices, classes, rows, columns) of their mean.

    `kept` are the numbers of the masks' slices among `slices`.
    """
    shared, total, inside, either = (np.zeros((slices, len(MIRRORED)), np.float64) for _ in range(4))
    for one, other in combinations(masks, 2):
        for label in range(1, len(MIRRORED)):
            a, b = one == label, other == label
            shared[kept, label] += (a & b).sum(axis=(1, 2))
            total[kept, label] += (a.sum(axis=(1, 2)) + b.sum(axis=(1, 2))) / 2
    for k, chance in zip(kept, chances, strict=True):
        mask = chance.argmax(axis=0)
        for label in range(1, len(chance)):
            where = mask == label
            inside[k, label] = chance[label][where].sum(dtype=np.float64)
            either[k, label] = (where.sum() + chance[label].sum(dtype=np.float64)) / 2
    return MaskAgreement(shared, total, inside, either)
