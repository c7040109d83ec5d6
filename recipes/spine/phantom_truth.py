"""True measurements of a phantom by the definitions of docs/reference/measurements.md: from frames and fine planes of labels."""

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.phantom.anatomy import Anatomy, Disc, Vertebra
from lumbar.phantom.canvas import Plane
from lumbar.phantom.labels import BODY, CANAL, DISC, POSTERIOR
from lumbar.phantom.render import render_labels
from lumbar.phantom.truth import disc_height_mm, lower_plate_back

PIXEL_MM = 0.25
JOINED_MM = 1.5
SIDES = {"left": 1.0, "right": -1.0}
COLUMN = [*BODY.values(), *DISC.values()]


def measurements(anatomy: Anatomy) -> dict[str, dict[str, float]]:
    """Field name → level or vertebra → value; `total_lordosis_degrees` and `sacral_slope_degrees` have the key "all"."""
    found: dict[str, dict[str, float]] = {}
    for level in Level:
        disc, upper, lower = anatomy.disc(level.value), anatomy.vertebra(level.upper.value), anatomy.vertebra(level.lower.value)
        heights = [disc_height_mm(anatomy, disc, share * disc.half_depth_mm) for share in (-0.6, 0.0, 0.6)]
        values = {
            "disc_height_mm": float(np.mean(heights)),
            "canal_ap_mm": canal_mm(anatomy, disc),
            "segmental_lordosis_degrees": segment_degrees(upper, lower),
        }
        if level is not Level.L5_S1:
            values["slip_mm"] = slip_mm(anatomy, level)
            for side, sign in SIDES.items():
                values |= {f"foramen_{name}_{side}_{unit}": value for (name, unit), value in foramen(anatomy, disc, upper, sign).items()}
        for name, value in values.items():
            found.setdefault(name, {})[level.value] = value
    for name in ("L1", "L2", "L3", "L4", "L5"):
        found.setdefault("wedge_degrees", {})[name] = 2 * plate_degrees(anatomy.vertebra(name))
        found.setdefault("bony_canal_ap_mm", {})[name] = bony_canal_mm(anatomy, anatomy.vertebra(name))
    found["total_lordosis_degrees"] = {"all": segment_degrees(anatomy.vertebra("L1"), anatomy.vertebra("S1"))}
    found["sacral_slope_degrees"] = {"all": tilt_degrees(anatomy.vertebra("S1")) - plate_degrees(anatomy.vertebra("S1"))}
    return found


def coronal_tilt_degrees(disc: Disc) -> float:
    """Coronal tilt of a disc, positive when the patient's left is higher."""
    normal = disc.frame.axes[2]
    return float(np.degrees(np.arctan2(-normal[0], normal[2])))


def tilt_degrees(vertebra: Vertebra) -> float:
    """Tilt of the mid-plane against the horizontal; positive when the front is lower."""
    back = vertebra.frame.axes[1]
    return float(np.degrees(np.arctan2(back[2], np.hypot(back[0], back[1]))))


def plate_degrees(vertebra: Vertebra) -> float:
    """Angle of each endplate against the mid-plane."""
    return float(np.degrees(np.arctan(vertebra.wedge / 2)))


def segment_degrees(upper: Vertebra, lower: Vertebra) -> float:
    """Lordosis from the upper endplate of `upper` to the lower endplate of `lower`, of S1 the upper one."""
    foot = tilt_degrees(lower) + plate_degrees(lower) * (-1 if lower.name == "S1" else 1)
    return foot - (tilt_degrees(upper) - plate_degrees(upper))


def slip_mm(anatomy: Anatomy, level: Level) -> float:
    """Forward shift of the upper body against the lower one, in addition to the usual step."""
    number = [disc.name for disc in anatomy.discs].index(level.value)
    lower = anatomy.vertebrae[number + 1]
    away = lower.frame.to_local(lower_plate_back(anatomy, number)) - np.array([0.0, lower.half_depth_mm * (1 + lower.taper), 0.0])
    return float(-away[1])


