"""The occlusion baseline: means by place, groups by contrast and not by how worn the discs are."""

import numpy as np
import pytest

from lumbar.age.crops import CropOptions
from lumbar.age.learn.occlusion_baseline_fit import fit_baseline
from lumbar.age.occlusion_baseline import OcclusionBaseline, rows_beside_discs
from lumbar.age.store import MARGIN, CropStore, packed

OPTIONS = CropOptions()


def _store(grey: np.ndarray, disc: np.ndarray) -> CropStore:
    """Crops of grey bodies with a disc of another grey, at three places."""
    n = len(grey)
    images = np.broadcast_to(grey[:, None, None, None, None], (n, 5, 3, OPTIONS.rows + 2 * MARGIN, OPTIONS.columns + 2 * MARGIN)).copy()
    images[:, :, :, 19 + MARGIN : 21 + MARGIN] = disc[:, None, None, None, None]
    position = np.tile(np.array([-14.0, 0.0, 14.0], dtype=np.float32), (n, 5, 1))
    words = np.array(["x"] * n)
    ages = np.full(n, 50, dtype=np.float32)
    sex, healthy, labels = np.zeros(n, dtype=np.float32), np.ones(n, dtype=bool), np.zeros((n, 5, 0), dtype=np.float32)
    return CropStore(packed(images), position, np.ones_like(position), ages, sex, words, words, words, healthy, labels, OPTIONS)


def test_groups_follow_the_contrast_and_average_over_the_discs() -> None:
    random = np.random.default_rng(0)
    grey = np.repeat([0.2, 0.8], 30)
    disc = random.uniform(0, 1, 60)
    store = _store(grey, disc)
    groups = fit_baseline(store, groups=2)
    assert groups.shape == (2, 5, 5, OPTIONS.rows, OPTIONS.columns)
    assert sorted(groups[:, 0, 2, 5, 5].tolist()) == pytest.approx([0.2, 0.8], abs=0.01)
    for number in (0, 45):
        slices = store.slices(number)
        baseline = OcclusionBaseline(groups).like(slices)
        assert baseline.shape == slices.images.shape
        assert abs(baseline[2, 1, 5, 5] - grey[number]) < 0.01
        own = disc[:30] if number < 30 else disc[30:]
        assert abs(baseline[2, 1, 20, 5] - own.mean()) < 0.01  # whatever the study's own disc shows


def test_a_handful_of_odd_studies_makes_no_group() -> None:
    grey = np.array([0.2] * 30 + [0.8] * 30 + [1.3] * 3)
    groups = fit_baseline(_store(grey, np.full(63, 0.5)), groups=3)
    assert len(groups) == 2
    assert sorted(groups[:, 0, 2, 5, 5].tolist()) == pytest.approx([0.2, (30 * 0.8 + 3 * 1.3) / 33], abs=0.01)


def test_rows_beside_discs_leave_the_disc_out() -> None:
    beside = rows_beside_discs(OPTIONS)
    assert not beside[13:27].any()
    assert beside[[0, 10, 30, 39]].all()


def test_two_almost_equal_studies_between_two_groups_get_almost_equal_typical_crops() -> None:
    groups = fit_baseline(_store(np.repeat([0.2, 0.8], 30), np.full(60, 0.5)), groups=2)
    between = _store(np.array([0.496, 0.504]), np.array([0.5, 0.5]))
    found = [OcclusionBaseline(groups).like(between.slices(number))[2, 1, 5, 5] for number in (0, 1)]
    assert found == pytest.approx([0.5, 0.5], abs=0.08)  # by hand: ((0.304 / 0.296)²)⁴ = 1.24 to 1, so 0.468 and 0.532
    assert found[0] < found[1]
