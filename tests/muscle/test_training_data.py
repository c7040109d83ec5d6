"""Dixon folders in both layouts, with phantoms as data."""

import json

import numpy as np
import pytest
from PIL import Image
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


def test_single_slices_become_nnunet_cases_of_the_back_muscles(tmp_path):
    pytest.importorskip("torch", reason="the contrasts of Dixon pairs need lumbar[train]")
    from lumbar.muscle.learn.nnunet_cases import subject_cases  # noqa: PLC0415

    for part in ("images", "masks"):
        (tmp_path / "muscle_t2" / part).mkdir(parents=True)
    labels = np.zeros((40, 60), np.uint8)
    labels[5:30, 4:20], labels[5:12, 25:40] = 1, 7
    Image.fromarray(np.full(labels.shape, 90, np.uint8)).save(tmp_path / "muscle_t2" / "images" / "12.webp")
    Image.fromarray(labels).save(tmp_path / "muscle_t2" / "masks" / "12.png")
    (tmp_path / "muscle_t2" / "table.csv").write_text("name\n12\n")
    (case,) = subject_cases([tmp_path / "muscle_t2"])
    assert case.name == "muscle-t2-12"
    assert case.image.array.shape == (1, 40, 60) and case.image.grid.spacing_mm[1:] == pytest.approx((0.45, 0.45))
    assert set(np.unique(case.labels.array)) == {0, 1}  # the vertebra is not labelled in every set
    assert (case.labels.array == 1).sum() == 25 * 16
