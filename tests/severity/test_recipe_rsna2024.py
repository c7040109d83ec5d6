"""The recipe of the whole data set, rehearsed on a handful of phantoms in the same layout."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "severity" / "rsna2024.py"


@pytest.mark.slow
def test_one_command_from_images_to_a_submission(tmp_path: Path) -> None:
    words = ["--rehearse", "4", "--folds", "2", "--steps", "6", "--encoder", "tiny", "--threads", "1"]
    command = [sys.executable, str(RECIPE), str(tmp_path / "data"), str(tmp_path / "work"), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "out of fold, 4 studies: official score" in done.stdout
    with (tmp_path / "work" / "submission.csv").open() as file, (tmp_path / "data" / "sample_submission.csv").open() as sample:
        written, wanted = list(csv.DictReader(file)), list(csv.DictReader(sample))
    assert [row["row_id"] for row in written] == [row["row_id"] for row in wanted]
    assert len(written) == 25
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert "fold 1 of 2" not in again.stderr  # finished folds are not trained again
