"""The commands for the RSNA 2024 data set on the engine: the same results whatever the number of workers, and after a stop."""

import json

import pytest
from click.testing import CliRunner

from lumbar.batch import grading
from lumbar.cli.predict_rsna2024 import predict_rsna2024
from lumbar.phantom.cohort import CohortOptions, make_cohort

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms") / "data"
    for _ in make_cohort(CohortOptions("rsna2024", 2, 11, matrix_scale=0.25), folder):
        pass
    return folder


def predicted(data, out, *more):
    result = CliRunner().invoke(predict_rsna2024, [str(data), "-o", str(out), "--split", "train", "--quiet", *more], standalone_mode=False)
    assert result.exception is None, result.exception
    return out.read_text()


def test_predictions_are_those_of_one_process_and_resume(data, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="lumbar[cluster] is not installed")
    alone = predicted(data, tmp_path / "alone.csv")
    assert len(alone.splitlines()) == 1 + 2 * 25
    assert predicted(data, tmp_path / "two.csv", "--workers", "2", "--threads", "1") == alone

    real, graded = grading.grade_study, []

    def stopping(folder, *models):
        if graded:
            raise KeyboardInterrupt
        graded.append(folder.name)
        return real(folder, *models)

    monkeypatch.setattr(grading, "grade_study", stopping)
    out = tmp_path / "resumed.csv"
    assert CliRunner().invoke(predict_rsna2024, [str(data), "-o", str(out), "--split", "train", "--quiet"]).exit_code != 0
    assert not out.exists()
    parts = list((tmp_path / ".resumed.csv.parts").glob("*.json"))
    assert [part.stem for part in parts] == graded
    assert len(json.loads(parts[0].read_text())["rows"]) == 25

    def rest(folder, *models):
        assert folder.name not in graded
        return real(folder, *models)

    monkeypatch.setattr(grading, "grade_study", rest)
    assert predicted(data, out) == alone
    assert not (tmp_path / ".resumed.csv.parts").exists()
