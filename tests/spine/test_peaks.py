"""The peaks equal those of scipy.signal.find_peaks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from lumbar.spine.peaks import find_peaks


@settings(deadline=None)  # the first call imports scipy.signal
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=60).map(lambda v: np.cumsum(np.array(v) - 15) / 10.0),
    st.floats(-2, 2),
    st.floats(1, 12),
    st.floats(0, 2),
)
def test_peaks_equal_those_of_scipy(profile: np.ndarray, height: float, distance: float, prominence: float) -> None:
    profile = profile + np.arange(len(profile)) * 1e-7  # no ties, of which either peak may remain
    wanted, _ = signal.find_peaks(profile, height=height, distance=distance, prominence=prominence)
    np.testing.assert_array_equal(find_peaks(profile, height, distance, prominence), wanted)


@pytest.mark.parametrize(("profile", "peaks"), [([0, 1, 0], [1]), ([0, 2, 2, 2, 0], [2]), ([3, 1, 0], []), ([1, 1, 1], []), ([0, 1, 0.5, 2, 0], [1, 3])])
def test_worked_examples(profile: list[float], peaks: list[int]) -> None:
    assert find_peaks(np.array(profile, float), 0.1, 1, 0.1).tolist() == peaks


def test_a_shoulder_below_the_prominence_is_no_peak() -> None:
    assert find_peaks(np.array([0, 1, 0.95, 2, 0]), 0.1, 1, 0.1).tolist() == [3]
