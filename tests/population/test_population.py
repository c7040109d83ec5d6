"""Irregular tables: errors and warnings."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lumbar.errors import UnreadableInput
from lumbar.population.analysis import PopulationOptions, describe
from lumbar.population.simulated_cohorts import Cohort, simulate
from lumbar.population.stages import StageOptions
from lumbar.report.research.aging_tables import population_document

QUICK = PopulationOptions(draws=200, stages=StageOptions(draws=200))


def test_a_value_far_beyond_all_others_is_named() -> None:
    table = simulate(Cohort(people=300), 0)
    assert table.index is not None
    wild = replace(table, index=np.where(np.arange(300) == 5, 1e6, table.index))
    assert not any("far beyond" in warning for warning in describe(table, QUICK).warnings)
    assert any("line 7;" in warning for warning in describe(wild, QUICK).warnings)


def test_equal_values_are_rejected() -> None:
    table = simulate(Cohort(people=300), 0)
    with pytest.raises(UnreadableInput, match="L4/L5 are 3"):
        describe(replace(table, index=np.full(300, 3.0)), QUICK)


@pytest.mark.parametrize("change", ["whole years", "unknown sex", "one woman", "a site each", "a gap", "an exact line"])
def test_odd_tables_give_finite_documents(change: str) -> None:
    table = simulate(Cohort(people=300), 1)
    odd = {
        "whole years": lambda: replace(table, age_years=np.round(table.age_years)),
        "unknown sex": lambda: replace(table, sex=np.full(300, "U")),
        "one woman": lambda: replace(table, sex=np.array(["F"] + ["M"] * 299)),
        "a site each": lambda: replace(table, site=table.subject),
        "a gap": lambda: table.rows((table.age_years < 40) | (table.age_years > 60)),
        "an exact line": lambda: replace(table, index=table.age_years * 1.0),
    }[change]()
    document = population_document(describe(odd, QUICK))
    json.dumps(document, allow_nan=False)
    assert document["stages"] == []
    assert document["curves"][0]["mean_slope_per_year"] > 0
