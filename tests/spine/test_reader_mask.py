"""The spine measured again on outlines that a reader redrew."""

import numpy as np
import pytest
from cartoon import Drawing, draw, spine_task

from lumbar.domain.reading import ReaderMasks
from lumbar.domain.study import Patient, Plane, Role, Series, Stack, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError, UnreadableInput
from lumbar.io.nifti import read_nifti_mask, write_nifti
from lumbar.spine.find import FoundSpine
from lumbar.spine.spine_map import MASK_CANAL, tissue_mask


@pytest.fixture
def study(whole_images: None) -> Study:
    volume, _ = draw(Drawing())
    stack = Stack(volume, tuple(range(1, volume.grid.shape[0] + 1)))
    return Study("s", (Series("1", (stack,), Plane.SAGITTAL, Weighting.T2, Role.SAGITTAL_T2, ""),))


@pytest.fixture
def found(study: Study) -> FoundSpine:
    return spine_task().run(study, None, Patient()).evidence


def measured(study: Study, mask: Volume) -> FoundSpine:
    return spine_task().run(study, None, Patient(masks=ReaderMasks(mask))).evidence


def test_the_own_mask_changes_nothing(study: Study, found: FoundSpine) -> None:
    assert measured(study, tissue_mask(found.spine)).spine.finding == found.spine.finding


def test_a_canal_widened_by_a_known_amount_is_measured_wider_by_it(study: Study, found: FoundSpine, tmp_path) -> None:
    mask = tissue_mask(found.spine)
    front_to_back = int(np.argmax(np.abs([step[1] for step in (mask.grid.slice_step_mm, mask.grid.row_step_mm, mask.grid.column_step_mm)])))
    step_mm = mask.grid.spacing_mm[front_to_back]
    canal = mask.array == MASK_CANAL
    wider = canal.copy()
    for by in (-2, -1, 1, 2):
        wider |= np.roll(canal, by, axis=front_to_back)
    drawn = np.where(wider & (mask.array == 0), MASK_CANAL, mask.array).astype(np.uint8)
    write_nifti(tmp_path / "m.nii.gz", Volume(drawn, mask.grid))
    again = measured(study, read_nifti_mask(tmp_path / "m.nii.gz"))
    after = {level.level: level.canal_ap_mm for level in again.spine.finding.levels}
    grown = []
    for level in found.spine.finding.levels[:-1]:  # the canal is measured where it is narrowest: at L5/S1 that is another row than the one counted here
        index = np.rint(mask.grid.indices(np.array([level.canal_center_mm]))[0]).astype(int)
        line: list[int | slice] = [*index]
        line[front_to_back] = slice(None)
        drawn_mm = float(int((drawn[tuple(line)] == MASK_CANAL).sum()) - int(canal[tuple(line)].sum())) * step_mm  # beside bone there is no room
        assert after[level.level] - level.canal_ap_mm == pytest.approx(drawn_mm, abs=1.1 * step_mm), level.level
        grown.append(drawn_mm)
    lowest = found.spine.finding.levels[-1]  # another row may be the narrowest after the change: it cannot be narrower, nor wider than what was drawn
    assert -0.1 * step_mm <= after[lowest.level] - lowest.canal_ap_mm <= 4.1 * step_mm
    assert max(grown) >= 2 * step_mm
    heights = [[level.disc_height_mm for level in one.spine.finding.levels] for one in (again, found)]
    assert heights[0] == pytest.approx(heights[1], abs=0.2)
    assert (tissue_mask(again.spine).array == MASK_CANAL).sum() > 1.1 * canal.sum()


def test_masks_on_another_grid_or_with_other_values_are_refused(study: Study, found: FoundSpine) -> None:
    mask = tissue_mask(found.spine)
    with pytest.raises(GeometryError, match="another grid"):
        measured(study, mask.moved((1.0, 0.0, 0.0)))
    with pytest.raises(UnreadableInput, match="value 7"):
        measured(study, Volume(np.where(mask.array == 1, 7, mask.array).astype(np.uint8), mask.grid))
