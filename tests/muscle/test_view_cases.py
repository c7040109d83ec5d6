"""Random views as cases of an nnU-Net raw data set."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs lumbar[train]")

from slice_scene import example

from lumbar.domain.geometry import BACK, LEFT
from lumbar.muscle.learn.nnunet_cases import view_cases
from lumbar.muscle.learn.train import MuscleTraining
from lumbar.muscle.learn.views import UNKNOWN


def half_known():
    """An example with unknown outermost columns of the erector spinae."""
    one = example()
    labels = one.labels.copy()
    labels[90:140, 60:66] = labels[90:140, 189:195] = UNKNOWN
    return replace(one, labels=labels)


def test_views_are_stacked_with_their_labels_and_the_grid_that_prediction_has():
    config = MuscleTraining(view=(64, 96), pixel_mm=2.5)
    cases = list(view_cases([half_known()], 20, config))
    assert len({case.name for case in cases}) == 2
    for case in cases:
        assert case.image.array.shape == case.labels.array.shape == (16, 64, 96)
        assert case.image.grid.spacing_mm == pytest.approx((4.0, 2.5, 2.5))
        assert case.image.grid.row_step_mm / 2.5 == pytest.approx(BACK)
        assert case.image.grid.column_step_mm / 2.5 == pytest.approx(LEFT)
        assert np.isfinite(case.image.array).all()
        assert (case.image.array.std(axis=(1, 2)) > 0.3).all()
    labels = np.concatenate([case.labels.array for case in cases])
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4, UNKNOWN}
    columns = np.indices(labels.shape)[2]
    middles = [columns[labels == label].mean() for label in (1, 2, 3, 4)]
    assert middles == sorted(middles)  # right before left, in mirrored views too
