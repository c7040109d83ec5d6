"""The RSNA study: roles, stacks and the slices that its label coordinates name."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lumbar.domain.study import Plane, Role, Study, Weighting
from lumbar.domain.volume import Volume
from lumbar.io.read import read_study
from lumbar.io.roles import UNKNOWN_WEIGHTING
from lumbar.io.weighting_from_pixels import settle

STUDY = "100206310"


@pytest.fixture(scope="module")
def study(shared_data) -> Study:
    return read_study(shared_data / "rsna2024" / "train_images" / STUDY)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [row for row in csv.DictReader(file) if row["study_id"] == STUDY]


@pytest.mark.real
def test_roles_are_those_of_the_data_set(study, shared_data):
    names = {"Sagittal T1": Role.SAGITTAL_T1, "Sagittal T2/STIR": Role.SAGITTAL_T2, "Axial T2": Role.AXIAL_T2}
    table = rows(shared_data / "rsna2024" / "train_series_descriptions.csv")
    assert {s.series_uid: s.role for s in study.series} == {f"{STUDY}.{row['series_id']}": names[row["series_description"]] for row in table}
    assert study.study_uid == STUDY
    assert study.warnings == ()
    assert all(series.warnings == () for series in study.series)


@pytest.mark.real
def test_axial_blocks_and_the_slices_that_labels_name(study, shared_data):
    axial = study.with_role(Role.AXIAL_T2)[0]
    # Seven blocks: six directions, two blocks (8-15 and 16-23) being parallel. The five that were put through discs each hold one labelled slice.
    assert [(min(s.instance_numbers), max(s.instance_numbers)) for s in axial.stacks] == [
        (1, 7), (8, 15), (16, 23), (24, 32), (33, 41), (42, 50), (51, 60),
    ]  # fmt: skip
    labelled = {int(row["instance_number"]) for row in rows(shared_data / "rsna2024" / "train_label_coordinates.csv") if row["series_id"] in axial.series_uid}
    holding = [next(k for k, stack in enumerate(axial.stacks) if number in stack.instance_numbers) for number in sorted(labelled)]
    assert holding == [2, 3, 4, 5, 6]


@pytest.mark.real
def test_label_points_of_three_series_meet_in_patient_space(study, shared_data):
    by_level: dict[str, dict[str, np.ndarray]] = {}
    for row in rows(shared_data / "rsna2024" / "train_label_coordinates.csv"):
        series = next(s for s in study.series if s.series_uid == f"{STUDY}.{row['series_id']}")
        stack = next(s for s in series.stacks if int(row["instance_number"]) in s.instance_numbers)
        index = stack.instance_numbers.index(int(row["instance_number"]))
        point = stack.volume.grid.points_mm([index, float(row["y"]), float(row["x"])])
        by_level.setdefault(row["level"], {})[row["condition"]] = point
    assert len(by_level) == 5
    for points in by_level.values():
        canal = points["Spinal Canal Stenosis"]
        for condition, point in points.items():
            assert np.linalg.norm(point - canal) < 40
            if condition.startswith("Left"):  # the patient's left is +x
                assert point[0] > canal[0]
            if condition.startswith("Right"):
                assert point[0] < canal[0]


@pytest.mark.real
def test_pixels_are_those_of_the_files(study, shared_data):
    series = study.with_role(Role.SAGITTAL_T2)[0]
    folder = shared_data / "rsna2024" / "train_images" / STUDY / series.series_uid.split(".")[1]
    for array, number in zip(series.stacks[0].volume.array, series.stacks[0].instance_numbers, strict=True):
        np.testing.assert_array_equal(array, pydicom.dcmread(folder / f"{number}.dcm").pixel_array)


def without_descriptions(folder: Path, target: Path) -> Path:
    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        del dataset.SeriesDescription
        (target / path.parent.name).mkdir(exist_ok=True, parents=True)
        dataset.save_as(target / path.parent.name / path.name)
    return target


@pytest.mark.real
def test_without_descriptions_the_weighting_comes_from_the_pixels(study, shared_data, tmp_path):
    stripped = read_study(without_descriptions(shared_data / "rsna2024" / "train_images" / STUDY, tmp_path / "stripped"))
    assert {s.series_uid: s.role for s in stripped.series} == {s.series_uid: s.role for s in study.series}
    assert all("decided from the image" in s.reason for s in stripped.series)


@pytest.mark.real
@pytest.mark.parametrize("weighting", [Weighting.T1, Weighting.T2])
def test_the_weighting_of_an_axial_series_follows_from_the_brightness_of_fluid(study, weighting):
    sagittal = [s for s in study.series if s.plane is Plane.SAGITTAL]
    axial = study.with_role(Role.AXIAL_T2)[0]
    source = next(s for s in sagittal if s.weighting is weighting).stacks[0].volume
    stacks = []
    for stack in axial.stacks:  # the axial slices as that sagittal series would show them
        grid = stack.volume.grid
        index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
        there = np.round(source.grid.indices(grid.points_mm(index))).astype(int)
        inside = ((there >= 0) & (there < source.array.shape)).all(axis=-1)
        array = np.where(inside, source.array[tuple(np.clip(there, 0, np.array(source.array.shape) - 1).transpose(3, 0, 1, 2))], 0)
        noisy = array + np.random.default_rng(0).normal(0, array.std() / 2, array.shape) * inside
        stacks.append(replace(stack, volume=Volume(noisy.astype(np.float32), grid)))
    unknown = replace(axial, stacks=tuple(stacks), weighting=Weighting.UNKNOWN, role=Role.OTHER, reason=UNKNOWN_WEIGHTING)
    assert settle([*sagittal, unknown])[-1].weighting is weighting


@pytest.mark.real
def test_images_that_leave_doubt_stay_undecided_rather_than_wrong(shared_data):
    # Fractures, scoliosis, whole-spine fields of view and re-windowed grey values: unlike the training images.
    truth = {"VB1_02": "T1", "VB1_03": "STIR", "VB1_06": "T1", "VB1_07": "STIR", "VB1_08": "T1", "VB1_10": "T1", "VB1_11": "T2", "VB1_12": "T2"}
    truth |= {f"IVD_{n}": "T2" for n in (11, 20, 25)}
    truth |= {f"VB2_{n:02}": "T2" for n in (2, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 16)}
    decided = {name: read_study(shared_data / "sagittal" / f"{name}_image.nii.gz").series[0].role for name in truth}
    right = {"T1": Role.SAGITTAL_T1, "T2": Role.SAGITTAL_T2, "STIR": Role.SAGITTAL_T2}
    assert {name for name, role in decided.items() if role not in (Role.OTHER, right[truth[name]])} == set()


@pytest.mark.real
def test_a_dixon_pair_of_nifti_files(shared_data):
    study = read_study(shared_data / "dixon")
    assert {s.description: s.weighting for s in study.series} == {"TUM01_water": Weighting.DIXON_WATER, "TUM01_fat": Weighting.DIXON_FAT}
