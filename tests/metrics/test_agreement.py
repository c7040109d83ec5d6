"""Agreement statistics: textbook and published figures, statsmodels, and properties."""

import numpy as np
import pytest
from scipy import stats

from lumbar.errors import UsageError
from lumbar.metrics.agreement import agreement, icc_2_1

# Shrout and Fleiss (1979), table 2: six targets, four judges; their ICC(2,1) is .29.
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)

# bias, limits, MAE of the 331 published volumes, in cm³ for labels 1 to 4
PUBLISHED = {1: (3.22, 0.68, -7.90, 9.25), 2: (1.72, 0.09, -4.66, 4.83), 3: (1.50, 0.23, -4.00, 4.46), 4: (2.87, -0.02, -7.77, 7.72)}
PUBLISHED_T = {1: (54.9682, -49.3495), 4: (59.6704, -59.8977)}  # TOST statistics printed by the authors


def test_icc_of_shrout_and_fleiss():
    estimate, low, high = icc_2_1(SHROUT_FLEISS)
    assert estimate == pytest.approx(0.2898, abs=5e-5)
    assert (low, high) == pytest.approx((0.0188, 0.7611), abs=5e-4)  # as R's psych::ICC prints for this table


def test_by_hand():
    found = agreement([10, 20, 30, 40], [11, 19, 33, 41])
    assert found.mae == 1.5
    assert found.bias == 1.0  # measured minus reference
    spread = np.sqrt((0 + 4 + 4 + 0) / 3)
    assert (found.loa_low, found.loa_high) == pytest.approx((1 - 1.96 * spread, 1 + 1.96 * spread))
    assert found.tost_margin == pytest.approx(0.05 * 25)


def test_tost_is_two_one_sided_t_tests():
    rng = np.random.default_rng(1)
    a = rng.normal(100, 20, 30)
    b = a + rng.normal(1, 4, 30)
    margin = 0.05 * a.mean()
    lower = stats.ttest_1samp(b - a, -margin, alternative="greater").pvalue
    upper = stats.ttest_1samp(b - a, margin, alternative="less").pvalue
    assert agreement(a, b).tost_p == pytest.approx(max(lower, upper))


def test_a_constant_shift_lowers_absolute_agreement_but_not_pearson():
    a = np.random.default_rng(0).normal(50, 5, 60)
    found = agreement(a, a + 5)
    assert found.pearson == pytest.approx(1)
    assert found.icc_2_1 < 0.8
    assert not found.equivalent
    assert agreement(a, a).icc_2_1 == pytest.approx(1)


def test_refuses_what_cannot_be_compared():
    for a, b in (([1, 2], [1, 2]), ([1, 2, 3], [1, 2, 3, 4]), ([1, 2, np.nan], [1, 2, 3])):
        with pytest.raises(UsageError):
            agreement(a, b)


@pytest.mark.real
@pytest.mark.parametrize("label", [1, 2, 3, 4])
def test_published_figures_to_their_last_digit(shared_data, label):
    table = np.genfromtxt(shared_data / "dixon" / "MRI_volume_internal_test331.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    found = agreement(table[f"volume{label}_gd"], table[f"volume{label}_ai"])
    assert tuple(round(x, 2) for x in (found.mae, found.bias, found.loa_low, found.loa_high)) == PUBLISHED[label]
    assert 0.998 <= round(found.icc_2_1, 3) <= 0.999
    assert found.equivalent
    if label in PUBLISHED_T:
        error = (found.loa_high - found.loa_low) / 2 / 1.96 / np.sqrt(331)
        t = (found.bias + found.tost_margin) / error, (found.bias - found.tost_margin) / error
        assert t == pytest.approx(PUBLISHED_T[label], abs=5e-5)
