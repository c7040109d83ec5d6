"""What all tests share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Helpers that tests of several folders use lie beside them: tests/dicom_factory.py, tests/spine/cartoon.py,
# tests/severity/painted_study.py.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent / "spine"), str(Path(__file__).parent / "severity")]

# `lumbar batch` and `lumbar serve` run on Linux and macOS only: they use fcntl and resource.
collect_ignore = ["batch", "service"] if sys.platform == "win32" else []


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real MRI that lies beside the project; tests that need it are skipped where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


@pytest.fixture
def drawn_spine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of the cartoon takes the place of the shipped spine model, for tests that run whole commands."""
    from cartoon import spine_task  # noqa: PLC0415  (beside the tests; see the path above)

    monkeypatch.setattr("lumbar.spine.task.load", lambda *_: spine_task())


@pytest.fixture(scope="module")
def whole_images() -> Iterator[None]:
    """Shows drawings whole to their 'network': it reads its scale from a corner that the frame around the spine would cut off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lumbar.spine.segment._frame", lambda seen, whole: whole)
        yield
