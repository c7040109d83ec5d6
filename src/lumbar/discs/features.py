"""Features of a disc: signal relative to CSF and bone, contrast of its core, height, and comparison with its neighbours.

Pfirrmann et al. (2001) grade on a mid-sagittal T2 image by signal, distinction of nucleus and annulus, and height. Each of these is measured here in the
frame of the disc, so that grades are explained by measurements.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.findings import LevelFinding
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import Outline, outline
from lumbar.spine.spine_map import SpineMap

_ACROSS, _DOWN = 25, 9  # samples over the depth and the height of a disc
_FLUID_REACH_MM = 60.0
_LEVELS = tuple(Level)

NAMES = (
    "core to CSF",
    "mean to CSF",
    "bright part to CSF",
    "dark part to CSF",
    "core to bone",
    "mean to bone",
    "core to rim",
    "core to its upper and lower border",
    "cleft",
    "unevenness",
    "front to back",
    "height index",
    "front height to depth",
    "middle height to depth",
    "back height to depth",
    "canal to depth",
    "slip",
    "core to the best disc",
    "height to the highest disc",
    *(f"is {level.value}" for level in _LEVELS),
)


@dataclass(frozen=True, eq=False)
class MeasuredDisc:
    """One named disc with its features, in the order of NAMES; NaN where not measured."""

    level: Level
    features: NDArray[np.float64]


def measure_discs(spine: SpineMap) -> list[MeasuredDisc]:
    """The features of every named disc of a sagittal T2 image or volume whose outline was found."""
    findings = {finding.level: finding for finding in spine.finding.levels}
    probability = spine.midplane.probabilities[SpineClass.DISC]
    rows: list[tuple[Level, list[float]]] = []
    for number, level in enumerate(spine.names.discs):
        shape = outline(spine.flat == 1 + number, probability)
        if level is not None and shape is not None and level in findings:
            rows.append((level, [*_signal(spine, number, shape), *_size(findings[level], shape)]))
    return [MeasuredDisc(level, np.array([*values, *others, *(float(level is v) for v in _LEVELS)])) for (level, values), others in _compared(rows)]


def _signal(spine: SpineMap, number: int, shape: Outline) -> list[float]:
    """Grey values of the disc relative to CSF and adjacent bodies, as logarithms of ratios."""
    image = spine.midplane.image
    disc = _sampled(image, shape)
    fluid = _fluid(spine, shape)
    bone = np.isin(spine.flat, (FIRST_BODY + number, FIRST_BODY + number + 1))
    marrow = float(np.median(image[bone])) if bone.any() else np.nan
    core = float(disc[3:6, 8:17].mean())
    rim = float(np.concatenate([disc[:, :4].ravel(), disc[:, -4:].ravel()]).mean())
    border = float(np.concatenate([disc[0, 6:19], disc[-1, 6:19]]).mean())
    cleft = float(disc[4, 8:17].mean()) - float(np.concatenate([disc[2, 8:17], disc[6, 8:17]]).mean())
    low, high = np.percentile(disc, (10, 90))
    mean = float(disc.mean())
    ratios = [_log(core, fluid), _log(mean, fluid), _log(high, fluid), _log(low, fluid), _log(core, marrow), _log(mean, marrow), _log(core, rim)]
    return [*ratios, _log(core, border), cleft / max(mean, 1e-6), float(disc.std()) / max(mean, 1e-6), _log(disc[:, :8].mean(), disc[:, -8:].mean())]


def _size(finding: LevelFinding, shape: Outline) -> list[float]:
    heights = finding.disc_mask_heights_mm or (np.nan, np.nan, np.nan)
    return [
        _number(finding.disc_mask_height_index),
        *(height / shape.depth_mm for height in heights),
        _number(finding.canal_ap_mm) / shape.depth_mm,
        _number(None if finding.level is Level.L5_S1 else finding.slip_percent) / 100,  # the models were fitted without the slip of L5
    ]


def _compared(rows: list[tuple[Level, list[float]]]) -> list[tuple[tuple[Level, list[float]], list[float]]]:
    """Core and height of each disc relative to the best of the image."""
    if not rows:
        return []
    core, height = NAMES.index("core to CSF"), NAMES.index("middle height to depth")
    best = [np.nanmax([values[place] for _, values in rows] + [-np.inf]) for place in (core, height)]
    return [(row, [row[1][core] - best[0], row[1][height] - best[1]]) for row in rows]


def _sampled(image: NDArray[np.float32], shape: Outline) -> NDArray[np.float64]:
    """(9, 25) grey values over the disc: rows from its upper to its lower border, columns from front to back, without a tenth of the depth at either end."""
    along = shape.offsets_mm[0] + np.linspace(0.1, 0.9, _ACROSS) * shape.depth_mm
    top, bottom = np.interp(along, shape.offsets_mm, shape.top_mm), np.interp(along, shape.offsets_mm, shape.bottom_mm)
    down = top + np.linspace(0.08, 0.92, _DOWN)[:, None] * (bottom - top)
    points = shape.center + along[None, :, None] * shape.across + down[..., None] * shape.down
    return np.asarray(ndimage.map_coordinates(image, np.moveaxis(points, -1, 0) / PIXEL_MM, order=1, mode="nearest", output=np.float64))


def _fluid(spine: SpineMap, shape: Outline) -> float:
    """Signal of CSF: the bright part of the canal near the disc, with few nerve roots."""
    canal = np.argwhere(spine.midplane.labels == SpineClass.CANAL)
    near = canal[np.linalg.norm(canal * PIXEL_MM - shape.center, axis=1) <= _FLUID_REACH_MM]
    return float(np.percentile(spine.midplane.image[tuple(near.T)], 85)) if len(near) >= 50 else float("nan")


def _log(value: float, reference: float) -> float:
    """Logarithm of a ratio of grey values, which are at least 1."""
    return float(np.log(max(value, 1.0) / max(reference, 1.0))) if np.isfinite(reference) else float("nan")


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)
