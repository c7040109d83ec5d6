"""Construction of a person's anatomy: skeleton, profiles, abdomen."""

import numpy as np
from numpy.typing import NDArray

from lumbar.phantom.anatomy import SIDES, Anatomy, Blob, Floats, Profiles, Vertebra
from lumbar.phantom.degeneration import Degeneration, degeneration_at
from lumbar.phantom.metal import place_implants
from lumbar.phantom.population import Person
from lumbar.phantom.profiles import MUSCLES, SIDE_NAMES, STEP_MM, build_profiles, side_tables
from lumbar.phantom.skeleton import build_skeleton


def person_degeneration(person: Person, reader: int = 0) -> Degeneration:
    """The graded places of a person with the grades of one reader."""
    random = np.random.default_rng([person.seed, 2, reader])
    return degeneration_at(person.age_years, person.own, random.standard_normal(25))


def build_anatomy(person: Person, degeneration: Degeneration) -> Anatomy:
    """The anatomy of a person."""
    vertebrae, discs = build_skeleton(person, degeneration)
    profiles = build_profiles(person, degeneration, vertebrae, discs)
    random = np.random.default_rng([person.seed, 3])
    conus = discs[3].frame.center_mm[2] + 10.0 * random.standard_normal()
    return Anatomy(
        seed=person.seed,
        vertebrae=vertebrae,
        discs=discs,
        profiles=profiles,
        muscle_boxes_mm={(muscle, name): _muscle_box(profiles, muscle, side) for muscle in MUSCLES for side, name in SIDE_NAMES.items()},
        vessel_box_mm=_vessel_box(profiles),
        midline_box_mm=_tube(profiles, 20.0, (-4.0, 4.0), (4.0, 60.0)),
        canal_box_mm=_tube(profiles, 2.0, (0.0,), (0.0,)),
        blobs=_belly(person, vertebrae, random),
        conus_tip_mm=float(conus),
        sac_end_mm=float(vertebrae[9].frame.center_mm[2] + 5.0 * random.standard_normal()),
        roots=_cauda(profiles, vertebrae, person.seed, float(conus)),
        narrowing=degeneration.narrowing,
        implants=place_implants(vertebrae[6], vertebrae[7], discs[6]) if person.metal else (),
    )


def _heights(profiles: Profiles, every_mm: float) -> Floats:
    """Heights z along the profiles, without the margins beyond the spine."""
    rows = len(profiles["canal_x"])
    margin = 100.0
    return np.arange(profiles.start_mm + margin, profiles.start_mm + rows * STEP_MM - margin, every_mm)


def _muscle_box(profiles: Profiles, muscle: str, side: float) -> Floats:
    """Points around a muscle at several heights."""
    points = []
    x, y, half_width, half_depth = side_tables(muscle, side)[:4]
    for z in _heights(profiles, 15.0):
        middle = np.array([profiles.at("canal_x", z) + profiles.at(x, z), profiles.at("canal_y", z) + profiles.at(y, z), z])
        reach = max(profiles.at(half_width, z), profiles.at(half_depth, z)) * 1.05
        points += [middle + reach * np.array([i, j, 0]) for i in (-1, 1) for j in (-1, 1)]
    return np.array(points)


def _vessel_box(profiles: Profiles) -> Floats:
    points = []
    for z in _heights(profiles, 15.0):
        apart = profiles.at("vessels_apart", z) + 24.0
        middle = np.array([profiles.at("canal_x", z), profiles.at("aorta_y", z), z])
        points += [middle + np.array([i * apart, j * 12.0, 0]) for i in (-1, 1) for j in (-1, 1)]
    return np.array(points)


def _tube(profiles: Profiles, every_mm: float, across: tuple[float, ...], behind: tuple[float, ...]) -> Floats:
    """Points beside and behind the canal's axis."""
    axis = [(profiles.at("canal_x", z), profiles.at("canal_y", z), z) for z in _heights(profiles, every_mm)]
    return np.array([(x + i, y + j, z) for x, y, z in axis for i in across for j in behind])


def _cauda(profiles: Profiles, vertebrae: tuple[Vertebra, ...], seed: int, conus_mm: float) -> NDArray[np.float32]:
    """Position of each root of the cauda equina in the sac, in fractions of its half width and half depth: posterior at first, as the patient is supine,
    then towards the side of its exit."""
    random = np.random.default_rng([seed, 5])
    z = profiles.start_mm + STEP_MM * np.arange(len(profiles["canal_x"]))
    middles = [vertebra.frame.center_mm[2] for vertebra in vertebrae]
    roots = []
    for leaves in middles[4:11]:
        for side in SIDES:
            for _ in range(3):
                jitter = random.normal(size=5)
                gone = 1 - np.clip((z - leaves) / 55.0, 0, 1)
                aside = side * (0.40 + 0.24 * jitter[0] + (0.45 - 0.2 * jitter[0]) * gone**2)
                behind = 0.30 + 0.30 * jitter[1] - 0.45 * gone**3 + 0.05 * np.sin(z / 15.0 + 3 * jitter[2])
                radius = np.sqrt(aside**2 + behind**2)
                inside = np.minimum(1.0, 0.90 / np.maximum(radius, 1e-6))
                path = np.stack([aside * inside, behind * inside])
                path[:, (z < leaves) | (z > conus_mm + 22 + 6 * jitter[3])] = 99.0
                roots.append(path)
    return np.array(roots, dtype=np.float32)


def _belly(person: Person, vertebrae: tuple[Vertebra, ...], random: np.random.Generator) -> tuple[Blob, ...]:
    """Kidneys, liver, and loops of bowel at random positions in front of the spine."""
    size = person.size
    middle = vertebrae[3].frame.center_mm
    blobs = [
        Blob((middle[0] + 66 * size, middle[1] - 2, middle[2] + 22), (27, 25, 52), "kidney"),
        Blob((middle[0] - 68 * size, middle[1] - 2, middle[2] + 10), (27, 25, 52), "kidney"),
        Blob((middle[0] - 70 * size, middle[1] - 62, middle[2] + 70), (66, 58, 72), "liver"),
    ]
    bottom = vertebrae[8].frame.center_mm
    blobs.append(Blob((bottom[0], bottom[1] - 75, bottom[2] - 78), (42, 40, 34), "fluid" if random.random() < 0.5 else "bowel"))
    for _ in range(26):
        place = random.uniform((-110, -135, -170), (110, -62, 75))
        if abs(place[0]) > 45:
            place[1] += 28
        half = random.uniform((9, 8, 12), (22, 18, 34))
        blobs.append(Blob(tuple(np.round(place * [size, 1, 1], 2).tolist()), tuple(np.round(half, 2).tolist()), "bowel"))
    return tuple(blobs)
