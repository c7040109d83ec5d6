"""Fat maps colour measured muscles only."""

from types import SimpleNamespace

import numpy as np

from lumbar.domain.anatomy import Level
from lumbar.muscle.labels import PSOAS_RIGHT
from lumbar.report.drawing import draw_axial


def test_a_muscle_whose_fat_was_not_measured_stays_grey():
    muscles = np.zeros((60, 60), dtype=np.uint8)
    muscles[35:55, 8:28] = 2
    muscles[35:55, 32:52] = PSOAS_RIGHT
    fat = np.where(muscles == 2, 0.5, 0.0).astype(np.float32)
    view = SimpleNamespace(grey=np.full((60, 60), 90, np.uint8), muscles=muscles, fat=fat, pixel_mm=0.5, level=SimpleNamespace(level=Level.L4_L5))
    drawn = np.asarray(draw_axial(view, fat=True), dtype=int)
    measured, unmeasured = drawn[78:86, 34:40], drawn[78:86, 82:88]  # inside both, at twice the size, away from marks and outlines
    assert (np.ptp(unmeasured, axis=-1) == 0).all()
    assert (np.ptp(measured, axis=-1) > 30).all()
