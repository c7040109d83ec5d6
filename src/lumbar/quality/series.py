"""Checks of series before anything is found in them: complete, evenly spaced, of a plausible size and place."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid
from lumbar.domain.quality import Check
from lumbar.domain.study import Plane, Role, Series, Study

_FIELD_MM = (60.0, 800.0)  # edge of an image: a cut axial block to a whole spine
_GAP_MM = (0.2, 30.0)  # between slices
_FARTHEST_MM = 3000.0  # from the middle of a scanner
_NARROWEST_MM = 30.0  # a sagittal series that shows both foramina is wider
_WHOLE = 0.1  # share of the spacing by which a gap of missing slices may miss a whole number
_UNEVEN = 0.1  # share of the spacing by which gaps of an even stack differ at most


def check_series(study: Study) -> Iterator[Check]:
    """One entry or more for each of `series_complete`, `spacing_even` and `positions_plausible`; series without a use are not checked."""
    used = [series for series in study.series if series.role is not Role.OTHER]
    for name, look, passed in (
        ("series_complete", _incomplete, "no slices are missing inside a series"),
        ("spacing_even", _uneven, "the slices of every series are evenly spaced"),
        ("positions_plausible", _implausible, "every series has the size of a body part and lies inside a scanner"),
    ):
        found = [Check(name, "doubtful", note, series.series_uid) for series in used for note in look(series)]
        yield from found or [Check(name, "passed", passed)]


def _gaps(grid: Grid) -> NDArray[np.float64]:
    return np.abs(np.diff(grid.origins_mm @ grid.normal))


def _incomplete(series: Series) -> Iterator[str]:
    missing = sum(_missing(stack.volume.grid) for stack in series.stacks)
    if missing:
        yield f"{missing} slices are missing between the first and the last of the {_name(series)} series"
    if series.plane is Plane.SAGITTAL:
        width = max((np.ptp(stack.volume.grid.origins_mm @ stack.volume.grid.normal) for stack in series.stacks), default=0.0)
        if width < _NARROWEST_MM:
            yield f"the {_name(series)} series is {width:.0f} mm wide, too narrow to show both sides of the spine"


def _missing(grid: Grid) -> int:
    gaps = _gaps(grid)
    if not gaps.size:
        return 0
    shares = gaps / np.median(gaps)
    whole = np.abs(shares - np.round(shares)) < _WHOLE
    return int((np.round(shares) - 1)[whole].clip(min=0).sum())


def _uneven(series: Series) -> Iterator[str]:
    for stack in series.stacks:
        gaps = _gaps(stack.volume.grid)
        if not gaps.size:
            continue
        shares = gaps / np.median(gaps)
        if (np.abs(shares - np.round(shares)).max() > _UNEVEN) or (np.round(shares) < 1).any():
            yield f"the slices of the {_name(series)} series lie {gaps.min():.1f} to {gaps.max():.1f} mm apart"
            return


def _implausible(series: Series) -> Iterator[str]:
    for stack in series.stacks:
        grid = stack.volume.grid
        between, row, column = grid.spacing_mm
        height, width = row * grid.rows, column * grid.columns
        if not (_FIELD_MM[0] <= height <= _FIELD_MM[1] and _FIELD_MM[0] <= width <= _FIELD_MM[1]):
            yield f"the images of the {_name(series)} series are {height:.0f} × {width:.0f} mm large, which no image of a lumbar spine is"
        elif len(grid.origins_mm) > 1 and not _GAP_MM[0] <= between <= _GAP_MM[1]:
            yield f"the slices of the {_name(series)} series lie {between:.2f} mm apart, which no protocol does"
        elif np.linalg.norm(grid.center_mm) > _FARTHEST_MM:
            yield f"the {_name(series)} series lies {np.linalg.norm(grid.center_mm) / 1000:.1f} m from the middle of the scanner"
        else:
            continue
        return


def _name(series: Series) -> str:
    return f"{series.plane.value} {series.weighting.value.replace('_', ' ')}"
