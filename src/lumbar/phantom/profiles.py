"""Quantities that vary smoothly along the body's long axis: canal and dural sac, muscles, vessels, skin; tabulated over z."""

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, ndimage

from lumbar.phantom.anatomy import SIDES, Disc, Profiles, Vertebra
from lumbar.phantom.degeneration import Degeneration
from lumbar.phantom.population import Person, muscle_fat

Floats = NDArray[np.float64]
STEP_MM = 0.25
MARGIN_MM = 130.0

# Cross-sections at the five disc levels L1/L2 … L5/S1, for a man of 1.78 m, in mm beside and behind the middle of the canal:
# lateral, back, half width, half depth, tilt (degrees, outer edge forward positive).
MUSCLES: dict[str, Floats] = {  # in the order in which they are painted
    "psoas": np.array(
        [(29, -22, 8.5, 10.5, -20), (34, -22, 12.5, 15.0, -20), (39, -22, 16.5, 18.5, -18), (44, -26, 18.5, 21.5, -12), (51, -38, 17.0, 20.5, 0)]
    ),
    "quadratus_lumborum": np.array([(53, -8, 13.0, 5.5, 32), (60, -6, 16.0, 7.0, 30), (66, -5, 17.0, 8.5, 28), (72, -4, 15.0, 8.0, 26), (76, 0, 1.0, 1.0, 26)]),
    "erector_spinae": np.array(
        [(41, 30, 29.0, 20.5, 12), (41, 29, 30.0, 22.0, 12), (41, 28, 29.0, 22.0, 10), (42, 27, 26.0, 20.0, 10), (41, 25, 21.0, 15.5, 10)]
    ),
    "multifidus": np.array(
        [(13.0, 25, 8.5, 13.0, 4), (13.0, 26, 9.5, 15.0, 4), (13.5, 27, 11.0, 17.5, 4), (16.5, 28, 13.5, 18.5, 2), (19.5, 27, 16.5, 18.0, 0)]
    ),
}
_FAT_BY_LEVEL = {  # relative to L3/L4
    "multifidus": (0.72, 0.82, 1.0, 1.32, 1.62),
    "erector_spinae": (0.78, 0.86, 1.0, 1.25, 1.7),
    "psoas": (1.0, 1.0, 1.0, 1.05, 1.1),
    "quadratus_lumborum": (1.0, 1.0, 1.0, 1.1, 1.2),
}
SIDE_NAMES = {1.0: "left", -1.0: "right"}
_COLUMNS = ("x", "y", "a", "b", "tilt")


def canal_narrowing(narrowing: float) -> float:
    """Relative loss of sac depth for a latent canal narrowing: a fifth at the lower limit of moderate, half at that of severe, four fifths at 1."""
    return float(np.interp(narrowing, (0.0, 0.33, 0.66, 1.0), (0.0, 0.20, 0.50, 0.80)))


def build_profiles(person: Person, degeneration: Degeneration, vertebrae: tuple[Vertebra, ...], discs: tuple[Disc, ...]) -> Profiles:
    """All tables of one person."""
    z = np.arange(vertebrae[-1].frame.center_mm[2] - MARGIN_MM, vertebrae[0].frame.center_mm[2] + MARGIN_MM, STEP_MM)
    tables = _canal_line(z, vertebrae, discs)
    heights = np.array([_canal_point(disc, vertebrae[k], vertebrae[k + 1])[2] for k, disc in enumerate(discs)])
    tables |= _sac(z, person, degeneration, discs, heights)
    tables |= _muscles(z, person, heights)
    tables |= _skin(z, person, tables, heights)
    tables |= _vessels(z, person, vertebrae)
    return Profiles(float(z[0]), STEP_MM, {name: table.astype(np.float32) for name, table in tables.items()})


def _canal_point(disc: Disc, upper: Vertebra, lower: Vertebra) -> Floats:
    depth = (upper.canal_depth_mm + lower.canal_depth_mm) / 4
    return disc.frame.to_world(np.array([0.0, disc.half_depth_mm + depth - 0.6, 0.0]))


