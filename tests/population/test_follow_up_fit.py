"""Whether two examinations show the same person under the same names."""

from dataclasses import replace

import pytest
from follow_up_examinations import examination, findings, moved_names

from lumbar.population.follow_up.fit import fit_of


def test_the_same_person_in_another_position_fits():
    fit = fit_of(examination(findings("1.1")), examination(findings("1.2")))
    assert fit.status == "passed" and fit.better_shift == 0 and len(fit.common_levels) == 5
    assert fit.distance_disagreement == pytest.approx(0.0, abs=1e-3)
    assert fit.residual_mm == pytest.approx(0.0, abs=0.01)


def test_another_person_does_not_fit():
    other = findings("1.2")
    levels = tuple(replace(own, center_mm=tuple(1.2 * v for v in own.center_mm)) for own in other.spine.levels)
    fit = fit_of(examination(findings("1.1")), examination(replace(other, spine=replace(other.spine, levels=levels))))
    assert fit.status == "failed" and fit.distance_disagreement == pytest.approx(2 * 0.2 / 2.2, abs=0.005)


def test_levels_named_one_too_high_are_noticed():
    fit = fit_of(examination(findings("1.1")), examination(moved_names(findings("1.2"))))
    assert fit.status == "failed" and fit.better_shift == -1
    assert any("check the names" in note for note in fit.notes)


def test_uncertain_names_make_the_fit_doubtful():
    unsure = findings("1.2")
    numbering = replace(unsure.spine.numbering, confident=False)
    fit = fit_of(examination(findings("1.1")), examination(replace(unsure, spine=replace(unsure.spine, numbering=numbering))))
    assert fit.status == "doubtful"
