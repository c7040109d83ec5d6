"""Dixon folders in both layouts, with phantoms as data."""

import json

import numpy as np
import pytest
from scene import axial_grid, axial_mask, dixon

from lumbar.datasets.myosegmentum import read_dixon
from lumbar.datasets.nnunet_raw import RawCase, raw_pairs, write_raw
from lumbar.errors import UnreadableInput
from lumbar.io.nifti import write_nifti


@pytest.fixture
def volumes():
    grid = axial_grid()
    mask = axial_mask(grid)
    return (*dixon(grid, mask, {1: 0.1, 2: 0.3, 3: 0.25, 4: 0.05}), mask)


def test_plain_files_and_a_raw_data_set_give_the_same_subjects(tmp_path, volumes):
    water, fat, mask = volumes
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("b", "a"):
        for part, volume in (("water", water), ("fat", fat), ("mask", mask)):
            write_nifti(plain / f"{name}_{part}.nii.gz", volume)
    cases = [RawCase(f"{name}_{part}", volume, mask) for name in ("b", "a") for part, volume in (("water", water), ("fat", fat), ("T1", water))]
    raw = write_raw(tmp_path, 7, "Muscle", {"one": 1}, cases)
    for folder in (plain, raw):
        found = list(read_dixon(folder))
        assert [case.subject for case in found] == ["a", "b"]
        for case in found:
            assert np.array_equal(case.water.array, water.array)
            assert np.array_equal(case.fat.array, fat.array)
            assert np.array_equal(case.mask.array, mask.array)


def test_a_water_case_without_its_fat_is_no_subject(tmp_path, volumes):
    water, _, mask = volumes
    raw = write_raw(tmp_path, 7, "Muscle", {"one": 1}, [RawCase("a_water", water, mask)])
    assert raw_pairs(raw) == ()
    with pytest.raises(UnreadableInput, match="water"):
        list(read_dixon(raw))
    assert json.loads((raw / "dataset.json").read_text())["numTraining"] == 1