def _canal_line(z: Floats, vertebrae: tuple[Vertebra, ...], discs: tuple[Disc, ...]) -> dict[str, Floats]:
    """The middle of the canal: x and y over z, its tilt, and its bony half depth."""
    points, depths = [], []
    for k, vertebra in enumerate(vertebrae):
        points.append(vertebra.frame.to_world(np.array([0.0, vertebra.half_depth_mm + vertebra.canal_depth_mm / 2, 0.0])))
        depths.append(vertebra.canal_depth_mm / 2)
        if k < len(discs):
            points.append(_canal_point(discs[k], vertebra, vertebrae[k + 1]))
            depths.append((vertebra.canal_depth_mm + vertebrae[k + 1].canal_depth_mm) / 4)
    line = np.array(points)[::-1]
    order = np.argsort(line[:, 2])
    line, half = line[order], np.array(depths)[::-1][order]
    inner = np.clip(z, line[0, 2], line[-1, 2])
    x = interpolate.PchipInterpolator(line[:, 2], line[:, 0])(inner)
    y = interpolate.PchipInterpolator(line[:, 2], line[:, 1])(inner)
    y = ndimage.gaussian_filter1d(y, 4.0 / STEP_MM)
    slope = np.gradient(y, STEP_MM)
    cosine = 1 / np.sqrt(1 + slope**2)
    return {"canal_x": x, "canal_y": y, "cos": cosine, "sin": slope * cosine, "canal_half": np.interp(z, line[:, 2], half)}


def _bumps(z: Floats, centers: Floats, heights: Floats, width_mm: float) -> Floats:
    """Sum of smooth bumps over z."""
    return np.asarray((heights[:, None] * np.exp(-(((z - centers[:, None]) / width_mm) ** 2))).sum(axis=0))


def _sac(z: Floats, person: Person, degeneration: Degeneration, discs: tuple[Disc, ...], heights: Floats) -> dict[str, Floats]:
    """Front and back border of the dural sac in the midline, its half width, and the flavum on both sides."""
    levels = heights[3:8]
    size = person.size
    knots = np.array([heights[10], heights[9], heights[8], heights[7], heights[6], heights[4], heights[2], heights[0]])
    depth = np.interp(z, knots, size * np.array([2.0, 5.0, 9.2, 12.0, 12.7, 13.2, 13.9, 13.2])) * (1 + 0.07 * person.traits[53])
    width = np.interp(z, knots, size * np.array([2.0, 6.0, 11.0, 15.0, 17.2, 17.4, 17.0, 16.0])) * (1 + 0.05 * person.traits[54])
    taken = np.array([canal_narrowing(n) for n in degeneration.narrowing[0]]) * np.interp(levels, z, depth)
    share = 0.55
    front = -depth / 2 - 0.6 + _bumps(z, levels, share * taken, 6.0)
    back = depth / 2 - 0.6 - _bumps(z, levels, (1 - share) * taken, 7.0)
    squeezed = np.array([0.34 * n for n in degeneration.narrowing[0]])
    half_width = width / 2 * (1 - _bumps(z, levels, squeezed, 7.0))
    tables = {"sac_front": front, "sac_back": back, "sac_half_width": half_width}
    for side, name in SIDE_NAMES.items():
        recess = degeneration.narrowing[3 if side > 0 else 4]
        open_mm = np.interp(z, knots, size * np.array([3.0, 4.5, 6.3, 7.0, 7.2, 7.2, 7.2, 6.9]))
        reach = 0.4 + 2.0 * degeneration.narrowing[0] + 2.6 * recess
        tables[f"flavum_{name}"] = open_mm - _bumps(z, heights[1:8], np.concatenate([[0.4, 0.4], reach]), 6.5)
    tables["disc_here"] = _bumps(z, heights[:8], np.ones(8), 9.0)
    return tables


