"""What nnU-Net gets to learn from: whole volumes of people in four contrasts."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lumbar.datasets.myosegmentum import read_dixon
from lumbar.datasets.nnunet_raw import RawCase
from lumbar.domain.volume import Volume
from lumbar.metrics.segmentation import brought_onto
from lumbar.muscle.axial import to_axial
from lumbar.muscle.learn.data import on_one_scale
from lumbar.muscle.learn.synthesis import contrasts


def subject_cases(folders: Sequence[Path]) -> Iterator[RawCase]:
    """Each subject of folders of Dixon pairs in four contrasts, slices foot to head, rows front to back, columns right to left."""
    for folder in folders:
        for case in read_dixon(folder):
            axial = to_axial(case.water)
            labels = Volume(np.asarray(brought_onto(axial.grid, case.mask).array, np.uint8), axial.grid)
            water, fat = on_one_scale(case.water, case.fat, labels)
            for contrast, image in contrasts(water, fat).items():
                yield RawCase(f"{folder.name}-{case.subject}-{contrast}".replace("_", "-"), Volume(image, axial.grid), labels)
