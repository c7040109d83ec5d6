"""Percentiles among healthy people, against the published numbers and a table of the normal distribution."""

import pytest

from lumbar.domain.anatomy import Muscle, Side
from lumbar.domain.findings import MuscleFinding
from lumbar.muscle.norms import places, with_norms


def test_a_mean_is_the_middle_and_a_standard_deviation_above_it_the_84th_percentile():
    (place,) = places(Muscle.MULTIFIDUS, 0.216, 45.0, None)
    assert place.percentile == pytest.approx(50.0)
    assert place.group == "healthy people aged 40 to 49"
    assert place.source == "Crawford et al. 2016"
    (place,) = places(Muscle.ERECTOR_SPINAE, 0.1597 + 0.0556, None, "F")
    assert place.percentile == pytest.approx(84.13, abs=0.01)
    assert place.source == "Si et al. 2023"


def test_age_and_sex_give_two_percentiles_independent_of_side():
    by_age, by_sex = places(Muscle.ERECTOR_SPINAE, 0.101 - 0.047, 29.9, "M")
    assert by_age.percentile == pytest.approx(15.87, abs=0.01)
    assert by_sex.percentile < by_age.percentile
    findings = [MuscleFinding(Muscle.MULTIFIDUS, side, 50.0, 900.0, 0.2, 0.2, None, "Dixon") for side in Side]
    left, right = with_norms(findings, 33.0, "F")
    assert len(left.fat_norms) == 2
    assert left.fat_norms == right.fat_norms


@pytest.mark.parametrize(("age", "sex"), [(19.9, None), (61.0, None), (75.0, "F"), (None, None), (None, "O")])
def test_people_outside_the_sources_have_no_percentile(age, sex):
    assert places(Muscle.MULTIFIDUS, 0.2, age, sex) == ()


def test_other_muscles_and_other_measures_have_none():
    assert places(Muscle.PSOAS, 0.05, 45.0, "F") == ()
    (finding,) = with_norms([MuscleFinding(Muscle.MULTIFIDUS, Side.LEFT, 50.0, 900.0, None, None, 0.2, "mixture")], 45.0, "F")
    assert finding.fat_norms == ()