def _muscles(z: Floats, person: Person, heights: Floats) -> dict[str, Floats]:
    """Cross-section of each muscle and side, its fat share, along z."""
    levels = heights[3:8][::-1]
    lower, upper = 2 * levels[0] - levels[1], levels[-1] + 1.6 * (levels[-1] - levels[-2])
    knots = np.concatenate([[lower], levels, [upper]])
    fat = muscle_fat(person)
    age = max(person.age_years - 40.0, 0.0)
    tables: dict[str, Floats] = {}
    for number, (muscle, rows) in enumerate(MUSCLES.items()):
        bulk = person.size * (1 - 0.0022 * age) * (1 + 0.06 * person.traits[55 + number % 4]) * (0.955 if person.sex == "F" else 1.0)
        ordered = np.concatenate([rows[-1:], rows[::-1], rows[:1]]).copy()
        ordered[0, 2:4] *= 0.3 if muscle == "erector_spinae" else 0.55
        ordered[-1, 2:4] *= 0.8
        for side, name in SIDE_NAMES.items():
            lost = person.atrophy[0 if side > 0 else 1] if muscle in ("multifidus", "erector_spinae") else 0.0
            own = (1 + 0.025 * side * person.traits[59 + number % 4]) * np.sqrt(1 - lost)
            for column, title in enumerate(_COLUMNS):
                scale = 1.0 if title == "tilt" else person.size if title in ("x", "y") else bulk * own
                table = interpolate.PchipInterpolator(knots, ordered[:, column] * scale)(np.clip(z, lower, upper))
                if title == "tilt":
                    tables[f"{muscle}_{name}_cos"], tables[f"{muscle}_{name}_sin"] = np.cos(np.radians(table)), np.sin(np.radians(table))
                else:
                    tables[f"{muscle}_{name}_{title}"] = table * side if title == "x" else table
            levels_fat = np.clip(fat[muscle] * (1 + 0.05 * side * person.traits[60]) * np.array(_FAT_BY_LEVEL[muscle])[::-1] + 0.5 * lost, 0.01, 0.85)
            tables[f"{muscle}_{name}_fat"] = np.interp(z, levels, levels_fat)
    return tables


def _skin(z: Floats, person: Person, tables: dict[str, Floats], heights: Floats) -> dict[str, Floats]:
    """The back: depth of the fascia and the skin behind the canal, half width of the trunk; the front of the belly."""
    reach = np.interp(z, heights[[10, 8, 7, 6, 4, 2, 0]][::1], np.array([27, 38, 47, 51, 53, 52, 50]) * person.size)
    fascia = ndimage.gaussian_filter1d(tables["canal_y"] + reach, 14 / STEP_MM, mode="nearest")
    thick = person.subcutaneous_mm * np.interp(z, heights[[10, 8, 7, 6, 4, 2, 0]], (1.5, 1.7, 1.5, 1.15, 0.8, 0.6, 0.5))
    skin = ndimage.gaussian_filter1d(fascia + thick, 12 / STEP_MM, mode="nearest")
    trunk = person.size * (138 + 0.8 * person.subcutaneous_mm) * np.interp(z, heights[[9, 7, 5, 1]], (1.2, 1.12, 1.0, 1.02))
    belly = tables["canal_y"][np.abs(z).argmin()] - person.size * (95 + 2.2 * person.subcutaneous_mm) + 22.0 * np.minimum((z + 30.0) / 130.0, 1.5) ** 2
    return {"fascia": fascia, "skin": skin, "trunk": trunk, "belly": belly}


def _vessels(z: Floats, person: Person, vertebrae: tuple[Vertebra, ...]) -> dict[str, Floats]:
    """Aorta left and vena cava right in front of the bodies; they bifurcate at L4."""
    fronts = np.array([v.frame.to_world(np.array([0.0, -v.half_depth_mm - 12.0, 0.0])) for v in vertebrae[8::-1]])
    front = ndimage.gaussian_filter1d(np.interp(z, fronts[:, 2], fronts[:, 1]), 8 / STEP_MM, mode="nearest")
    fork = vertebrae[6].frame.center_mm[2]
    below = np.maximum(fork - z, 0.0)
    size = person.size
    narrow = np.clip(1 - below / 60.0, 0.62, 1.0)
    return {
        "aorta_x": (13.0 + 3.0 * person.traits[68] + 2.5 * np.sin(z / 45.0 + 2 * person.traits[69])) * (1 - np.clip(below / 30.0, 0, 1)),
        "aorta_y": front,
        "aorta_radius": size * (8.6 + 0.04 * (person.age_years - 40)) * narrow,
        "cava_x": -17.0 + 15.0 * np.clip((below - 8) / 40.0, 0, 1),
        "cava_y": front + 2.5,
        "cava_radius": size * 9.5 * narrow,
        "vessels_apart": np.minimum(0.62 * below, 42.0),
    }


def side_tables(muscle: str, side: float) -> tuple[str, ...]:
    """Names of the tables of one muscle: x, y, half width, half depth, cosine and sine of the tilt, fat."""
    if side not in SIDES:
        raise ValueError(f"side must be 1 (left) or -1 (right), not {side}")
    return tuple(f"{muscle}_{SIDE_NAMES[side]}_{title}" for title in ("x", "y", "a", "b", "cos", "sin", "fat"))
