"""Stages of acceleration on simulated cohorts (no real people): power (planted stages found) and false positives (stages claimed where there are none).

    python recipes/age/stages.py [--planted 50] [--linear 200] [--draws 1000]

Planted: three steps at 32, 50 and 68 years in 1,500 people of 18 to 85; found = every one within 3 years, by the list of `lumbar aging` (either method)
for all people, and by each method alone; exact = found and no further stage. The step's height is in standard deviations between people of one age.
Claims: cohorts without any stage in which the whole file (all people, women, men; both methods) names at least one.
"""

import argparse
from dataclasses import replace

from lumbar.population.groups import groups_of
from lumbar.population.simulated_cohorts import Cohort, simulate
from lumbar.population.stages import METHODS, GroupStages, StageOptions, merged, search_stages

STAGES_YEARS = (32.0, 50.0, 68.0)
STEPS = ((1.0, 1.5), (1.5, 1.5), (2.0, 1.5), (2.0, 2.0), (3.0, 2.5))  # height in SD, width in years


def search(cohort: Cohort, seed: int, draws: int) -> tuple[GroupStages, ...]:
    return search_stages(groups_of(simulate(cohort, seed)), StageOptions(draws=draws, seed=seed))


def found(ages: list[float]) -> bool:
    return all(any(abs(age - truth) <= 3 for age in ages) for truth in STAGES_YEARS)


def power(cohort: Cohort, count: int, draws: int) -> dict[str, float]:
    hits = dict.fromkeys(["found", "exact", "confirmed", *METHODS], 0)
    for seed in range(count):
        whole = search(cohort, seed, draws)[0]
        stages = merged(whole)
        ages = [stage.age_years for stage in stages]
        hits["found"] += found(ages)
        hits["exact"] += found(ages) and len(ages) == len(STAGES_YEARS)
        hits["confirmed"] += found([stage.age_years for stage in stages if stage.confirmed])
        for method in METHODS:
            hits[method] += found([stage.age_years for stage in whole.by_method[method]])
    return {name: hit / count for name, hit in hits.items()}


def claims(cohort: Cohort, count: int, draws: int) -> dict[str, float]:
    hits = dict.fromkeys(["any", "confirmed", *METHODS], 0)
    for seed in range(count):
        groups = search(cohort, 100_000 + seed, draws)
        stages = [stage for group in groups for stage in merged(group)]
        hits["any"] += bool(stages)
        hits["confirmed"] += any(stage.confirmed for stage in stages)
        for method in METHODS:
            hits[method] += any(group.by_method[method] for group in groups)
    return {name: hit / count for name, hit in hits.items()}


def show(title: str, shares: dict[str, float]) -> None:
    print(f"{title:<66}" + "  ".join(f"{name} {share:6.1%}" for name, share in shares.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planted", type=int, default=50, help="cohorts with stages, per row")
    parser.add_argument("--linear", type=int, default=200, help="cohorts without, per row")
    parser.add_argument("--draws", type=int, default=1000)
    options = parser.parse_args()
    for step, width in STEPS:
        cohort = Cohort(stages_years=STAGES_YEARS, step=step, width_years=width)
        show(f"planted, step {step:g} SD over ±{2.2 * width:.1f} years", power(cohort, options.planted, options.draws))
    even = Cohort()
    rows = {
        "linear": even,
        "linear, spread doubles with age": replace(even, spread_growth=1.0),
        "ever faster (quadratic)": replace(even, curvature=0.001),
        "linear, 300 people": replace(even, people=300),
    }
    for title, cohort in rows.items():
        show(f"no stage: {title}", claims(cohort, options.linear, options.draws))


if __name__ == "__main__":
    main()
