"""The largest component of masks drawn by hand."""

import numpy as np
import pytest

from lumbar.imaging.components import largest_component

MASK = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]], bool)


def test_of_two_components_the_larger_one_is_kept():
    expected = np.zeros_like(MASK)
    expected[1:, 4] = True
    np.testing.assert_array_equal(largest_component(MASK), np.where(expected, True, False))


def test_neighbours_over_corners_count_where_the_structure_connects_them():
    found = largest_component(np.pad(MASK, ((0, 0), (0, 1)))[:2], np.ones((3, 3)))
    assert found.sum() == 3
    assert found[1, 2]


@pytest.mark.parametrize("mask", [np.zeros((3, 4, 2), bool), np.ones((3, 4, 2), bool)])
def test_masks_of_no_or_one_component_stay(mask):
    np.testing.assert_array_equal(largest_component(mask), mask)
