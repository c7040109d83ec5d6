"""Weighting from pixel data for series without it in their headers, using the other series; left unknown where uncertain."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.study import Plane, Series, Weighting
from lumbar.domain.volume import Volume
from lumbar.io.csf_brightness import SURE_LOG_ODDS, log_odds_of_bright_csf
from lumbar.io.roles import UNKNOWN_WEIGHTING, role_of

_CLEAR_DIFFERENCE = 2.5  # of log-odds between two sagittal series, one of which then is T2 and the other T1
# Fluid over other tissue that is dark in T1, as an axial series shows it: 4 in the T2 of the RSNA study, 1.2 in its T1 put in the axial's place.
_T2_AT_LEAST = 2.0
_T1_AT_MOST = 1.5
_FEWEST_COMMON = 500  # voxels


def settle(series: Sequence[Series]) -> tuple[Series, ...]:
    """The same series, with weighting and role where the images leave no doubt."""
    found = dict(enumerate(series))
    if not any(_open(one) for one in series):
        return tuple(series)
    sagittal = {index: one for index, one in found.items() if _open(one) and one.plane is Plane.SAGITTAL}
    found.update(_settle_sagittal(sagittal))
    for index, one in found.items():
        if _open(one) and one.plane is Plane.AXIAL:
            found[index] = _settle_axial(one, list(found.values()))
    return tuple(found.values())


def _open(one: Series) -> bool:
    return one.weighting is Weighting.UNKNOWN and UNKNOWN_WEIGHTING in one.reason


def _settle_sagittal(series: dict[int, Series]) -> dict[int, Series]:
    odds = {index: value for index, one in series.items() if (value := log_odds_of_bright_csf(_main(one))) is not None}
    if len(odds) == 2 and len(series) == 2:
        dark, bright = sorted(odds, key=lambda index: odds[index])
        if odds[bright] - odds[dark] >= _CLEAR_DIFFERENCE:
            return {
                bright: _decided(series[bright], Weighting.T2, "of the two sagittal series its fluid is the brighter (decided from the image)"),
                dark: _decided(series[dark], Weighting.T1, "of the two sagittal series its fluid is the darker (decided from the image)"),
            }
    settled: dict[int, Series] = {}
    for index, value in odds.items():
        if value >= SURE_LOG_ODDS:
            settled[index] = _decided(series[index], Weighting.T2, "its fluid is bright (decided from the image)")
        elif value <= -SURE_LOG_ODDS:
            settled[index] = _decided(series[index], Weighting.T1, "its fluid is dark (decided from the image)")
    return settled


def _settle_axial(axial: Series, others: Sequence[Series]) -> Series:
    """T1 or T2 by the brightness of fluid, which is dark on a sagittal T1 and brightest on a sagittal T2 or STIR."""
    dark = [one for one in others if one.plane is Plane.SAGITTAL and one.weighting is Weighting.T1]
    bright = [one for one in others if one.plane is Plane.SAGITTAL and one.weighting in (Weighting.T2, Weighting.STIR)]
    if not dark or not bright:
        return axial
    ratio = _fluid_ratio(axial, _main(dark[0]), _main(bright[0]))
    if ratio is None or _T1_AT_MOST < ratio < _T2_AT_LEAST:
        return axial
    weighting = Weighting.T2 if ratio >= _T2_AT_LEAST else Weighting.T1
    what = f"where the sagittal series show fluid it is {ratio:.1f} times as bright as other dark tissue (decided from the image)"
    return _decided(axial, weighting, what)


def _fluid_ratio(axial: Series, dark: Volume, bright: Volume) -> float | None:
    """How bright the axial series shows fluid, over how bright it shows other tissue that is dark in T1."""
    found: list[NDArray[np.float64]] = []
    for stack in axial.stacks:
        slices, rows, columns = stack.volume.array.shape
        index = np.stack(np.meshgrid(np.arange(slices), np.arange(0, rows, 3), np.arange(0, columns, 3), indexing="ij"), axis=-1).reshape(-1, 3)
        points = stack.volume.grid.points_mm(index)
        found.append(np.stack([stack.volume.array[tuple(index.T)], _nearest(dark, points), _nearest(bright, points)]))
    values = np.concatenate(found, axis=1)
    values = values[:, np.isfinite(values).all(axis=0)]
    if values.shape[1] < _FEWEST_COMMON:
        return None
    tissue = values[:, values[1] > 0.08 * np.percentile(values[1], 98)]
    axial_values, _, fluid_values = tissue[:, tissue[1] < np.median(tissue[1])]
    if len(axial_values) < _FEWEST_COMMON:
        return None
    fluid = np.median(axial_values[fluid_values > np.percentile(fluid_values, 97)])
    other = np.median(axial_values[fluid_values < np.percentile(fluid_values, 60)])
    return float(fluid / other) if other > 0 else None


def _nearest(volume: Volume, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of the nearest voxels, NaN outside."""
    index = np.round(volume.grid.indices(points_mm)).astype(int)
    inside = ((index >= 0) & (index < volume.array.shape)).all(axis=1)
    values = np.full(len(index), np.nan)
    values[inside] = volume.array[tuple(index[inside].T)]
    return values


def _main(one: Series) -> Volume:
    return one.largest_stack.volume


def _decided(one: Series, weighting: Weighting, why: str) -> Series:
    return replace(one, weighting=weighting, role=role_of(one.plane, weighting), reason=f"{one.reason}; {why}")
