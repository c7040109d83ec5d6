"""Training cases for nnU-Net: whole volumes of people in four contrasts, and single slices of any contrast."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lumbar.datasets.muscle_slices import has_reader_slices, read_reader_slices
from lumbar.datasets.myosegmentum import read_dixon
from lumbar.datasets.nnunet_raw import RawCase
from lumbar.domain.volume import Volume
from lumbar.metrics.segmentation import brought_onto
from lumbar.muscle.axial import to_axial
from lumbar.muscle.labels import BACK
from lumbar.muscle.learn.data import on_one_scale
from lumbar.muscle.learn.synthesis import contrasts


def subject_cases(folders: Sequence[Path]) -> Iterator[RawCase]:
    """Each subject of folders of Dixon pairs in four contrasts, and each slice of folders of single slices, with the four back muscles.

    Slices run foot to head, rows front to back, columns right to left. Psoas and vertebra, which few data sets label, count as background.

    Raises:
        UnreadableInput: a folder holds neither.
    """
    for folder in folders:
        yield from _slices(folder) if has_reader_slices(folder) else _pairs(folder)


def _pairs(folder: Path) -> Iterator[RawCase]:
    for case in read_dixon(folder):
        axial = to_axial(case.water)
        labels = Volume(np.asarray(brought_onto(axial.grid, case.mask).array, np.uint8), axial.grid)
        water, fat = on_one_scale(case.water, case.fat, labels)
        for contrast, image in contrasts(water, fat).items():
            yield RawCase(_name(folder, f"{case.subject}-{contrast}"), Volume(image, axial.grid), labels)


def _slices(folder: Path) -> Iterator[RawCase]:
    for one in read_reader_slices(folder):
        image = one.volume
        labels = np.where(np.isin(one.labels, BACK), one.labels, 0).astype(np.uint8)
        yield RawCase(_name(folder, one.name), image, Volume(labels[None], image.grid))


def _name(folder: Path, case: str) -> str:
    return f"{folder.name}-{case}".replace("_", "-")
