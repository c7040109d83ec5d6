"""Planes of oblique series relative to the spine: axial slices cross it whatever its direction, oblique coronal slices run along it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lumbar.domain.findings import LevelFinding
from lumbar.domain.spine_axis import level_axes
from lumbar.domain.study import Plane, Role, Series, Study
from lumbar.io.roles import role_of

_STEEP = 0.94  # cosine to the body axis (20°) below which the plane is decided relative to the spine
_CROSSES = 0.71  # cosine of the angle between slice normal and spine, above which slices are axial


def with_planes_by_spine(study: Study, levels: Sequence[LevelFinding]) -> Study:
    """The study with planes and roles of oblique series decided relative to the spine instead of the scanner."""
    if len(levels) < 2:
        return study
    return replace(study, series=tuple(_judged(series, levels) for series in study.series))


def _judged(series: Series, levels: Sequence[LevelFinding]) -> Series:
    if series.plane is Plane.SAGITTAL or not series.usable:
        return series
    axes = level_axes(levels)
    votes = []
    for stack in series.stacks:
        grid = stack.volume.grid
        if max(abs(grid.normal[1]), abs(grid.normal[2])) >= _STEEP or abs(grid.normal[0]) > 0.5:
            continue
        nearest = min(levels, key=lambda level: float(np.linalg.norm(np.array(level.center_mm) - grid.center_mm)))
        votes.append(abs(float(grid.normal @ axes[nearest.level])))
    if not votes or len(votes) < len(series.stacks) / 2:
        return series
    plane = Plane.AXIAL if np.mean(votes) >= _CROSSES else Plane.CORONAL
    if plane is series.plane:
        return series
    degrees = np.degrees(np.arccos(np.clip(np.mean(votes), 0, 1)))
    reason = f"{series.reason}; {plane.value}, as its slices are at {90 - degrees:.0f}° to the spine"
    role = role_of(plane, series.weighting) if series.role is Role.OTHER or series.role is role_of(series.plane, series.weighting) else series.role
    return replace(series, plane=plane, role=role, reason=reason)
