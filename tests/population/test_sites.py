"""The site check on planted offsets."""

from dataclasses import replace

import numpy as np
import pytest

from lumbar.datasets.age_table import AgeTable
from lumbar.population.groups import groups_of
from lumbar.population.simulated_cohorts import Cohort, simulate
from lumbar.population.sites import SiteCheck, check_sites


def _check(table: AgeTable) -> SiteCheck:
    check = check_sites(groups_of(table)[0], levels=1)
    assert check is not None
    return check


def test_planted_offsets_are_measured() -> None:
    check = _check(simulate(Cohort(site_shift=0.5), seed=0))
    assert [site.site for site in check.sites] == ["A", "B", "C"]
    assert [site.offset for site in check.sites] == pytest.approx([-0.5, 0, 0.5], abs=0.12)
    assert all(site.low < site.offset < site.high for site in check.sites)
    assert check.differs
    assert check.variance_share == pytest.approx(0.167 / 1.167, abs=0.04)  # variance of −0.5, 0, 0.5 against 1 within


def test_equal_sites_rarely_differ() -> None:
    assert sum(_check(simulate(Cohort(people=400, site_shift=0), seed)).differs for seed in range(20)) <= 4


def test_sites_of_different_ages_are_confounded_with_ageing() -> None:
    table = simulate(Cohort(site_shift=0), seed=1)
    apart = replace(table, site=np.where(table.age_years < 50, "young", "old"))
    assert _check(apart).age_share > 0.6
    assert _check(table).age_share < 0.05


def test_one_site_or_tiny_sites_are_not_compared() -> None:
    table = simulate(Cohort(people=200), seed=2)
    assert check_sites(groups_of(replace(table, site=np.full(200, "x")))[0], 1) is None
    tiny = np.full(200, "x", dtype="<U8")
    tiny[:5] = "y"
    assert check_sites(groups_of(replace(table, site=tiny))[0], 1) is None
