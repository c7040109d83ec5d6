"""Three hundred damaged inputs of `benchmarks/fuzz.py`, which tries ten thousand: no traceback, no warning, no internal error, nothing half-written."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from dicom_factory import axial_matrix, sagittal_matrix, write_stack

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def fuzz():
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location("fuzz", BENCHMARKS / "fuzz.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    for uid, description, matrix in (("1.1", "T1", sagittal_matrix()), ("1.2", "T2", sagittal_matrix()), ("1.3", "T2", axial_matrix())):
        array = rng.integers(0, 900, (3, 32, 32)).astype(np.uint16)
        write_stack(folder / uid, array, matrix, SeriesInstanceUID=uid, SeriesDescription=description)
    return folder


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("part", range(6))
def test_damaged_inputs_are_read_or_rejected(fuzz, study, tmp_path, part):
    tally = fuzz.Tally(show=True)
    fuzz.inspected(study, tmp_path, range(50 * part, 50 * part + 50), tally)
    assert tally.outcomes.total() == 50
    assert tally.failed == 0, tally.outcomes
