"""Stations cut from one image give that image again, in whatever order and wherever they were cut."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.imaging.stations import joined

ROWS = 120
RNG = np.random.default_rng(0)
TURN = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])
WHOLE = Volume(
    RNG.uniform(0, 1000, (7, ROWS, 40)).astype(np.float32),
    Grid(np.arange(7)[:, None] * np.array([4.0, 0, 0]) @ TURN.T, np.array([0, 0, -1.5]), TURN @ np.array([0, 1.5, 0]), ROWS, 40),
)


def part(first: int, last: int) -> Volume:
    grid = WHOLE.grid
    return Volume(WHOLE.array[:, first:last], Grid(grid.origins_mm + first * grid.row_step_mm, grid.row_step_mm, grid.column_step_mm, last - first, 40))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(20, 100), min_size=1, max_size=3, unique=True), st.integers(0, 15), st.randoms())
def test_stations_give_the_whole_image(cuts, overlap, random):
    edges = [0, *sorted(cuts), ROWS]
    stations = [part(max(0, a - overlap), b) for a, b in pairwise(edges)]
    random.shuffle(stations)
    found = joined(stations)
    longest = max(one.grid.rows for one in stations)
    if 1.15 * longest > ROWS:
        assert found is None  # repeats rather than stations
        return
    assert found is not None
    np.testing.assert_allclose(found.grid.origins_mm, WHOLE.grid.origins_mm, atol=1e-9)
    np.testing.assert_allclose(found.array, WHOLE.array, atol=0.1)


@settings(max_examples=15, deadline=None)
@given(st.floats(1.0, 40.0), st.sampled_from(["aside", "gap", "turned", "other slices"]))
def test_what_does_not_continue_is_not_joined(far, how):
    upper, lower = part(0, 60), part(60, ROWS)
    grid = lower.grid
    if how == "aside":
        moved = Grid(grid.origins_mm + (15 + far) * 2 * TURN[:, 1], grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns)
    elif how == "gap":
        moved = Grid(grid.origins_mm - np.array([0, 0, 6 + far]), grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns)
    elif how == "turned":
        c, s = np.cos(np.radians(far + 1)), np.sin(np.radians(far + 1))
        turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        moved = Grid(grid.origins_mm, turn @ grid.row_step_mm, turn @ grid.column_step_mm, grid.rows, grid.columns)
    else:
        moved = Grid(grid.origins_mm + max(far, 1.0) * TURN[:, 0], grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns)
    assert joined([upper, Volume(lower.array, moved)]) is None
