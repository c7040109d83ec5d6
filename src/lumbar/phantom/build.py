"""One person, built: skeleton, profiles, belly."""

import numpy as np

from lumbar.phantom.anatomy import Anatomy, Blob, Vertebra
from lumbar.phantom.degeneration import Degeneration, degeneration_at
from lumbar.phantom.population import Person, muscle_fat
from lumbar.phantom.profiles import build_profiles
from lumbar.phantom.skeleton import build_skeleton


def person_degeneration(person: Person, reader: int = 0) -> Degeneration:
    """The graded places of a person as one reader sees them."""
    random = np.random.default_rng([person.seed, 2, reader])
    return degeneration_at(person.age_years, person.own, random.standard_normal(25))


def build_anatomy(person: Person, degeneration: Degeneration) -> Anatomy:
    """Everything there is to paint of a person."""
    vertebrae, discs = build_skeleton(person, degeneration)
    profiles = build_profiles(person, degeneration, vertebrae, discs)
    random = np.random.default_rng([person.seed, 3])
    conus = discs[3].frame.center_mm[2] + 10.0 * random.standard_normal()
    return Anatomy(
        seed=person.seed,
        vertebrae=vertebrae,
        discs=discs,
        profiles=profiles,
        muscle_fat=muscle_fat(person),
        blobs=_belly(person, vertebrae, random),
        conus_tip_mm=float(conus),
        sac_end_mm=float(vertebrae[9].frame.center_mm[2] + 5.0 * random.standard_normal()),
        narrowing=degeneration.narrowing,
    )


def _belly(person: Person, vertebrae: tuple[Vertebra, ...], random: np.random.Generator) -> tuple[Blob, ...]:
    """Kidneys, liver, and loops of bowel at chance places in front of the spine."""
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
