"""An analyzed study with all its objects: the drawn spine of `cartoon.py` in DICOM, read back by the drawn network."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cartoon import Drawing, draw, spine_task
from dicom_factory import write_stack

from lumbar.cli.main import main


@dataclass(frozen=True)
class Written:
    """A study and the output of `analyze --dicom`."""

    study: Path
    out: Path
    findings: dict[str, Any]


def analyzed(study: Path, out: Path, *words: str) -> Written:
    with pytest.raises(SystemExit) as left:
        main(["analyze", str(study), "-o", str(out), "--dicom", "--quiet", *words])
    assert left.value.code in (0, 4)
    return Written(study, out, json.loads((out / "findings.json").read_text()))


def errors_of(path: Path) -> list[str]:
    """What Debian's dciodvfy calls errors, without those on identifiers that the source itself breaks the rules with."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian package dicom3tools)")
    checked = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, errors="replace", check=False)
    lines = (checked.stdout + checked.stderr).splitlines()
    assert any(not line.startswith(("Error", "Warning")) and line for line in lines), "dciodvfy knows no such object"
    return [line for line in lines if line.startswith("Error") and "Illegal root for UID" not in line]


@pytest.fixture(scope="session")
def cartoon_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    volume, _ = draw(Drawing())
    folder = tmp_path_factory.mktemp("cartoon")
    write_stack(folder, np.rint(volume.array).astype(np.uint16), volume.grid.matrix, SeriesDescription="Sag T2 TSE", AccessionNumber="ACC^1")
    return folder


@contextmanager
def patched_network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumbar.spine.task.load", lambda *_: spine_task())
        patch.setattr("lumbar.spine.segment._frame", lambda seen, whole: whole)
        patch.setattr("lumbar.report.pdf.printed", lambda page: None)  # Chromium takes seconds; the plain PDF will do
        yield


@pytest.fixture
def drawn_network() -> Iterator[None]:
    with patched_network():
        yield


@pytest.fixture(scope="session")
def written(cartoon_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    with patched_network():  # undone at once: a fixture of the session would show the drawn network to all later tests
        return analyzed(cartoon_study, tmp_path_factory.mktemp("objects") / "out", "--tasks", "spine,severity")
