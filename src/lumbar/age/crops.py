"""The input of the age network: around each disc level, a crop of every sagittal slice near the midline, turned along the spine, in patient space.

A level's frame has its origin in the middle of the disc; *down* runs along the spine through the discs above and below, *back* across it towards the
patient's back, both within the sagittal plane. So a crop shows the same anatomy at the same place whatever the scanner's field of view, the patient's
lordosis and the slices' spacing. Slices keep their own positions: there may be any number of them, each with its distance to the middle.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.domain.geometry import Points
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.imaging.orient import to_sagittal
from lumbar.imaging.rectangle import rectangle
from lumbar.imaging.resample import resize_image, resized_grid, sample

LEVELS = tuple(Level)
FloatImages = NDArray[np.float32]

_LOW_PERCENT, _HIGH_PERCENT = 2.0, 98.0  # become 0 and 1
_CLIP = (-0.2, 1.5)
_LEAST_LEVELS = 2  # a single level has no direction


@dataclass(frozen=True)
class CropOptions:
    """Size and reach of the crops."""

    rows: int = 40
    columns: int = 64
    pixel_mm: float = 1.375
    ahead_mm: float = 28.0  # from the front edge to the middle of the disc
    reach_mm: float = 18.0  # slices whose middle lies farther from the level's middle are left out

    @property
    def middle(self) -> tuple[float, float]:
        """(row, column) of the middle of the disc."""
        return (self.rows - 1) / 2, self.ahead_mm / self.pixel_mm


@dataclass(frozen=True, eq=False)
class Frame:
    """Position of one level's crops in the patient."""

    level: Level
    center_mm: Points  # (3,) LPS, the middle of the disc
    down: Points  # (3,) unit vectors
    back: Points
    left: Points

    def place_mm(self, points_mm: Points) -> Points:
        """(..., 3) of LPS points (..., 3): millimetres down, back and to the left of the middle of the disc."""
        return np.asarray((points_mm - self.center_mm) @ np.column_stack([self.down, self.back, self.left]))


@dataclass(frozen=True, eq=False)
class SliceSet:
    """Crops of one study, padded to the same number of slices at each level."""

    images: FloatImages  # (5, slices, rows, columns): 0 and 1 are the study's own dark and bright; 0 where there is no slice
    position_mm: NDArray[np.float32]  # (5, slices) to the patient's left of the level's middle
    present: NDArray[np.float32]  # (5, slices) 1 where there is a slice
    frames: tuple[Frame | None, ...]  # by level
    options: CropOptions

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels with at least one crop."""
        return tuple(level for level, frame in zip(LEVELS, self.frames, strict=True) if frame is not None)


def level_frames(points_mm: Mapping[Level, Points], normal: Points) -> dict[Level, Frame]:
    """Frames of levels whose discs lie at `points_mm` (LPS), for sagittal slices of unit `normal` (3,).

    The direction at a disc is the slope of the parabola through it and its neighbours, which follows the lordosis down to L5/S1.

    Raises:
        InputError: fewer than two levels.
    """
    levels = [level for level in LEVELS if level in points_mm]
    if len(levels) < _LEAST_LEVELS:
        found = ", ".join(level.value for level in levels) or "none"
        raise InputError(f"an age needs the places of at least {_LEAST_LEVELS} disc levels; found: {found}. Use a sagittal series of the whole lumbar spine")
    places = np.array([points_mm[level] for level in levels], dtype=np.float64)
    numbers = np.array([LEVELS.index(level) for level in levels], dtype=np.float64)
    slopes = np.gradient(places, numbers, axis=0, edge_order=2 if len(levels) > 2 else 1)
    left = normal if normal[0] > 0 else -normal
    frames = {}
    for level, place, slope in zip(levels, places, slopes, strict=True):
        down = slope - (slope @ left) * left
        down = down / np.linalg.norm(down)
        frames[level] = Frame(level, place, down, np.cross(left, down), left)
    return frames


def cut_slices(volume: Volume, points_mm: Mapping[Level, Points], options: CropOptions | None = None) -> SliceSet:
    """The crops of a sagittal `volume` whose disc middles lie at `points_mm`.

    Raises:
        InputError: fewer than two levels, or none of the levels lies within the volume.
        GeometryError: the slices are not sagittal and unevenly spaced.
    """
    options = options or CropOptions()
    turned = _coarse(to_sagittal(volume), options.pixel_mm)
    frames = level_frames(points_mm, turned.grid.normal)
    frames = {level: frame for level, frame in frames.items() if turned.grid.contains(frame.center_mm, margin_mm=options.reach_mm)}
    cut = {level: _cut_level(turned, frame, options) for level, frame in frames.items()}
    cut = {level: found for level, found in cut.items() if len(found[1])}
    if not cut:
        raise InputError("no sagittal slice shows any of the disc levels that were found; is this series of the same exam?")
    most = max(len(position) for _, position in cut.values())
    images = np.zeros((len(LEVELS), most, options.rows, options.columns), dtype=np.float32)
    position, present = np.zeros((2, len(LEVELS), most), dtype=np.float32)
    for level, (found, place) in cut.items():
        number = LEVELS.index(level)
        images[number, : len(place)], position[number, : len(place)], present[number, : len(place)] = found, place, 1
    return SliceSet(_scaled(images, present), position, present, tuple(frames[level] if level in cut else None for level in LEVELS), options)


def crop_points(frame: Frame, options: CropOptions) -> Points:
    """(rows, columns, 3) LPS points of the pixels of a level's crop in its middle plane."""
    down = (np.arange(options.rows) - options.middle[0]) * options.pixel_mm
    back = (np.arange(options.columns) - options.middle[1]) * options.pixel_mm
    return rectangle(frame.center_mm, down, frame.down, back, frame.back)


