"""The packaged weights on a subject of the training set: a test of export and command, not of accuracy on other people."""

import json

import numpy as np
import pytest

from lumbar.cli.main import main
from lumbar.io.nifti import read_nifti_mask
from lumbar.muscle.evaluate import evaluate_masks


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
