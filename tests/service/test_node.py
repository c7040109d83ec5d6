"""The node against an archive that forgets, fails and is asked again; and against Debian's Orthanc."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cartoon import Drawing, draw, spine_task
from dicom_factory import write_stack

pytest.importorskip("httpx", reason="lumbar[service] is not installed")
pytest.importorskip("highdicom", reason="lumbar[dicom] is not installed")

from lumbar.service.ledger import Ledger
from lumbar.service.node import Node

from lumbar.pipeline import Models
from lumbar.service.orthanc import ArrivedStudy


class Archive:
    """Holds one study in a folder and keeps what is sent to it."""

    def __init__(self, folder: Path, images: tuple[str, ...] = ("a", "b")) -> None:
        self.folder, self.images, self.stored, self.failures = folder, images, [], 0

    def studies(self) -> list[ArrivedStudy]:
        return [ArrivedStudy("study", self.images, True)]

    def download(self, study: ArrivedStudy, folder: Path) -> None:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)

    def store(self, files: list[Path]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("disk full")
        self.stored.append([path.name for path in files])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    volume, _ = draw(Drawing())
    write_stack(tmp_path / "study", np.rint(volume.array).astype(np.uint16), volume.grid.matrix, SeriesDescription="Sag T2 TSE")
    return tmp_path / "study"


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, whole_images: None) -> Models:
    monkeypatch.setattr("lumbar.report.pdf.printed", lambda page: None)
    return Models(spine_task(), ())


def test_a_study_is_analyzed_once_and_again_only_when_its_images_change(study: Path, tmp_path: Path, models: Models) -> None:
    archive = Archive(study)
    node = Node(archive, Ledger(tmp_path / "node.sqlite"), models)
    assert node.run_once() == 1 and node.run_once() == 0
    assert {"spine_seg.dcm", "measurements_sr.dcm", "report.dcm"} <= set(archive.stored[0])
    assert Node(archive, Ledger(tmp_path / "node.sqlite"), models).run_once() == 0  # a restart changes nothing
    archive.images = ("a", "b", "c")
    assert node.run_once() == 1 and len(archive.stored) == 2


def test_a_failed_delivery_is_tried_three_times_and_the_reason_is_kept(study: Path, tmp_path: Path, models: Models) -> None:
    archive, ledger = Archive(study), Ledger(tmp_path / "node.sqlite")
    archive.failures = 99
    node = Node(archive, ledger, models)
    for _ in range(5):
        assert node.run_once() == 0
    assert archive.failures == 96
    assert ledger.state("study", archive.studies()[0].fingerprint) == ("failed", "OSError")


def test_an_unusable_study_fails_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "note.txt").write_text("no image")
    archive, ledger = Archive(folder), Ledger(tmp_path / "node.sqlite")
    Node(archive, ledger, SimpleNamespace()).run_once()
    assert ledger.state("study", archive.studies()[0].fingerprint)[0] == "failed"
    assert not ledger.wants("study", archive.studies()[0].fingerprint, 3)


def test_jobs_of_a_killed_node_are_repeated(tmp_path: Path) -> None:
    Ledger(tmp_path / "node.sqlite").began("study", "x")
    ledger = Ledger(tmp_path / "node.sqlite")
    assert ledger.wants("study", "x", 3)
    ledger.began("study", "x")
    ledger.began("study", "x")
    assert not ledger.wants("study", "x", 3)  # it takes the node down every time
    assert ledger.state("study", "x")[0] == "failed"


@pytest.mark.slow
def test_the_hospital_on_loopback(tmp_path: Path) -> None:
    if shutil.which("Orthanc") is None or shutil.which("storescu") is None:
        pytest.skip("Orthanc or dcmtk is not installed (Debian packages orthanc, orthanc-dicomweb, dcmtk)")
    root = Path(__file__).resolve().parents[2]
    made = [sys.executable, "-c", "from lumbar.cli.main import main; main()", "phantom", "study", str(tmp_path / "p"), "--matrix-scale", "0.5", "--no-masks"]
    subprocess.run(made, check=True, capture_output=True)
    checked = subprocess.run(
        [sys.executable, str(root / "scripts" / "hospital"), "check", str(tmp_path / "p" / "dicom")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    counts = json.loads(checked.stdout)
    assert counts["seg"] >= 1 and counts["sr"] == 1 and counts["pdf"] == 1 and counts["key_images"] >= 1
