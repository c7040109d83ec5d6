"""Measurements that graders of whole studies take from the spine model."""

import numpy as np

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding
from lumbar.severity.studies.spine_crops import measured
from lumbar.severity.studies.views import LEVELS, MEASURES


def test_graders_get_the_heights_of_the_masks_that_they_were_trained_with():
    finding = LevelFinding(
        Level.L4_L5, (0.0, 0.0, 0.0), disc_height_posterior_mm=9.0, disc_height_mm=10.0, disc_height_index=0.4, disc_mask_heights_mm=(8.0, 9.0, 7.0)
    )

    row = dict(zip(MEASURES, measured([finding])[LEVELS.index(Level.L4_L5)], strict=True))

    np.testing.assert_allclose([row["disc_height_mm"], row["disc_height_posterior_mm"], row["disc_height_index"]], [8.0, 7.0, 0.32], rtol=1e-6)
    assert np.isnan(row["canal_ap_mm"])


def test_a_level_without_heights_has_none():
    assert np.isnan(measured([LevelFinding(Level.L4_L5, (0.0, 0.0, 0.0))])).all()
