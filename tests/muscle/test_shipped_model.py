"""The packaged weights on a subject of the training set and on a phantom: tests of export and command, not of accuracy on other people."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lumbar.cli.main import main
from lumbar.domain.volume import Volume
from lumbar.io.nifti import read_nifti_mask
from lumbar.models.registry import find_model
from lumbar.muscle.engine import run_model
from lumbar.muscle.evaluate import evaluate_masks
from lumbar.muscle.predict import TASK
from lumbar.phantom.study import StudyOptions, make_study


@pytest.mark.real
def test_tum01_from_file_to_mask_and_measurements(shared_data, tmp_path, capsys):
    dixon = shared_data / "dixon"
    with pytest.raises(SystemExit) as stop:
        main(["segment", "muscle", str(dixon / "TUM01_water.nii.gz"), "--fat", str(dixon / "TUM01_fat.nii.gz"), "-o", str(tmp_path / "out"), "--json"])
    out, _ = capsys.readouterr()
    assert stop.value.code == 0
    reference = read_nifti_mask(dixon / "TUM01_mask_water.nii.gz")
    found = evaluate_masks(reference, read_nifti_mask(tmp_path / "out" / "muscle.nii.gz"))
    dices = [score.dice for score in found.scores]
    assert min(dices) > 0.87
    assert np.mean(dices) > 0.9  # this person is in the training set
    document = json.loads(out)
    assert document["muscles"][0]["fat_fraction_mean"] == pytest.approx(0.132, abs=0.02)  # of the reference mask
    assert any("rescaled" in warning for warning in document["warnings"])


def test_images_that_are_stored_with_the_back_in_front_are_reported():
    """Also as mirror images: a photograph of a slice without an affine has either error."""
    study = make_study(StudyOptions(7, roles=("axial_t2",)))
    volume = next(iter(study.series.values())).volumes()[0]
    grid = replace(volume.grid, origins_mm=volume.grid.origins_mm[:2])
    model = find_model(TASK, None, 1)
    said = []
    for rows, columns in ((1, 1), (-1, -1), (-1, 1)):
        turned = Volume(np.ascontiguousarray(np.asarray(volume.array)[:2, ::rows, ::columns]), grid)
        said.append("back in front" in " ".join(run_model(model, turned).warnings))
    assert said == [False, True, True]
