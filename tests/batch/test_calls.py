"""Calls in turn and on the engine: every one runs once, and one that fails, crashes or hangs costs only itself."""

import ctypes
import time
from functools import partial
from pathlib import Path

import pytest

from lumbar.batch.calls import run_calls
from lumbar.batch.work import EngineOptions, Limits
from lumbar.errors import UnreadableInput


def note(folder: Path, name: str) -> None:
    with (folder / "ran.txt").open("a") as file:
        file.write(f"{name}\n")


def refuse() -> None:
    raise UnreadableInput("no MR slice can be read")


def test_calls_in_turn_leave_failures_to_themselves(tmp_path):
    calls = {"a": partial(note, tmp_path, "a"), "b": refuse, "c": partial(note, tmp_path, "c")}
    assert dict(run_calls(calls, tmp_path, EngineOptions())) == {"a": "", "b": "no MR slice can be read", "c": ""}
    assert (tmp_path / "ran.txt").read_text() == "a\nc\n"


@pytest.mark.slow
def test_calls_on_workers_survive_crashes_and_hangs(tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="lumbar[cluster] is not installed")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    calls = {f"n{number}": partial(note, tmp_path, f"n{number}") for number in range(4)}
    calls |= {"crash": partial(ctypes.string_at, 0), "hang": partial(time.sleep, 600), "refused": refuse}
    ended = dict(run_calls(calls, tmp_path, EngineOptions(workers=2, limits=Limits(seconds=5.0))))
    assert {name for name, failure in ended.items() if not failure} == {"n0", "n1", "n2", "n3"}
    assert "SIGSEGV" in ended["crash"] and "stopped after 5 s" in ended["hang"] and ended["refused"] == "no MR slice can be read"
    assert sorted((tmp_path / "ran.txt").read_text().split()) == ["n0", "n1", "n2", "n3"]
    assert not (tmp_path / ".calls").exists()
