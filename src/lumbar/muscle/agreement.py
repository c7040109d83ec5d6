"""Agreement of the networks of a model on each muscle: an estimate of mask quality without a reference.

Agreement is the Dice of the networks' own masks (of three or more, the mean over their pairs). Networks that were trained on different people, and on
mirrored slices, differ where the image is ambiguous (Roy et al., NeuroImage 2019, on agreement of samples as a predictor of Dice).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lumbar.muscle.labels import MIRRORED

DOUBTFUL = 0.8  # masks with a lower agreement are marked; recipes/muscle/reader_masks.py measures the accuracy of this mark


@dataclass(frozen=True, eq=False)
class MaskAgreement:
    """Overlap of the networks' masks, on the slices of the axial volume."""

    shared: NDArray[np.float64]  # (slices, classes) pixels that two networks' masks share, added over their pairs
    total: NDArray[np.float64]  # (slices, classes) mean of both masks' pixels, added over the pairs

    def of(self, label: int) -> float | None:
        """Dice over all slices; None where no network predicted the label."""
        return _share(float(self.shared[:, label].sum()), float(self.total[:, label].sum()))

    def on_slice(self, label: int, k: int) -> float | None:
        """Dice on slice `k`."""
        return _share(float(self.shared[k, label]), float(self.total[k, label]))


def _share(shared: float, total: float) -> float | None:
    return shared / total if total > 0 else None


def agreement_of(masks: Sequence[NDArray[np.uint8]], kept: NDArray[np.int64], slices: int) -> MaskAgreement:
    """Agreement of the networks' masks (kept slices, rows, columns); `kept` are the numbers of their slices among `slices`."""
    shared, total = (np.zeros((slices, len(MIRRORED)), np.float64) for _ in range(2))
    for one, other in combinations(masks, 2):
        for label in range(1, len(MIRRORED)):
            a, b = one == label, other == label
            shared[kept, label] += (a & b).sum(axis=(1, 2))
            total[kept, label] += (a.sum(axis=(1, 2)) + b.sum(axis=(1, 2))) / 2
    return MaskAgreement(shared, total)
