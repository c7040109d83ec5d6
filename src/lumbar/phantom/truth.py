"""Ground truth of a phantom, independent of its images.

Lengths and areas are measured on the anatomy along fine probes (lines and planes of 0.1 to 0.5 mm), never on the rendered images or masks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Condition, Level
from lumbar.phantom.acquire import AcquiredSeries
from lumbar.phantom.anatomy import Anatomy, Disc
from lumbar.phantom.canvas import Plane
from lumbar.phantom.degeneration import CONDITIONS, LEVELS, Degeneration
from lumbar.phantom.labels import CANAL, DISC, MUSCLE, codebook
from lumbar.phantom.muscles import painted_fat_map
from lumbar.phantom.population import Person
from lumbar.phantom.render import render_labels
from lumbar.phantom.soft import Field

SCHEMA_VERSION = 1
_PROBE_MM = 0.1
_PLANE_MM = 0.75
_VOLUME_STEP_MM = 4.0


def truth_document(person: Person, degeneration: Degeneration, anatomy: Anatomy, site: str) -> dict[str, Any]:
    """Ground truth without image coordinates, ready for JSON; lengths in mm, areas in mm², volumes in ml."""
    return {
        "schema_version": SCHEMA_VERSION,
        "synthetic": True,
        "seed": person.seed,
        "site": site,
        "person": {"age_years": person.age_years, "sex": person.sex, "height_m": person.height_m, "acceleration_sd": round(person.acceleration, 4)},
        "variant": person.variant,
        "implants": [{"ends_mm": [_rounded(end) for end in part.ends_mm], "radius_mm": part.radius_mm} for part in anatomy.implants],
        "severity": _severity(degeneration),
        "discs": [_disc(anatomy, anatomy.disc(level.value)) for level in LEVELS],
        "vertebrae": [{"vertebra": v.name, "center_mm": _rounded(v.frame.center_mm), "height_mm": round(v.height_mm, 3)} for v in anatomy.vertebrae[2:9]],
        "muscles": muscle_truth(anatomy),
        "structures": codebook(),
    }


def _severity(degeneration: Degeneration) -> list[dict[str, Any]]:
    return [
        {
            "condition": condition.value,
            "level": level.value,
            "latent": round(float(degeneration.narrowing[i, j]), 4),
            "severity": degeneration.severity(condition, level).value,
        }
        for i, condition in enumerate(CONDITIONS)
        for j, level in enumerate(LEVELS)
    ]


def _disc(anatomy: Anatomy, disc: Disc) -> dict[str, Any]:
    index = anatomy.discs.index(disc)
    upper, lower = anatomy.vertebrae[index], anatomy.vertebrae[index + 1]
    slip = float((lower.frame.to_local(lower_plate_back(anatomy, index)) - np.array([0.0, lower.half_depth_mm * (1 + lower.taper), 0.0]))[1])
    return {
        "level": disc.name,
        "center_mm": _rounded(disc.frame.center_mm),
        "canal_center_mm": _rounded(canal_point(anatomy, disc)),
        "canal_ap_mm": round(canal_ap_mm(anatomy, disc), 3),
        "disc_height_anterior_mm": round(disc_height_mm(anatomy, disc, -0.6 * disc.half_depth_mm), 3),  # at 20, 50 and 80 % of its depth
        "disc_height_middle_mm": round(disc_height_mm(anatomy, disc, 0.0), 3),
        "disc_height_posterior_mm": round(disc_height_mm(anatomy, disc, 0.6 * disc.half_depth_mm), 3),
        "degeneration": round(disc.degeneration, 4),
        "pfirrmann_grade": disc.pfirrmann_grade,
        "slip_mm": round(-slip, 3),
        "modic": max(upper.modic[1], lower.modic[0]),
        "schmorl_mm": round(max(upper.schmorl_mm[1], lower.schmorl_mm[0]), 2),
    }


def lower_plate_back(anatomy: Anatomy, index: int) -> NDArray[np.float64]:
    """The back corner of the lower endplate of vertebra `index`."""
    upper = anatomy.vertebrae[index]
    return upper.frame.to_world(np.array([0.0, upper.half_depth_mm, -upper.height_mm / 2]))


def canal_point(anatomy: Anatomy, disc: Disc) -> NDArray[np.float64]:
    """The middle of the dural sac at the height of a disc."""
    low, high = _canal_span(anatomy, disc)
    return disc.frame.to_world(np.array([0.0, (low + high) / 2, 0.0]))


def canal_ap_mm(anatomy: Anatomy, disc: Disc) -> float:
    """Depth of the dural sac in the midline, in the mid-plane of a disc."""
    low, high = _canal_span(anatomy, disc)
    return high - low


def _canal_span(anatomy: Anatomy, disc: Disc) -> tuple[float, float]:
    start = disc.half_depth_mm - 8.0
    hit = np.flatnonzero(_probe(anatomy, disc, np.array([0.0, start, 0.0]), 1, 40.0) == CANAL)
    if hit.size == 0:
        middle = disc.half_depth_mm + 8.0
        return middle, middle
    return start + (hit[0] - 0.5) * _PROBE_MM, start + (hit[-1] + 0.5) * _PROBE_MM


def disc_height_mm(anatomy: Anatomy, disc: Disc, behind_mm: float) -> float:
    """Height of a disc between its endplates, `behind_mm` behind its middle."""
    hit = _probe(anatomy, disc, np.array([0.0, behind_mm, -15.0]), 2, 30.0) == DISC[disc.name]
    return float(hit.sum() * _PROBE_MM)


def _probe(anatomy: Anatomy, disc: Disc, start: NDArray[np.float64], axis: int, length_mm: float) -> NDArray[np.uint8]:
    """Labels along a line in the disc's frame."""
    plane = Plane(disc.frame.to_world(start), disc.frame.axes[axis] * _PROBE_MM, disc.frame.axes[0] * _PROBE_MM, int(length_mm / _PROBE_MM), 1)
    return np.asarray(render_labels(anatomy, plane)[:, 0])


