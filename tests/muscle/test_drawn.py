"""Drawn slices against published muscle areas."""

import numpy as np
import pytest

from lumbar.muscle.learn.drawn_canvas import DrawnCanvas
from lumbar.muscle.learn.drawn_outline import outlines, random_back, smooth
from lumbar.muscle.learn.drawn_slices import drawn_slices


def areas(level, people=20):
    """(people, 2) mm² of erector spinae and multifidus of the right side."""
    found = []
    for seed in range(people):
        canvas = DrawnCanvas(220, 300, 110)
        right, _ = outlines(random_back(np.random.default_rng(seed)), level)
        inside, deep = canvas.shape(right.compartment) > 0.5, canvas.shape(right.multifidus) > 0.5
        found.append(((inside & ~deep).sum(), (inside & deep).sum()))
    return np.array(found)


def test_erector_spinae_shrinks_and_multifidus_grows_downwards():
    # Published mean areas of one side: erector spinae about 20 cm² at L3/L4 and less than half below L5, multifidus about 3 cm² at L2 and 10 cm² at L5.
    erector, multifidus = np.array([areas(level).mean(axis=0) for level in (0, 0.25, 0.5, 0.75, 1)]).T
    assert 1500 < erector[2] < 2400
    assert erector[4] < 0.7 * erector[2]
    assert 200 < multifidus[0] < 500
    assert 700 < multifidus[4] < 1400
    assert (np.diff(multifidus) > 0).all()


def test_areas_vary_between_people():
    both = areas(0.5).sum(axis=1)
    assert 0.12 < both.std() / both.mean() < 0.45


def test_slices_have_four_muscles_each_on_its_side():
    for seed in range(4):
        for one in drawn_slices(seed, 2):
            assert set(np.unique(one.labels)) == set(range(8))
            columns = {label: np.argwhere(one.labels == label)[:, 1].mean() for label in (1, 2, 3, 4)}
            assert columns[1] < columns[2] < one.labels.shape[1] / 2 < columns[3] < columns[4]
            psoas, body = (np.argwhere(one.labels == label) for label in (5, 7))
            assert psoas[:, 1].mean() < body[:, 1].mean() < np.argwhere(one.labels == 6)[:, 1].mean()  # the right psoas on the left
            assert body[:, 0].mean() < np.argwhere(one.labels == 2)[:, 0].mean()  # in front of the multifidus
            muscle = np.isin(one.labels, (1, 2, 3, 4))
            assert 0.25 < one.water[muscle].mean() < 0.9
            total = one.water + one.fat
            assert (one.fat[muscle] / total[muscle]).mean() < 0.6


def test_the_same_seed_draws_the_same_slices():
    first, again = drawn_slices(5, 2), drawn_slices(5, 2)
    assert all(np.array_equal(a.water, b.water) and np.array_equal(a.labels, b.labels) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].labels, first[1].labels)


def test_shapes_cover_their_geometric_area():
    canvas = DrawnCanvas(80, 100, 30)
    square = np.array([(-10, 0), (10, 0), (10, 25), (-10, 25)], float)
    assert canvas.shape(square).sum() == pytest.approx(500, rel=0.05)
    assert canvas.ellipse((0, 10), (20, 10)).sum() == pytest.approx(np.pi * 200, rel=0.03)
    rows, columns = np.nonzero(canvas.shape(square) > 0.5)
    assert rows.mean() == pytest.approx(30 + 12.5, abs=0.6)
    assert columns.mean() == pytest.approx(49.5, abs=0.6)


def test_a_smooth_curve_passes_through_its_points():
    corners = np.array([(0, 0), (4, 0), (4, 3), (0, 3)], float)
    assert np.array_equal(smooth(corners)[::6], corners)
