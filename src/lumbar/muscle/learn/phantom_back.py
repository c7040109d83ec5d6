"""Phantoms with varied backs: muscles of any size, with borders as drawn by readers.

In reference masks (LPM) the multifidus is small and deep beside the spinous process at L1/L2, with the erector spinae behind it up to the midline; from
L4 down the multifidus fills the whole depth. The tables below were measured on such masks of one person and are varied widely.
"""

from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from lumbar.phantom.anatomy import Anatomy, Profiles
from lumbar.phantom.profiles import SIDE_NAMES

# At L1/L2 … L5/S1, in mm from the middle of the canal: lateral, posterior, half width, half depth, tilt (degrees, outer edge forward).
_ROWS = {
    "erector_spinae": np.array([(43, 39, 32, 19, 12), (43, 37, 33, 21, 12), (42, 34, 32, 22, 10), (42, 28, 24, 20, 12), (42, 23, 17, 17, 12)], np.float64),
    "multifidus": np.array([(16, 27, 9, 12, 4), (14, 27, 9.5, 15, 4), (13.5, 28, 11, 18, 4), (18, 32, 15, 20.5, 2), (21, 31, 17, 18.5, 0)], np.float64),
}
_FASCIA_MM = np.array([60.0, 60.0, 58.0, 57.0, 53.0])  # behind the middle of the canal
_DISCS = ("L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1")


def with_other_back(anatomy: Anatomy, rng: Generator) -> Anatomy:
    """The same person with random back muscles, fascia and skin, up to those of a strong young man."""
    profiles = anatomy.profiles
    z = np.asarray(profiles.start_mm + profiles.step_mm * np.arange(len(profiles["canal_x"])), np.float64)
    heights = np.array([anatomy.disc(name).frame.center_mm[2] for name in _DISCS])
    tables = dict(profiles.tables)
    depth, width = np.exp(rng.normal(-0.14, 0.16)), np.exp(rng.normal(-0.10, 0.13))
    share = np.exp(rng.normal(0, 0.12))  # size of the multifidus relative to the erector spinae
    for muscle, rows in _ROWS.items():
        own = share if muscle == "multifidus" else 1 / np.sqrt(share)
        lost = rng.uniform(0.78, 1.03) if rng.random() < 0.4 else 1.0  # atrophy: fat replaces muscle under the same fascia
        level = np.exp(rng.normal(0, 0.05, (5, 4)))
        for side, name in SIDE_NAMES.items():
            uneven = np.exp(rng.normal(0, 0.03, 4))
            scale = np.array([width, depth, width * own * lost, depth * np.sqrt(own) * lost])
            values = rows[:, :4] * scale * level * uneven
            tilt = np.radians(_along(z, heights, rows[:, 4] + rng.normal(0, 3)))
            tables[f"{muscle}_{name}_x"] = side * _along(z, heights, values[:, 0])
            for column, title in ((1, "y"), (2, "a"), (3, "b")):
                tables[f"{muscle}_{name}_{title}"] = _along(z, heights, values[:, column])
            tables[f"{muscle}_{name}_cos"], tables[f"{muscle}_{name}_sin"] = np.cos(tilt), np.sin(tilt)
            tables[f"{muscle}_{name}_fat"] = profiles[f"{muscle}_{name}_fat"] * np.float32(np.exp(rng.normal(0, 0.4)))
    under = tables["skin"] - tables["fascia"]
    tables["fascia"] = tables["canal_y"] + _along(z, heights, _FASCIA_MM) * depth
    tables["skin"] = tables["fascia"] + under * np.float32(np.exp(rng.normal(0, 0.3)))
    cut = Profiles(profiles.start_mm, profiles.step_mm, {key: np.asarray(table, np.float32) for key, table in tables.items()})
    boxes = {key: _box(anatomy, cut) if key[0] in _ROWS else box for key, box in anatomy.muscle_boxes_mm.items()}
    return replace(anatomy, profiles=cut, muscle_boxes_mm=boxes)


def _along(z: NDArray[np.float64], heights: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values at the discs, from L1/L2 down, at every height of the tables."""
    return np.asarray(np.interp(z, heights[::-1], values[::-1]), np.float32)


def _box(anatomy: Anatomy, profiles: Profiles) -> NDArray[np.float64]:
    """Points around the whole back."""
    low, high = anatomy.disc("L5/S1").frame.center_mm[2] - 60, anatomy.disc("L1/L2").frame.center_mm[2] + 60
    points = []
    for z in np.arange(low, high, 15.0):
        middle = np.array([profiles.at("canal_x", z), profiles.at("canal_y", z), z])
        points += [middle + np.array([i, j, 0.0]) for i in (-90.0, 90.0) for j in (-10.0, 75.0)]
    return np.array(points)