def muscle_truth(anatomy: Anatomy) -> list[dict[str, Any]]:
    """Size and fat of each muscle and side: per disc level on horizontal planes, and between the outermost two levels."""
    heights = [anatomy.disc(level.value).frame.center_mm[2] for level in LEVELS]
    at_level = [muscle_sections(anatomy, z) for z in heights]
    between = np.arange(heights[-1] + _VOLUME_STEP_MM / 2, heights[0], _VOLUME_STEP_MM)
    sections = [muscle_sections(anatomy, float(z)) for z in between]
    found = []
    for (muscle, side), number in MUSCLE.items():
        area = np.array([section[number][0] for section in sections])
        fat = np.array([section[number][1] for section in sections])
        step = (heights[0] - heights[-1]) / len(between)
        found.append(
            {
                "muscle": muscle,
                "side": side,
                "label": number,
                "volume_ml": round(float(area.sum() * step / 1000), 3),
                "fat_fraction_mean": round(float((area * fat).sum() / max(area.sum(), 1e-6)), 4),
                "per_level": [
                    {"level": level.value, "csa_mm2": round(section[number][0], 1), "fat_fraction_mean": round(section[number][1], 4)}
                    for level, section in zip(LEVELS, at_level, strict=True)
                ],
            }
        )
    return found


def muscle_sections(anatomy: Anatomy, z_mm: float) -> dict[int, tuple[float, float]]:
    """Area (mm²) and mean fat share of each muscle label on the horizontal plane at a height."""
    x, y = anatomy.profiles.at("canal_x", z_mm), anatomy.profiles.at("canal_y", z_mm)
    size = (int(150 / _PLANE_MM), int(230 / _PLANE_MM))
    steps = np.array([0.0, _PLANE_MM, 0.0]), np.array([_PLANE_MM, 0.0, 0.0])
    plane = Plane(np.array([x - 115.0, y - 75.0, z_mm]), *steps, *size)
    field = Field(anatomy.profiles, plane, plane.whole)
    labels = render_labels(anatomy, plane)
    result = {}
    for (muscle, side), number in MUSCLE.items():
        inside = labels == number
        share = painted_fat_map(anatomy, muscle, 1.0 if side == "left" else -1.0, field)
        area = float(inside.sum()) * _PLANE_MM**2
        result[number] = (area, float(share[inside].mean()) if inside.any() else 0.0)
    return result


def severity_points(anatomy: Anatomy) -> dict[tuple[Condition, Level], NDArray[np.float64]]:
    """Position of each of the 25 places as a reader would mark it: canal, foramen, recess at the height of the disc."""
    points = {}
    for level in LEVELS:
        disc = anatomy.disc(level.value)
        upper = anatomy.vertebra(level.upper.value)
        points[Condition.SPINAL_CANAL_STENOSIS, level] = disc.frame.to_world(np.array([0.0, disc.half_depth_mm + 2.0, 0.0]))
        for side, foramen, recess in (
            (1.0, Condition.LEFT_NEURAL_FORAMINAL_NARROWING, Condition.LEFT_SUBARTICULAR_STENOSIS),
            (-1.0, Condition.RIGHT_NEURAL_FORAMINAL_NARROWING, Condition.RIGHT_SUBARTICULAR_STENOSIS),
        ):
            points[foramen, level] = disc.frame.to_world(np.array([side * upper.pedicle_mm[0], disc.half_depth_mm + 2.5, 3.0]))
            points[recess, level] = disc.frame.to_world(np.array([side * 9.0, disc.half_depth_mm + 1.5, 0.0]))
    return points


def coordinates(anatomy: Anatomy, series: dict[str, AcquiredSeries]) -> list[dict[str, Any]]:
    """Instance number, x and y (pixels) of each place in the series used by readers: canal on sagittal T2, foramina on T1, recesses on axial T2."""
    found = []
    for (condition, level), point in severity_points(anatomy).items():
        role = "sagittal_t2" if condition is Condition.SPINAL_CANAL_STENOSIS else "axial_t2" if "SUBARTICULAR" in condition.name else "sagittal_t1"
        if role in series:
            number, x, y = locate(series[role], point)
            found.append({"condition": condition.value, "level": level.value, "series": role, "instance_number": number, "x": round(x, 3), "y": round(y, 3)})
    return found


def locate(series: AcquiredSeries, point_mm: NDArray[np.float64]) -> tuple[int, float, float]:
    """(instance number, x, y) of the slice nearest to a point."""
    best = (np.inf, 0, 0.0, 0.0)
    for number, plane in enumerate(series.planes, start=1):
        offset = point_mm - plane.origin_mm
        row, column = plane.row_step_mm, plane.column_step_mm
        normal = np.cross(column, row) / (np.linalg.norm(row) * np.linalg.norm(column))
        away = abs(float(offset @ normal))
        if away < best[0]:
            best = (away, number, float(offset @ column / (column @ column)), float(offset @ row / (row @ row)))
    return best[1], best[2], best[3]


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(float(v), 3) for v in values]
