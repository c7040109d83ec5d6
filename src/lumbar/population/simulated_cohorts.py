"""Simulated cohorts with known stages of acceleration, for evaluating the search for stages."""

from dataclasses import dataclass

import numpy as np

from lumbar.datasets.age_table import AgeTable


@dataclass(frozen=True)
class Cohort:
    """A simulated population: a linear increase with age, and steps of a given height at given ages."""

    people: int = 1500
    youngest_years: float = 18.0
    oldest_years: float = 85.0
    slope: float = 0.03  # index per year everywhere; the unit of the index is the standard deviation between people of one age
    stages_years: tuple[float, ...] = ()  # middles of the steps
    step: float = 2.0  # height of each
    width_years: float = 1.5  # of the logistic step: 80 % of it happens within 4.4 widths
    curvature: float = 0.0  # index per year²: accelerating ageing
    spread_growth: float = 0.0  # relative increase of the spread between people from the youngest to the oldest
    site_shift: float = 0.3  # largest offset of a site


def simulate(cohort: Cohort, seed: int) -> AgeTable:
    """A table with one row per person, a column `index` and one level; ages are spread evenly, sexes and three sites at random."""
    rng = np.random.default_rng(seed)
    n = cohort.people
    age = rng.uniform(cohort.youngest_years, cohort.oldest_years, n)
    mean = cohort.slope * age + cohort.curvature * (age - cohort.youngest_years) ** 2
    for middle in cohort.stages_years:
        mean += cohort.step / (1 + np.exp(-(age - middle) / cohort.width_years))
    spread = 1 + cohort.spread_growth * (age - cohort.youngest_years) / (cohort.oldest_years - cohort.youngest_years)
    site = rng.integers(0, 3, n)
    sex = rng.integers(0, 2, n)
    index = mean + cohort.site_shift * (site - 1) + 0.3 * sex + spread * rng.standard_normal(n)
    return AgeTable(
        name="simulated cohort",
        lines=np.arange(2, n + 2),
        subject=np.array([f"s{k:05d}" for k in range(n)]),
        site=np.array(["A", "B", "C"])[site],
        sex=np.array(["F", "M"])[sex],
        age_years=age,
        level=np.full(n, "L4/L5"),
        index=index,
    )
