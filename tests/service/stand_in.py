"""An analysis that takes no time, and an archive in memory."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import httpx
import numpy as np
from dicom_factory import write_stack

from lumbar.errors import NoUsableSeries
from lumbar.io.staging import staged_folder
from lumbar.service.config import ServiceConfig
from lumbar.service.orthanc import ArrivedStudy, Changes
from lumbar.service.store.studies import StudyFacts
from lumbar.service.task import Progress, Task

FINDINGS = {
    "quality": {"status": "doubtful", "checks": []},
    "severity": [
        {"condition": "spinal_canal_stenosis", "level": "L3/L4", "severity": "moderate", "severity_score": 0.6},
        {"condition": "left_subarticular_stenosis", "level": "L4/L5", "severity": "severe", "severity_score": 0.9},
    ],
}


class StandIn:
    """Writes the same findings for every study."""

    def __init__(self, config: ServiceConfig | None = None) -> None:
        self.runs = 0
        self.errors: list[Exception] = []

    def run(self, task: Task, progress: Progress) -> None:
        self.runs += 1
        progress("standing in", 1, 2)
        if self.errors:
            raise self.errors.pop(0)
        if not any(task.images.iterdir()):
            raise NoUsableSeries(f"{task.images} holds nothing")
        with staged_folder(task.result, False) as stage:
            (stage / "findings.json").write_text(json.dumps(FINDINGS))
            (stage / "report.html").write_text("<!doctype html><title>report</title><script>alert(1)</script>")
            (stage / "dicom").mkdir()
            (stage / "dicom" / "measurements_sr.dcm").write_bytes(b"sr")
            (stage / "view.json").write_text(json.dumps({"masks": [], "places": []}))


class Archive:
    """Holds studies as folders and keeps what is stored."""

    def __init__(self) -> None:
        self.studies: dict[str, tuple[Path, tuple[str, ...]]] = {}
        self.events: list[str] = []
        self.stored: list[list[str]] = []
        self.away = False
        self.broken: BaseException | None = None  # raised by `store`

    def add(self, name: str, folder: Path, images: tuple[str, ...] = ("a", "b"), event: bool = True) -> None:
        self.studies[name] = (folder, images)
        if event:
            self.events.append(name)

    def changes(self, since: int) -> Changes:
        self._answer()
        page = self.events[since : since + 2]
        return Changes(tuple(page), since + len(page), since + len(page) == len(self.events))

    def last_change(self) -> int:
        self._answer()
        return len(self.events)

    def updates(self) -> list[tuple[str, str]]:
        self._answer()
        return [(name, str(len(images))) for name, (_, images) in self.studies.items()]

    def study(self, name: str) -> ArrivedStudy | None:
        self._answer()
        if name not in self.studies:
            return None
        return ArrivedStudy(name, f"1.2.{name}", "", StudyFacts(name=f"Name {name}", patient_id="p1"), self.studies[name][1], True, "20260101T000000")

    def download(self, images: Sequence[str], folder: Path) -> None:
        self._answer()
        source = next(folder for folder, held in self.studies.values() if tuple(images) == held)
        shutil.copytree(source, folder, dirs_exist_ok=True)

    def store(self, files: Sequence[Path]) -> None:
        self._answer()
        if self.broken is not None:
            raise self.broken
        self.stored.append([path.name for path in files])

    def _answer(self) -> None:
        if self.away:
            raise httpx.ConnectError("refused")


def small_study(folder: Path, **header: str) -> Path:
    """Two slices of noise."""
    pixels = np.random.default_rng(1).integers(0, 100, (2, 8, 8)).astype(np.uint16)
    write_stack(folder, pixels, np.eye(4), **{"StudyInstanceUID": "1.2.3", "PatientName": "Doe^Jane", "PatientID": "4711", **header})
    return folder
