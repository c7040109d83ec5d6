"""A small study with every damage of `benchmarks/mutilate.py`: it is read, or rejected with one clear error."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from dicom_factory import axial_matrix, sagittal_matrix, save, stack_datasets
from pydicom.uid import RLELossless

from lumbar.errors import InputError
from lumbar.io.read import read_study

SPEC = importlib.util.spec_from_file_location("mutilate", Path(__file__).resolve().parents[2] / "benchmarks" / "mutilate.py")
assert SPEC is not None
assert SPEC.loader is not None
mutilate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(mutilate)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    kinds = [("1.1", "T1", sagittal_matrix()), ("1.2", "T2", sagittal_matrix()), ("1.3", "T2", axial_matrix())]
    for uid, description, matrix in kinds:
        array = rng.integers(0, 900, (5, 24, 20)).astype(np.uint16)
        for dataset in stack_datasets(array, matrix, SeriesInstanceUID=uid, SeriesDescription=description):
            if uid == "1.2":
                dataset.compress(RLELossless)
            save(dataset, folder / description / f"{uid}_{dataset.InstanceNumber}.dcm")
    return folder


@pytest.mark.parametrize("name", mutilate.MUTILATIONS)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 9))])
def test_damage_is_survived_or_explained(study, tmp_path, name, seed):
    copy = tmp_path / "copy"
    mutilate.mutilated_copy(study, copy, name, seed)
    try:
        read = read_study(copy)
    except InputError as error:
        message = str(error)
        assert str(copy) in message
        assert "SECRET" not in message.upper()
        return
    assert read.series
    for series in read.series:
        assert series.stacks
        assert series.reason
        for stack in series.stacks:
            assert np.isfinite(stack.volume.array).all()
            assert len(stack.instance_numbers) == len(stack.volume.array)