def _cut_level(volume: Volume, frame: Frame, options: CropOptions) -> tuple[FloatImages, NDArray[np.float32]]:
    """Crops (k, rows, columns) of the slices within reach, right to left, and the offset of each to the left of the middle (k,)."""
    grid = volume.grid
    offset_mm = (grid.origins_mm - frame.center_mm) @ frame.left
    near = np.flatnonzero(np.abs(offset_mm) <= options.reach_mm)
    if not len(near):  # use a thick or single slice just beyond the reach, if it is near
        near = np.array([int(np.abs(offset_mm).argmin())])
        if abs(offset_mm[near[0]]) > 1.5 * options.reach_mm:
            return np.zeros((0, options.rows, options.columns), dtype=np.float32), np.zeros(0, dtype=np.float32)
    middle = crop_points(frame, options)
    images = [sample(volume, middle + offset_mm[k] * frame.left) for k in near]
    return np.stack(images), offset_mm[near].astype(np.float32)


def _coarse(volume: Volume, pixel_mm: float) -> Volume:
    """The volume averaged to pixels of about `pixel_mm` where its own are finer, to avoid aliasing."""
    _, row_mm, column_mm = volume.grid.spacing_mm
    shape = volume.grid.rows, volume.grid.columns
    wanted = tuple(min(n, max(1, round(n * mm / pixel_mm))) for n, mm in zip(shape, (row_mm, column_mm), strict=True))
    if wanted == shape:
        return Volume(np.asarray(volume.array, dtype=np.float32), volume.grid)
    array = np.stack([resize_image(np.ascontiguousarray(image, dtype=np.float32), (wanted[0], wanted[1])) for image in volume.array])
    return Volume(array, resized_grid(volume.grid, (wanted[0], wanted[1])))


def _scaled(images: FloatImages, present: NDArray[np.float32]) -> FloatImages:
    """One scale for all crops of a study, so that contrast between levels and slices is preserved."""
    seen = images[present > 0]
    low, high = np.percentile(seen, (_LOW_PERCENT, _HIGH_PERCENT))
    scaled = np.clip((images - low) / max(float(high - low), 1e-6), *_CLIP)
    return np.asarray(scaled * (present > 0)[..., None, None], dtype=np.float32)