def canal_mm(anatomy: Anatomy, disc: Disc) -> float:
    """Narrowest width of the dural sac over the height of the disc, perpendicular to the sac, in the middle of the sac."""
    span = np.array([disc.half_depth_mm - 8.0, -22.0])
    labels = _plane(anatomy, disc, 0.0, span, (44.0, 40.0))
    rows = np.arange(labels.shape[0]) * PIXEL_MM + span[1]
    inside = labels == CANAL
    seen = inside.any(axis=1)
    if not seen.any():
        return float("nan")
    middle = np.array([np.flatnonzero(row).mean() if row.any() else np.nan for row in inside]) * PIXEL_MM
    near = seen & (np.abs(rows) <= 12.0)
    slope = np.polyfit(rows[near], middle[near], 1)[0]
    width = inside.sum(axis=1) * PIXEL_MM * np.cos(np.arctan(slope))
    half = max(2.0, 0.5 * disc_height_mm(anatomy, disc, 0.6 * disc.half_depth_mm))
    return float(width[seen & (np.abs(rows) <= half)].min(initial=np.inf))


def bony_canal_mm(anatomy: Anatomy, vertebra: Vertebra) -> float:
    """Distance from the middle of the body's back wall to the nearest posterior elements behind it, in the vertebra's mid-sagittal plane."""
    axes = vertebra.frame.axes
    rows, columns = (round(length / PIXEL_MM) for length in (44.0, 60.0))
    origin = vertebra.frame.to_world(np.array([0.0, 0.0, 22.0]))
    labels = render_labels(anatomy, Plane(origin, -axes[2] * PIXEL_MM, axes[1] * PIXEL_MM, rows, columns))
    wall = float(np.flatnonzero(labels[rows // 2] == BODY[vertebra.name])[-1])
    bone = np.argwhere(np.isin(labels, list(POSTERIOR.values()))) - (rows // 2, wall)
    within = bone[np.abs(bone[:, 0]) <= np.abs(bone[:, 1])]  # at most 45° upwards or downwards
    return float(np.linalg.norm(within, axis=1).min(initial=np.inf)) * PIXEL_MM


def foramen(anatomy: Anatomy, disc: Disc, upper: Vertebra, side: float) -> dict[tuple[str, str], float]:
    """Height, narrowest width and area in the sagittal plane through the axis of the pedicles; NaN where no pedicle closes it."""
    labels = _plane(anatomy, disc, side * upper.pedicle_mm[0], np.array([0.0, -30.0]), (55.0, 60.0))
    column, posterior = np.isin(labels, COLUMN), np.isin(labels, list(POSTERIOR.values()))
    widths = np.array([_free(c, p) for c, p in zip(column, posterior, strict=True)])
    middle = len(widths) // 2
    joined = widths <= JOINED_MM
    nothing = dict.fromkeys((("height", "mm"), ("width", "mm"), ("area", "mm2")), float("nan"))
    if joined[middle] or not joined[:middle].any() or not joined[middle:].any():
        return nothing
    top, foot = int(np.flatnonzero(joined[:middle])[-1]) + 1, middle + int(np.flatnonzero(joined[middle:])[0])
    inside, edge = widths[top:foot], round(0.15 * (foot - top))
    if not np.isfinite(inside).all():
        return nothing | {("height", "mm"): (foot - top) * PIXEL_MM}
    return {
        ("height", "mm"): (foot - top) * PIXEL_MM,
        ("width", "mm"): float(inside[edge : len(inside) - edge].min()),
        ("area", "mm2"): float(inside.sum() * PIXEL_MM),
    }


def _free(column: NDArray[np.bool_], posterior: NDArray[np.bool_]) -> float:
    ends = np.flatnonzero(column)
    behind = np.flatnonzero(posterior[ends[-1] :]) if len(ends) else []
    return float(behind[0]) * PIXEL_MM if len(behind) else float("inf")


def _plane(anatomy: Anatomy, disc: Disc, aside_mm: float, start: NDArray[np.float64], size_mm: tuple[float, float]) -> NDArray[np.uint8]:
    """Labels (rows from head to foot, columns from front to back) of a sagittal plane of the disc; `start` is its first column and row in mm."""
    axes = disc.frame.axes
    origin = disc.frame.to_world(np.array([aside_mm, start[0], -start[1]]))
    columns, rows = (round(length / PIXEL_MM) for length in size_mm)
    return np.asarray(render_labels(anatomy, Plane(origin, -axes[2] * PIXEL_MM, axes[1] * PIXEL_MM, rows, columns)))
