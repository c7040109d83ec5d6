"""Vertebrae and discs of a person: sizes, lordosis, and the effects of degeneration on bone and disc.

Sizes follow Panjabi et al., Spine 1992;17:299 (lumbar vertebrae), Zhou et al., Eur Spine J 2000;9:242 (discs and bodies on CT); lordosis and its
shares per level follow Been et al., Spine 2010 and Roussouly et al., Spine 2005.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import DISCS, SIDES, VERTEBRAE, Disc, FacetJoint, Frame, Vertebra
from lumbar.phantom.degeneration import Degeneration
from lumbar.phantom.population import Person, disc_degeneration

Floats = NDArray[np.float64]

# One row per vertebra, T10 to S5, for a man of 1.78 m: half width, half depth, height, wedge (front − back height, mm), canal depth,
# pedicle axis from the midline, pedicle half width, spinous length, spinous height, spinous droop. All mm.
_SIZES = np.array(
    [
        (17.0, 14.5, 22.5, -1.5, 16.0, 12.5, 3.4, 30, 15, 22),
        (18.5, 15.0, 23.5, -1.5, 16.5, 13.0, 3.8, 30, 16, 18),
        (20.0, 15.6, 25.0, -1.5, 17.5, 13.5, 4.0, 33, 20, 11),
        (21.5, 16.4, 26.5, -1.5, 18.0, 14.5, 4.0, 35, 23, 7),
        (22.5, 17.0, 27.3, -0.8, 17.6, 15.0, 4.2, 37, 24, 6),
        (23.5, 17.5, 27.8, 0.6, 17.4, 15.8, 4.8, 37, 24, 5),
        (24.8, 17.9, 27.8, 2.0, 17.8, 17.2, 6.0, 35, 22, 5),
        (26.2, 17.9, 27.0, 5.2, 18.4, 19.5, 8.2, 27, 18, 4),
        (25.5, 14.2, 29.5, 4.5, 16.5, 19.5, 8.5, 14, 15, 4),
        (19.0, 9.6, 25.0, 3.0, 11.0, 15.0, 6.0, 9, 12, 2),
        (15.0, 7.2, 21.0, 2.0, 8.0, 12.0, 5.0, 7, 10, 2),
        (12.5, 6.0, 18.5, 0.0, 6.0, 10.0, 4.0, 5, 8, 2),
        (10.5, 5.0, 15.5, 0.0, 4.0, 8.0, 3.0, 3, 5, 1),
    ]
)
# Height of healthy discs between the rims, front and back, T10/T11 to S4/S5.
_DISC_HEIGHTS = np.array(
    [(5.2, 4.6), (5.8, 5.0), (7.4, 5.8), (9.0, 6.8), (10.8, 7.6), (12.4, 8.2), (14.2, 8.6), (14.4, 6.6), (1.2, 1.0), (0.8, 0.8), (0.8, 0.8), (0.8, 0.8)]
)
_MEAN_DEGREES = np.array([-3.0, 4.0, 10.0, 13.5, 11.0, 4.5, -6.0, -21.0, -40.0, -50.0, -44.0, -26.0, -4.0])  # backward tilt of each body, supine
# How far the walls of a body run back on the way down, mm per mm, T10 to S5: so that the back walls of neighbours stand to each other as in the reference
# masks of SPIDER's patients (recipes/spine/norms.py), each lower end 1.1 to 1.7 mm behind the upper end of the next.
_SLANTS = np.array([0.03, 0.05, 0.06, 0.06, 0.115, 0.13, 0.13, 0.18, 0.0, 0.0, 0.0, 0.0, 0.0])
_PFIRRMANN_BORDERS = (0.14, 0.36, 0.58, 0.80)  # of disc degeneration


@dataclass(frozen=True, eq=False)
class _Chain:
    """Positions of bodies and discs."""

    bodies: list[Frame]
    discs: list[Frame]


def build_skeleton(person: Person, degeneration: Degeneration) -> tuple[tuple[Vertebra, ...], tuple[Disc, ...]]:
    """All vertebrae and discs of a person, T10 to S5."""
    worn = disc_degeneration(person, degeneration.normal)
    heights = person.size * _DISC_HEIGHTS * (1 - 0.62 * np.clip((worn - 0.45) / 0.55, 0, 1) ** 1.3)[:, None] * (1 + 0.05 * person.traits[13])
    heights[8:] = person.size * _DISC_HEIGHTS[8:]
    sizes = _SIZES * person.size
    sizes[:, 2] *= 1 + 0.02 * person.traits[14]
    _apply_variant(person, sizes, heights)
    chain = _chain(person, sizes, heights, _slips(person, worn))
    vertebrae = tuple(_vertebra(k, person, worn, sizes[k], chain.bodies[k]) for k in range(len(VERTEBRAE)))
    discs = tuple(_disc(k, degeneration, float(worn[k]), heights[k], (vertebrae[k], vertebrae[k + 1]), chain.discs[k], person.size) for k in range(len(DISCS)))
    return vertebrae, discs


def _apply_variant(person: Person, sizes: Floats, heights: Floats) -> None:
    """Change sizes of bodies and discs to those of a fracture or a transitional vertebra."""
    if person.variant == "fracture":
        broken = _broken(person)
        sizes[broken, 3] -= 0.38 * sizes[broken, 2]
        sizes[broken, 2] *= 0.80
    elif person.variant == "lumbarised":  # S1 is free: a sixth lumbar vertebra with a disc of its own
        heights[8] = person.size * np.array([9.5, 6.5])
        sizes[8, :6] = 0.97 * sizes[7, :6]
    elif person.variant == "sacralised":  # L5 belongs to the sacrum
        heights[7] = person.size * np.array([3.2, 2.6])


def _broken(person: Person) -> int:
    """Index of the vertebra with the wedge fracture: at the thoracolumbar junction, L1 or L2."""
    return 3 + int(abs(person.traits[35]) > 0.7)


def frame_axes(lean: float, roll: float, turn: float) -> Floats:
    """(3, 3) rows u, v, w of a frame tilted backwards, rolled to the left and rotated about the long axis; radians."""
    back = np.array([[1, 0, 0], [0, np.cos(lean), np.sin(lean)], [0, -np.sin(lean), np.cos(lean)]])
    side = np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    spin = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    return np.asarray((spin @ side @ back).T)


def _chain(person: Person, sizes: Floats, heights: Floats, slips: Floats) -> _Chain:
    count = len(VERTEBRAE)
    traits = person.traits
    steps = np.diff(_MEAN_DEGREES) * (1 + 0.16 * traits[15]) + 1.3 * np.concatenate([traits[16:24], np.zeros(4)])
    if person.variant == "lumbarised":
        steps[7], steps[8] = -11.0, -17.0
    elif person.variant == "sacralised":
        steps[6], steps[7] = -18.0, -9.0
    elif person.variant == "fracture":  # the wedge causes kyphosis by most of its angle
        broken = _broken(person)
        steps[broken - 1 : broken + 1] -= 0.4 * np.degrees(np.arctan(sizes[broken, 3] / (2 * sizes[broken, 1])))
    lean = np.concatenate([[0.0], np.cumsum(steps)])
    lean += 4.5 - lean[5] + 3.5 * traits[24]
    places = np.arange(count) - 5
    curve = 2.4 * traits[25] * np.exp(0.3 * abs(traits[26]))
    roll = curve * np.cos(places * 0.75 + traits[27]) * np.where(places > 3, 0.3, 1.0)
    turn = -0.5 * roll + 0.6 * traits[28]
    axes = [frame_axes(*np.radians([lean[k], roll[k], turn[k]])) for k in range(count)]
    middles = [frame_axes(*np.radians([(lean[k] + lean[k + 1]) / 2, (roll[k] + roll[k + 1]) / 2, turn[k]])) for k in range(count - 1)]
    centers = [np.zeros(3)] * count
    gaps = heights.mean(axis=1)
    for k in range(5, count - 1):
        centers[k + 1] = centers[k] - axes[k][2] * sizes[k, 2] / 2 - middles[k][2] * gaps[k] - axes[k + 1][2] * sizes[k + 1, 2] / 2 + middles[k][1] * slips[k]
    for k in range(5, 0, -1):
        centers[k - 1] = centers[k] + axes[k][2] * sizes[k, 2] / 2 + middles[k - 1][2] * gaps[k - 1] + axes[k - 1][2] * sizes[k - 1, 2] / 2
        centers[k - 1] = centers[k - 1] - middles[k - 1][1] * slips[k - 1]
    bodies = [Frame(centers[k], axes[k]) for k in range(count)]
    discs = []
    for k in range(count - 1):
        below, above = centers[k] - axes[k][2] * sizes[k, 2] / 2, centers[k + 1] + axes[k + 1][2] * sizes[k + 1, 2] / 2
        discs.append(Frame((below + above) / 2, middles[k]))
    return _Chain(bodies, discs)


def _slips(person: Person, worn: Floats) -> Floats:
    """(12,) anterior slip of each upper vertebra in mm: degenerative at L4/L5, mostly in older women, and small elsewhere."""
    slips = np.zeros(len(DISCS))
    slips[3:8] = 0.35 * person.traits[29:34] * (1 + 2 * worn[3:8])
    woman = 1.0 if person.sex == "F" else 0.0
    if person.traits[34] > 1.75 - 0.5 * woman - 0.8 * (worn[6] - 0.5):
        slips[6] += 3.0 + 1.5 * abs(person.traits[35])
    if person.variant == "slip":
        slips[6] = max(slips[6], 8.0 + abs(person.traits[35]))
    return slips


def _vertebra(k: int, person: Person, worn: Floats, size: Floats, frame: Frame) -> Vertebra:
    upper, lower = (worn[k - 1] if k else 0.3), (worn[k] if k < len(worn) else 0.0)
    lips = [4.0 * max(value - 0.5, 0.0) * float(k < 9) for value in (upper, lower)]
    years = person.age_years
    fat = np.clip(0.30 + 0.0042 * (years - 30) + 0.05 * person.traits[36] + 0.02 * (k > 6), 0.15, 0.78)
    return Vertebra(
        name=VERTEBRAE[k],
        frame=frame,
        half_width_mm=float(size[0]),
        half_depth_mm=float(size[1]),
        height_mm=float(size[2]),
        wedge=float(size[3] / (2 * size[1])),
        taper=0.16 if k > 8 else 0.24 if k == 8 and person.variant != "lumbarised" else 0.0,
        slant=float(_SLANTS[k]),
        concavity_mm=_concavity(k, person),
        waist_mm=1.8 if k < 9 else 0.8,
        lip_mm=(lips[0], lips[1]),
        canal_depth_mm=float(size[4]) * (1 + 0.04 * person.traits[37]),
        pedicle_mm=(float(size[5]), float(size[6])),
        spinous_mm=(float(size[7]), float(size[8]), float(size[9])),
        marrow_fat=float(fat),
        modic=(_modic(upper, person.traits[38 + k % 12]), _modic(lower, person.traits[39 + k % 12])),
        schmorl_mm=(_schmorl(k, person.traits[(45 + k) % 64]), _schmorl(k, person.traits[(50 + k) % 64])),
    )


def _concavity(k: int, person: Person) -> tuple[float, float]:
    """Depth of the upper and the lower endplate; the lower one is deeper, and flat in the sacrum."""
    if k >= 8:
        return (0.6 if k == 8 else 0.0), 0.0
    return 1.5 + 0.25 * person.traits[51], 2.3 + 0.3 * person.traits[52]


def _joints(k: int, disc: Frame, around: tuple[Vertebra, Vertebra], half_depth: float, narrowing: Floats, size: float) -> tuple[FacetJoint, ...]:
    """The facet joints behind a disc, hypertrophic where recess, foramen and canal are narrow; increasingly coronal towards the lower levels."""
    if k > 7:
        return ()
    upper, lower = around
    out = (upper.pedicle_mm[0] + lower.pedicle_mm[0]) / 2 - (1.0 if k < 7 else 0.0)
    canal = (upper.canal_depth_mm + lower.canal_depth_mm) / 2
    turn = np.radians(np.interp(k, (2, 3, 7), (60.0, 26.0, 50.0)))
    scale = size * (0.62 if k < 3 else 1.0)
    joints = []
    for number, side in enumerate(SIDES):
        grown = 1 + 0.32 * float(0.4 * narrowing[1 + number] + 0.6 * narrowing[3 + number]) + 0.10 * float(narrowing[0])
        normal = np.array([side * np.cos(turn), -np.sin(turn), 0.0])
        surface = np.array([side * np.sin(turn), np.cos(turn), 0.0])
        axes = np.array([normal, surface, [0.0, 0.0, 1.0]]) @ disc.axes
        center = disc.to_world(np.array([side * out, half_depth + 0.86 * canal, -1.5]))
        joints.append(FacetJoint(Frame(center, axes), (7.0 * scale * grown, 9.4 * scale * grown, 11.5 * scale), 1.2))
    return tuple(joints)


def _modic(worn: float, draw: float) -> int:
    """Modic type of an endplate: rarer in young discs; type 2 (fat) commonest (Jensen et al., Eur Spine J 2008;17:1407)."""
    if worn < 0.55 or draw < 1.5 - 1.4 * worn:
        return 0
    return 2 if draw % 0.5 < 0.33 else 1 if draw % 0.5 < 0.46 else 3


def _schmorl(k: int, draw: float) -> float:
    return float(2.0 + 2.5 * (draw - 1.6)) if draw > 1.6 and k < 8 else 0.0


def _disc(k: int, degeneration: Degeneration, worn: float, height: Floats, around: tuple[Vertebra, Vertebra], frame: Frame, size: float) -> Disc:
    upper, lower = around
    level = k - 3
    narrowing = degeneration.narrowing[:, level] if 0 <= level < 5 else np.full(5, 0.05)
    canal, foramen, recess = narrowing[0], narrowing[1:3], narrowing[3:5]
    half_depth = (upper.half_depth_mm * (1 - upper.taper) + lower.half_depth_mm * (1 + lower.taper)) / 2 + 0.2
    return Disc(
        name=DISCS[k],
        frame=frame,
        half_width_mm=(upper.half_width_mm + lower.half_width_mm) / 2 + 0.3,
        half_depth_mm=half_depth,
        height_mm=(float(height[0]), float(height[1])),
        degeneration=float(worn),
        pfirrmann_grade=1 + int(np.searchsorted(_PFIRRMANN_BORDERS, worn)),
        bulge_mm=float(0.2 + 1.8 * max(worn - 0.35, 0.0)) if k < 8 else 0.0,
        central_mm=float(6.0 * canal**1.15),
        paracentral_mm=(float(5.2 * recess[0]), float(5.2 * recess[1])),
        foraminal_mm=(float(5.0 * foramen[0]), float(5.0 * foramen[1])),
        node_mm=(upper.schmorl_mm[1], lower.schmorl_mm[0]),
        extrusion_mm=float(5.0 * max(canal - 0.7, 0.0) / 0.3) if worn > 0.6 else 0.0,
        joints=_joints(k, frame, around, half_depth, narrowing, size),
    )
