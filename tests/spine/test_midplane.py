"""The middle of the canal is found where the network takes vessels in front of the column for a canal."""

import numpy as np
import pytest

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.spine.midplane import find_midplane
from lumbar.spine.segment import PIXEL_MM, Segmentation

SLICES, ROWS, COLUMNS, GAP_MM = 15, 300, 200, 4.0
MIDDLE = 7


def column_at(labels: np.ndarray, slices: slice, front: int) -> None:
    """Bodies and discs of 40 columns depth, and what the network takes for a canal behind them."""
    labels[slices, 20:280, front : front + 40] = SpineClass.BODY
    for top in range(50, 280, 45):
        labels[slices, top : top + 12, front : front + 40] = SpineClass.DISC
    labels[slices, 20:280, front + 42 : front + 60] = SpineClass.CANAL


def segmentation(labels: np.ndarray) -> Segmentation:
    start = np.stack([np.arange(SLICES) * GAP_MM, np.zeros(SLICES), np.zeros(SLICES)], axis=1)
    grid = Grid(start, np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), ROWS, COLUMNS)
    probabilities = np.stack([labels == value for value in SpineClass], axis=1).astype(np.float16)
    return Segmentation(Volume(labels.astype(np.float32), grid), probabilities, labels, grid)


@pytest.mark.parametrize("seen_from", [2, 5], ids=["column labelled beside the vessel", "column missed beside the middle"])
def test_a_vessel_in_front_of_the_column_does_not_shift_the_midplane(seen_from: int) -> None:
    labels = np.zeros((SLICES, ROWS, COLUMNS), dtype=np.uint8)
    column_at(labels, slice(0, 6), 20)  # gut, and a vessel behind it
    labels[seen_from:12, 20:280, 100:140] = SpineClass.BODY
    column_at(labels, slice(5, 10), 100)
    path = find_midplane(segmentation(labels)).slice_of_row
    assert np.abs(path[60:260] - MIDDLE).max() * GAP_MM < 3.0


def test_both_pieces_of_an_interrupted_canal_count() -> None:
    """The upper piece of a canal that stenosis interrupts counts although the lower one lies 40 mm further back."""
    upper, lower = (np.zeros((SLICES, ROWS, COLUMNS), dtype=np.uint8) for _ in range(2))
    column_at(upper, slice(4, 9), 40)
    column_at(lower, slice(6, 11), 93)
    labels = np.where(np.arange(ROWS)[:, None] < 150, upper, lower)
    labels[6:9, 145:155, 40:133] = SpineClass.BODY
    labels[:, 145:155][labels[:, 145:155] == SpineClass.CANAL] = SpineClass.BACKGROUND
    path = find_midplane(segmentation(labels)).slice_of_row
    assert path[20:60].mean() == pytest.approx(6, abs=0.3)
    assert path[240:280].mean() == pytest.approx(8, abs=0.3)


@pytest.mark.parametrize("slope", [-0.2, -0.1, 0.0, 0.2])
def test_the_path_follows_a_canal_that_crosses_the_slices_to_its_ends(slope: float) -> None:
    """A canal 16 mm wide, drawn along a line that moves sideways by `slope` millimetres per millimetre."""
    labels = np.zeros((SLICES, ROWS, COLUMNS), dtype=np.uint8)
    column_at(labels, slice(0, SLICES), 60)
    true_mm = MIDDLE * GAP_MM + slope * (np.arange(ROWS) - ROWS / 2) * PIXEL_MM
    aside_mm = np.abs(np.arange(SLICES)[:, None] * GAP_MM - true_mm)
    labels[(labels == SpineClass.CANAL) & (aside_mm > 8.0)[:, :, None]] = SpineClass.BACKGROUND
    path_mm = find_midplane(segmentation(labels)).slice_of_row * GAP_MM
    assert np.abs(path_mm - true_mm)[20:280].max() < 1.6  # less than half of the distance between slices
