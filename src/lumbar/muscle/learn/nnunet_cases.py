"""Training cases for nnU-Net: whole volumes in four contrasts, or random views if there are few people."""

from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path

import numpy as np

from lumbar.datasets.myosegmentum import read_dixon
from lumbar.datasets.nnunet_raw import RawCase
from lumbar.domain.geometry import BACK, HEAD, LEFT, Grid
from lumbar.domain.volume import Volume
from lumbar.metrics.segmentation import brought_onto
from lumbar.muscle.axial import to_axial
from lumbar.muscle.learn.data import on_one_scale
from lumbar.muscle.learn.synthesis import contrasts
from lumbar.muscle.learn.train import MuscleTraining, RandomAxialViews
from lumbar.muscle.learn.views import AxialSlice

_STACK, _STEP_MM = 16, 4.0  # views per case, and their nominal distance


def subject_cases(folders: Sequence[Path]) -> Iterator[RawCase]:
    """Each subject of folders of Dixon pairs in four contrasts, slices foot to head, rows front to back, columns right to left."""
    for folder in folders:
        for case in read_dixon(folder):
            axial = to_axial(case.water)
            labels = Volume(np.asarray(brought_onto(axial.grid, case.mask).array, np.uint8), axial.grid)
            water, fat = on_one_scale(case.water, case.fat, labels)
            for contrast, image in contrasts(water, fat).items():
                yield RawCase(f"{folder.name}-{case.subject}-{contrast}".replace("_", "-"), Volume(image, axial.grid), labels)


def view_cases(examples: list[AxialSlice], count: int, config: MuscleTraining) -> Iterator[RawCase]:
    """`count` random views of `examples`, augmented as in `lumbar.muscle.learn.train`, in stacks: more shapes, fat and contrasts than few people have."""
    views = iter(RandomAxialViews(examples, config))
    for number in range(ceil(count / _STACK)):
        pairs = [next(views) for _ in range(_STACK)]
        images, labels = (np.stack([np.asarray(pair[k]) for pair in pairs]) for k in (0, 1))
        rows, columns = config.view
        origins = _STEP_MM * np.arange(_STACK)[:, None] * np.array(HEAD)
        grid = Grid(origins, config.pixel_mm * np.array(BACK), config.pixel_mm * np.array(LEFT), rows, columns)
        yield RawCase(f"views-{number:05d}", Volume(images[:, 0], grid), Volume(labels.astype(np.uint8), grid))
