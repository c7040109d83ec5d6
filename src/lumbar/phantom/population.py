"""Simulated people and their lifelong traits. The same seed gives the same person at any age."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Acceleration of degeneration per simulated stage: increase of the index over about five years.
STAGE_STEP = 0.12
STAGE_WIDTH_YEARS = 2.0
VARIANTS = ("none", "slip", "fracture", "lumbarised", "sacralised")


@dataclass(frozen=True, eq=False)
class Person:
    """One person at one age."""

    seed: int
    age_years: float
    sex: str  # "F" or "M"
    height_m: float
    size: float  # linear scale of the skeleton, 1 for a man of 1.78 m
    subcutaneous_mm: float  # fat under the skin of the back at L3
    acceleration: float  # disc degeneration relative to the person's age, in standard deviations
    own: Floats  # (25,) standard normal numbers of the graded places
    traits: Floats  # (96,) standard normal numbers of everything else
    stages_years: tuple[float, ...] = ()  # simulated ages of accelerated degeneration
    variant: str = "none"  # one of VARIANTS
    metal: bool = False  # screws, rods and a cage at L4 and L5
    atrophy: tuple[float, float] = (0.0, 0.0)  # lost share of multifidus and erector spinae, half of it replaced by fat, left and right


def sample_person(seed: int, age_years: float | None = None, sex: str | None = None, stages_years: tuple[float, ...] = ()) -> Person:
    """The person of `seed`; age and sex are sampled unless given (age as in clinical lumbar MRI: mean 57, SD 15, 18 to 92)."""
    random = np.random.default_rng([seed, 1])
    drawn = float(np.clip(random.normal(57.0, 15.0), 18.0, 92.0))
    chosen = "F" if random.random() < 0.54 else "M"
    own, traits = random.standard_normal(25), random.standard_normal(96)
    acceleration = float(random.standard_normal())
    sex = chosen if sex is None else sex
    height = (1.64 if sex == "F" else 1.78) + 0.065 * traits[0]
    return Person(
        seed=seed,
        age_years=round(drawn if age_years is None else age_years, 1),
        sex=sex,
        height_m=round(float(height), 3),
        size=float(height / 1.78 * (0.975 if sex == "F" else 1.0) * (1 + 0.02 * traits[1])),
        subcutaneous_mm=float(np.clip((19.0 if sex == "F" else 13.0) * np.exp(0.45 * traits[2]), 5.0, 55.0)),
        acceleration=acceleration,
        own=own,
        traits=traits,
        stages_years=stages_years,
    )


def disc_degeneration(person: Person, places: Floats) -> Floats:
    """(12,) degeneration in [0, 1] of the discs from T10/T11 to S4/S5.

    It increases with age at a rate that depends on the level (fastest at L4/L5 and L5/S1: Teraguchi et al., Osteoarthritis Cartilage 2014;22:104), the person's
    acceleration, simulated stages, and the narrowing `places` (5, 5) of the level.
    """
    rate = np.array([0.36, 0.37, 0.38, 0.43, 0.47, 0.53, 0.63, 0.60])
    level = np.concatenate([np.zeros(3), places.mean(axis=0)])
    age = (person.age_years - 18.0) / 60.0
    planted = sum(STAGE_STEP / (1 + np.exp(-(person.age_years - stage) / STAGE_WIDTH_YEARS)) for stage in person.stages_years)
    share = 0.10 if person.stages_years else 0.14
    worn = share + rate * (age if not person.stages_years else 0.5 * age) + planted * rate / 0.5
    worn = worn + 0.055 * person.acceleration + 0.065 * person.traits[3:11] + 0.075 * level
    sacral = np.full(4, 0.75)
    return np.asarray(np.clip(np.concatenate([worn, sacral]), 0.0, 1.0))


def muscle_fat(person: Person) -> dict[str, float]:
    """Mean fat share of each muscle at L3/L4: more with age and in women, more in multifidus (Crawford et al., Spine J 2016;16:1547)."""
    years = person.age_years - 30.0
    woman = 1.0 if person.sex == "F" else 0.0
    common = np.exp(0.28 * person.traits[12])
    own = common * np.exp(0.13 * person.traits[64:68])
    worn = max(years, 0.0) ** 1.15
    return {
        "multifidus": float(np.clip((0.075 + 0.0019 * worn + 0.035 * woman) * own[0], 0.03, 0.6)),
        "erector_spinae": float(np.clip((0.065 + 0.0014 * worn + 0.025 * woman) * own[1], 0.03, 0.5)),
        "psoas": float(np.clip((0.03 + 0.0003 * worn) * own[2], 0.015, 0.2)),
        "quadratus_lumborum": float(np.clip((0.045 + 0.0007 * worn) * own[3], 0.02, 0.3)),
    }
