"""Positions of crops: the labelled points of a study, or the levels of the spine model."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from lumbar.datasets.rsna2024 import LabelPoint
from lumbar.domain.anatomy import Condition, Level, Side
from lumbar.domain.findings import LevelFinding
from lumbar.domain.geometry import LEFT, Points
from lumbar.domain.study import Role, Stack, Study
from lumbar.severity.axial.cut import FORAMEN_OFFSET_MM, RECESS_OFFSET_MM, cut_crops
from lumbar.severity.studies.view_cut import Spot, Spots
from lumbar.severity.studies.views import LEVELS, SLOTS, Slot, View

Stacks = Mapping[View, Sequence[tuple[str, Stack]]]  # (series, stack) that can show a view

_SIDES = {
    Condition.LEFT_NEURAL_FORAMINAL_NARROWING: (View.FORAMEN, Side.LEFT),
    Condition.RIGHT_NEURAL_FORAMINAL_NARROWING: (View.FORAMEN, Side.RIGHT),
    Condition.LEFT_SUBARTICULAR_STENOSIS: (View.AXIAL, Side.LEFT),
    Condition.RIGHT_SUBARTICULAR_STENOSIS: (View.AXIAL, Side.RIGHT),
}
# From the middle of the canal at the height of the disc to the middle of a foramen: aside, forwards, upwards.
_FORAMEN_MM = (FORAMEN_OFFSET_MM, -3.0, 4.0)
_ROLES = {View.CANAL: Role.SAGITTAL_T2, View.FORAMEN: Role.SAGITTAL_T1, View.AXIAL: Role.AXIAL_T2}
_FARTHEST_MM = 8.0  # of the nearest slice: levels further away lie outside the stack


def label_spots(points: Iterable[LabelPoint], stacks: Stacks) -> tuple[Spots, tuple[str, ...]]:
    """Spots at label points, and the problems of the others.

    An axial crop lies midway between the points of its two recesses. The position of a crop without a point of its own is derived from those of its level.
    """
    found: dict[tuple[Slot, Level], Spot] = {}
    recesses: dict[Level, dict[Side, Spot]] = {}
    problems = []
    for point in points:
        view, side = _SIDES.get(point.condition, (View.CANAL, None))
        spot = _marked(point, stacks[view])
        if spot is None:
            problems.append(f"{point.condition.value} {point.level.value}: no readable slice {point.instance_number} in series {point.series_id}")
        elif view is View.AXIAL and side is not None:
            recesses.setdefault(point.level, {})[side] = spot
        else:
            found[(view, side), point.level] = spot
    for level, pair in recesses.items():
        found[(View.AXIAL, None), level] = _between(pair)
    centers = {level: found[key].point_mm for level in LEVELS for key in (((View.AXIAL, None), level), ((View.CANAL, None), level)) if key in found}
    return {**_suggested(centers, stacks), **found}, tuple(problems)


def spine_spots(study: Study, levels: Sequence[LevelFinding]) -> Spots:
    """Spots at `levels` of the spine model; axial ones as in `cut_crops`."""
    axial = cut_crops(study, levels)
    found: dict[tuple[Slot, Level], Spot] = {
        ((View.AXIAL, None), place.level): Spot(crop.series.series_uid, crop.stack, crop.slice_number, crop.center_mm) for place, crop in axial.items()
    }
    centers = {place.level: np.array(place.canal_center_mm or place.center_mm) for place in levels}
    for place, crop in axial.items():
        centers[place.level][0] = crop.center_mm[0]  # lateral position from the axial image, which is more precise than from sagittal slices
    return {**_suggested(centers, study_stacks(study)), **found}


def study_stacks(study: Study) -> Stacks:
    """The stacks of a study by view."""
    return {view: [(series.series_uid, stack) for series in study.with_role(role) for stack in series.stacks] for view, role in _ROLES.items()}


def _marked(point: LabelPoint, stacks: Sequence[tuple[str, Stack]]) -> Spot | None:
    for series, stack in stacks:
        if series == point.series_id and point.instance_number in stack.instance_numbers:
            number = stack.instance_numbers.index(point.instance_number)
            return Spot(series, stack, number, stack.volume.grid.points_mm([number, point.y, point.x]))
    return None


def _between(pair: Mapping[Side, Spot]) -> Spot:
    """Midway between two recesses; beside one where the other is missing or lies on another slice."""
    left, right = pair.get(Side.LEFT), pair.get(Side.RIGHT)
    if left and right and (left.stack, left.slice_number) == (right.stack, right.slice_number):
        return Spot(left.series, left.stack, left.slice_number, (left.point_mm + right.point_mm) / 2)
    side, spot = next(iter(pair.items()))
    shift = (-1 if side is Side.LEFT else 1) * RECESS_OFFSET_MM * spot.stack.volume.grid.toward(LEFT)
    return Spot(spot.series, spot.stack, spot.slice_number, spot.point_mm + shift)


def _suggested(centers: Mapping[Level, Points], stacks: Stacks) -> dict[tuple[Slot, Level], Spot]:
    """Spots of all views around the middles of the canal."""
    result = {}
    for level, center in centers.items():
        for view, side in SLOTS:
            sign = 0 if side is None else 1 if side is Side.LEFT else -1
            point = center + (np.array(_FORAMEN_MM) * (sign, 1, 1) if side else 0.0)
            spot = _nearest(point, stacks[view])
            if spot is not None:
                result[(view, side), level] = spot
    return result


def _nearest(point: Points, stacks: Sequence[tuple[str, Stack]]) -> Spot | None:
    """The slice nearest to `point` in any of `stacks`, with the projection of the point."""
    best: tuple[float, Spot] | None = None
    for series, stack in stacks:
        found = stack.volume.grid.nearest_slice(point)
        if found.inside and found.distance_mm <= _FARTHEST_MM and (best is None or found.distance_mm < best[0]):
            best = found.distance_mm, Spot(series, stack, found.number, found.foot_mm)
    return best[1] if best else None
