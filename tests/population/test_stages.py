"""Stages of acceleration: those that were planted are found, those that were not are not (all on simulated cohorts)."""

from dataclasses import replace

import numpy as np
import pytest

from lumbar.datasets.age_table import AgeTable
from lumbar.population.contrasts import Contrast, Search, adjusted_p, find_stages
from lumbar.population.groups import groups_of
from lumbar.population.simulated_cohorts import Cohort, simulate
from lumbar.population.stages import FoundStage, GroupStages, StageOptions, merged, search_stages

QUICK = StageOptions(draws=300)
PLANTED = (32.0, 50.0, 68.0)


def _search(table: AgeTable, options: StageOptions = QUICK) -> tuple[GroupStages, ...]:
    return search_stages(groups_of(table), options)


def _ages(stages: tuple[FoundStage, ...]) -> list[float]:
    return [stage.age_years for stage in stages]


def test_three_planted_stages_are_found_by_both_methods_and_in_both_sexes() -> None:
    for group in _search(simulate(Cohort(stages_years=PLANTED), seed=1)):
        found = merged(group)
        assert len(found) == 3, group.sex
        assert np.abs(np.array(_ages(found)) - PLANTED).max() <= 3
        if group.sex == "all":
            assert all(stage.confirmed and stage.p_adjusted <= 0.02 for stage in found)
            assert all(stage.low_years - 1 <= truth <= stage.high_years + 1 for stage, truth in zip(found, PLANTED, strict=True))


def test_the_number_is_found_not_assumed() -> None:
    for planted in ((45.0,), (38.0, 62.0)):
        whole = _search(simulate(Cohort(stages_years=planted), seed=2))[0]
        assert _ages(merged(whole)) == pytest.approx(planted, abs=3)


def test_an_index_that_falls_with_age_has_the_same_stages() -> None:
    table = simulate(Cohort(stages_years=PLANTED), seed=3)
    assert table.index is not None
    rising, falling = (merged(_search(t)[0]) for t in (table, replace(table, index=-table.index)))
    assert _ages(rising) == _ages(falling)
    assert all(stage.slope_per_year < 0 and stage.excess_per_year < 0 for stage in falling)


@pytest.mark.parametrize("cohort", [Cohort(), Cohort(curvature=0.001), Cohort(spread_growth=1.0)])
def test_even_ageing_has_no_stage(cohort: Cohort) -> None:
    """Straight, ever faster, and with a spread that doubles."""
    claims = sum(bool(merged(group)) for seed in range(4) for group in _search(simulate(cohort, seed))[:1])
    assert claims <= 1  # at 2.5 % each, two or more of four happen less than once in a hundred


def test_a_site_with_higher_values_and_older_people_is_no_stage() -> None:
    """Site B starts at 50 and reads two standard deviations higher: a step at 50 that ageing did not make."""
    table = simulate(Cohort(site_shift=0), seed=4)
    assert table.index is not None
    rng = np.random.default_rng(0)
    at_b = (table.age_years > 50) & (rng.random(len(table)) < 0.7)
    shifted = replace(table, site=np.where(at_b, "B", "A"), index=table.index + 2.0 * at_b)
    assert merged(search_stages(groups_of(shifted, adjust_sites=True), QUICK)[0]) == ()
    naive = merged(search_stages(groups_of(shifted, adjust_sites=False), QUICK)[0])
    assert _ages(naive) == pytest.approx([50], abs=3)


def test_few_people_are_not_searched() -> None:
    assert not any(group.searched for group in _search(simulate(Cohort(people=120), seed=0)))
    assert not _search(simulate(Cohort(youngest_years=40, oldest_years=60), seed=0))[0].searched


def test_same_seed_same_answer() -> None:
    table = simulate(Cohort(people=600, stages_years=(50.0,)), seed=5)
    assert [merged(group) for group in _search(table)] == [merged(group) for group in _search(table)]


def test_adjusted_p_by_hand() -> None:
    maxima = np.array([1.0, 2.0, 3.0, 4.0])
    assert adjusted_p(3.0, maxima) == pytest.approx(3 / 5)  # 3, 4 and the data itself
    assert adjusted_p(9.0, maxima) == pytest.approx(1 / 5)


def test_a_peak_needs_height_and_both_sides() -> None:
    ages = np.arange(40, 61.0)
    z = np.exp(-(((ages - 50) / 3) ** 2)) * 6
    flat = np.full(21, 5.0)
    maxima = np.linspace(1, 4, 199)

    def found(before: np.ndarray, after: np.ndarray, scale: float = 1.0) -> int:  # type: ignore[type-arg]
        contrast = Contrast(5.0, ages, flat, flat, scale * z, before, after)
        return len(find_stages(Search((contrast,), maxima), maxima, 0.05))

    assert found(flat, flat) == 1
    assert found(flat, np.zeros(21)) == 0  # a rise that stays is no stage
    assert found(np.zeros(21), flat) == 0
    assert found(flat, flat, scale=0.5) == 0


@pytest.mark.slow
def test_planted_stages_are_found_in_nine_of_ten_cohorts() -> None:
    hits = 0
    for seed in range(50):
        found = _ages(merged(_search(simulate(Cohort(stages_years=PLANTED), seed))[0]))
        hits += all(any(abs(age - truth) <= 3 for age in found) for truth in PLANTED)
    assert hits >= 45


@pytest.mark.slow
def test_linear_cohorts_claim_a_stage_in_at_most_five_percent() -> None:
    claims = sum(any(merged(group) for group in _search(simulate(Cohort(), 1000 + seed))) for seed in range(200))
    assert claims <= 10
