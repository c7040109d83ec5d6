"""Orthanc and the service together, as `scripts/hospital` starts them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_study_pushed_into_the_archive_comes_back_as_objects(tmp_path: Path) -> None:
    if shutil.which("Orthanc") is None or shutil.which("storescu") is None:
        pytest.skip("Orthanc or dcmtk is not installed (Debian packages orthanc, orthanc-dicomweb, dcmtk)")
    root = Path(__file__).resolve().parents[2]
    made = [sys.executable, "-c", "from lumbar.cli.main import main; main()", "phantom", "study", str(tmp_path / "p"), "--matrix-scale", "0.5", "--no-masks"]
    subprocess.run(made, check=True, capture_output=True)
    told = subprocess.run(
        [sys.executable, str(root / "scripts" / "hospital"), "check", str(tmp_path / "p" / "dicom")], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    counts = json.loads(told.stdout)
    assert counts["seg"] >= 1 and counts["sr"] == 1 and counts["pdf"] == 1 and counts["key_images"] >= 1
