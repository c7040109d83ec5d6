"""Crops of many studies in one memory-mapped array, so that training reads only the sampled crops.

FOLDER/crops.npy      (n, 5, slices, rows, columns) uint8, with a margin around the network's input
FOLDER/people.npz     one row per study: positions of the slices, age, sex, site, subject, labels of the levels
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.age.crops import LEVELS, CropOptions, Frame, SliceSet
from lumbar.age.engine import sex_value
from lumbar.errors import UsageError

MARGIN = 4  # pixels on every side, for shifts and rotations in training
_SLICES = 14  # most slices per level: those nearest to the midline
_LOW, _HIGH = -0.2, 1.5  # become 0 and 255


@dataclass(frozen=True, eq=False)
class Subject:
    """The person of a study."""

    subject: str
    site: str
    sex: str  # "F", "M" or "U"
    age_years: float
    repeat: str = "1"
    healthy: bool = True
    labels: tuple[tuple[float, ...], ...] = ()  # of each level, auxiliary targets beside the age; NaN where unknown


@dataclass(frozen=True, eq=False)
class CropStore:
    """Studies in order."""

    crops: NDArray[np.uint8]  # (n, 5, slices, rows, columns)
    position_mm: NDArray[np.float32]  # (n, 5, slices)
    present: NDArray[np.float32]  # (n, 5, slices)
    age_years: NDArray[np.float32]  # (n,)
    sex: NDArray[np.float32]  # (n,) as the network takes it
    subject: NDArray[np.str_]
    site: NDArray[np.str_]
    repeat: NDArray[np.str_]
    healthy: NDArray[np.bool_]
    labels: NDArray[np.float32]  # (n, 5, labels) of each level, auxiliary targets besides the age; NaN where unknown
    options: CropOptions  # of the network's input, without the margin

    def __len__(self) -> int:
        return len(self.age_years)

    def slices(self, number: int) -> SliceSet:
        """The crops of one study as a predictor takes them, without margin, in frames of a straight spine, as positions are not stored."""
        inner = self.crops[number, :, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
        present = self.present[number]
        images = unpacked(inner) * (present > 0)[..., None, None]
        frames = tuple(_upright(k) if present[k].any() else None for k in range(len(LEVELS)))
        return SliceSet(images.astype(np.float32), self.position_mm[number], present, frames, self.options)

    def rows(self, keep: NDArray[np.bool_]) -> "CropStore":
        """The studies for which `keep` (n,) holds, copied into memory."""
        columns: dict[str, Any] = {name: value[keep] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **columns)


def wide(options: CropOptions) -> CropOptions:
    """Crops with the margin of the store."""
    more = 2 * MARGIN
    return replace(options, rows=options.rows + more, columns=options.columns + more, ahead_mm=options.ahead_mm + MARGIN * options.pixel_mm)


def packed(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Grey values of crops as bytes."""
    return np.asarray(np.clip((images - _LOW) / (_HIGH - _LOW), 0, 1) * 255 + 0.5, dtype=np.uint8)


def unpacked(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The grey values that `packed` took."""
    return np.asarray(crops, dtype=np.float32) * np.float32((_HIGH - _LOW) / 255) + np.float32(_LOW)


def _upright(level: int) -> Frame:
    """The frame of a level in a straight spine with a disc every 37 mm."""
    return Frame(LEVELS[level], np.array([0.0, 0.0, -37.0 * level]), np.array([0.0, 0, -1]), np.array([0.0, 1, 0]), np.array([1.0, 0, 0]))


def write_store(folder: Path, studies: Iterable[tuple[Subject, SliceSet]], most: int, options: CropOptions) -> CropStore:
    """Keep up to `most` studies, whose crops were cut with `wide(options)`, in `folder`; returns the store.

    Raises:
        UsageError: there are no studies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    size = wide(options)
    shape = (most, len(LEVELS), _SLICES, size.rows, size.columns)
    crops = np.lib.format.open_memmap(folder / "crops.npy", mode="w+", dtype=np.uint8, shape=shape)
    position, present = np.zeros((2, *shape[:3]), dtype=np.float32)
    people: list[Subject] = []
    for number, (subject, slices) in enumerate(studies):
        for level in range(len(LEVELS)):
            slots = np.flatnonzero(slices.present[level])
            nearest = np.sort(slots[np.argsort(np.abs(slices.position_mm[level, slots]), kind="stable")[:_SLICES]])
            crops[number, level, : len(nearest)] = packed(slices.images[level, nearest])
            position[number, level, : len(nearest)], present[number, level, : len(nearest)] = slices.position_mm[level, nearest], 1
        people.append(subject)
    if not people:
        raise UsageError(f"there are no studies to store in {folder}")
    crops.flush()
    _write_people(folder, people, position[: len(people)], present[: len(people)])
    return open_store(folder, options)


def _write_people(folder: Path, people: list[Subject], position: NDArray[np.float32], present: NDArray[np.float32]) -> None:
    """The people of the studies; written last, so that an unfinished store is not mistaken for a complete one."""
    np.savez(
        folder / "people.npz",
        position_mm=position,
        present=present,
        age_years=np.array([p.age_years for p in people], dtype=np.float32),
        sex=np.array([sex_value(p.sex) for p in people], dtype=np.float32),
        subject=np.array([p.subject for p in people]),
        site=np.array([p.site for p in people]),
        repeat=np.array([p.repeat for p in people]),
        healthy=np.array([p.healthy for p in people]),
        labels=np.array([p.labels or ((),) * len(LEVELS) for p in people], dtype=np.float32),
    )


def open_store(folder: Path, options: CropOptions | None = None) -> CropStore:
    """An existing store."""
    with np.load(folder / "people.npz", allow_pickle=False) as people:
        columns = {name: people[name] for name in people.files}
    crops = np.load(folder / "crops.npy", mmap_mode="r", allow_pickle=False)[: len(columns["age_years"])]
    return CropStore(crops=crops, options=options or CropOptions(), **columns)
