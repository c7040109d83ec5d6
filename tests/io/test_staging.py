"""Output folders: complete or absent, whatever happens."""

import ast
import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

import pytest

from lumbar.errors import UsageError
from lumbar.io import staging
from lumbar.io.staging import RESULT_NAMES, staged_file, staged_folder


def write(out: Path, overwrite: bool = False, source: Path | None = None, **files: str) -> None:
    with staged_folder(out, overwrite, source) as stage:
        for name, text in files.items():
            (stage / name.replace("__", ".")).write_text(text)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_result_folder_appears_as_a_whole(tmp_path):
    out = tmp_path / "a" / "out"
    write(out, findings__json="1")
    assert names(out) == {"findings.json"}
    assert names(tmp_path / "a") == {"out"}
    write(tmp_path / "a" / "empty", findings__json="1")
    assert out.stat().st_mode & 0o777 == 0o777 & ~(os.umask(0o22) or 0o22)


def test_an_empty_folder_is_filled_and_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", findings__json="1")
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "real") == {"findings.json"}


def test_an_error_leaves_nothing_not_even_folders_above(tmp_path):
    with pytest.raises(ZeroDivisionError), staged_folder(tmp_path / "a" / "b" / "out", overwrite=False) as stage:
        (stage / "half").write_text("x")
        raise ZeroDivisionError
    assert names(tmp_path) == set()


def test_overwriting_replaces_the_whole_result_and_keeps_other_files(tmp_path):
    out = tmp_path / "out"
    write(out, findings__json="earlier", muscles__csv="earlier", grades__csv="earlier")
    (out / "masks").mkdir()
    (out / "masks" / "muscle.nii.gz").write_text("earlier")
    (out / "notes.txt").write_text("mine")
    (out / "mine" / "deep").mkdir(parents=True)
    (out / "mine" / "deep" / "x").write_text("mine")
    with pytest.raises(UsageError, match="--overwrite"):
        write(out, findings__json="later")
    assert (out / "findings.json").read_text() == "earlier"
    write(out, overwrite=True, findings__json="later")
    assert names(out) == {"findings.json", "notes.txt", "mine"}
    assert (out / "findings.json").read_text() == "later"
    assert (out / "mine" / "deep" / "x").read_text() == "mine"
    assert names(tmp_path) == {"out"}


def test_a_folder_without_a_result_loses_nothing(tmp_path):
    """Images in a folder with the name of a result folder are not a result."""
    out = tmp_path / "patient"
    (out / "dicom").mkdir(parents=True)
    (out / "dicom" / "image.dcm").write_text("image")
    write(out, overwrite=True, findings__json="1")
    assert (out / "dicom" / "image.dcm").read_text() == "image"
    (out / "findings.json").unlink()
    with pytest.raises(UsageError, match="was not written by lumbar"), staged_folder(out, overwrite=True) as stage:
        (stage / "dicom").mkdir()
    assert (out / "dicom" / "image.dcm").read_text() == "image"


def test_the_input_is_never_replaced(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "image.dcm").write_text("image")
    for out in (tmp_path, tmp_path / "study"):
        with pytest.raises(UsageError, match="replaces"):
            write(out, overwrite=True, source=tmp_path / "study", findings__json="1")
    write(tmp_path / "study" / "out", overwrite=True, source=tmp_path / "study", findings__json="1")


def test_places_that_cannot_be_replaced_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="current folder"):
        write(Path(), findings__json="1")
    with pytest.raises(UsageError, match="mount point"):
        write(Path("/"), overwrite=True, findings__json="1")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        write(tmp_path / "file", findings__json="1")
    with pytest.raises(UsageError, match="cannot be written to"):
        write(tmp_path / "file" / "out", findings__json="1")


def test_the_later_of_two_runs_stops(tmp_path):
    out = tmp_path / "out"
    with staged_folder(out, overwrite=False) as stage:
        (stage / "findings.json").write_text("first")
        for overwrite in (False, True):
            with pytest.raises(UsageError, match=rf"another run is writing .*process {os.getpid()} on "):
                write(out, overwrite, findings__json="second")
        write(tmp_path / "other", findings__json="elsewhere")
    assert (out / "findings.json").read_text() == "first"
    assert names(tmp_path) == {"out", "other"}


def test_shares_without_locks_have_one_writer_too(tmp_path, monkeypatch):
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(staging.fcntl, "flock", flock)
    out = tmp_path / "out"
    with staged_folder(out, overwrite=False) as stage:
        (stage / "findings.json").write_text("first")
        with pytest.raises(UsageError, match="another run is writing"):
            write(out, findings__json="second")
    assert names(tmp_path) == {"out"}
    room = tmp_path / ".out.lumbar"
    room.mkdir()
    (room / "lock").write_text("")
    host = os.uname().nodename
    (room / "owner").write_text(json.dumps({"pid": 2**22 + 1, "host": host}))  # beyond the largest process id
    write(out, overwrite=True, findings__json="after a kill")
    room.mkdir()
    (room / "owner").write_text(json.dumps({"pid": 2**22 + 1, "host": "another machine"}))
    with pytest.raises(UsageError, match="another run is writing"):
        write(out, overwrite=True, findings__json="x")


def test_a_full_disk_is_reported_and_leaves_the_earlier_result(tmp_path, monkeypatch):
    out = tmp_path / "out"
    write(out, findings__json="earlier")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(staging.os, "fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        write(out, overwrite=True, findings__json="later")
    with pytest.raises(UsageError, match="No space left"), staged_file(tmp_path / "t.csv", overwrite=False) as path:
        path.write_text("x")
    assert (out / "findings.json").read_text() == "earlier"
    assert names(tmp_path) == {"out"}


def test_an_error_of_another_file_is_not_taken_for_one_of_the_output(tmp_path):
    with pytest.raises(FileNotFoundError), staged_folder(tmp_path / "out", overwrite=False):
        Path("/no/such/model").read_bytes()


@pytest.mark.parametrize("moment", ["_check_free", "_carry_over", "_to_disk", "_swap", "_sync"])
@pytest.mark.parametrize("earlier", [False, True])
def test_an_interruption_leaves_one_complete_result_and_the_next_run_cleans_up(tmp_path, moment, earlier):
    out = tmp_path / "out"
    if earlier:
        write(out, findings__json="earlier", extra__csv="earlier")

    def run() -> None:
        setattr(staging, moment, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        write(out, overwrite=True, findings__json="killed", extra__csv="killed")

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    child.join(20)
    assert child.exitcode in (-signal.SIGKILL, 0)
    if out.exists():
        assert len({(out / name).read_text() for name in ("findings.json", "extra.csv")}) == 1
    with staged_folder(out, overwrite=True) as stage:
        (stage / "findings.json").write_text("later")
        assert not earlier or (out / "findings.json").read_text() in ("earlier", "killed")
    assert (out / "findings.json").read_text() == "later"
    assert names(tmp_path) == {"out"}


def test_a_kill_between_the_two_renames_puts_the_earlier_result_back(tmp_path):
    out = tmp_path / "out"
    write(out, findings__json="earlier")
    code = (
        "import os, sys; from pathlib import Path; from lumbar.io import staging\n"
        "real = Path.rename\n"
        "def rename(self, target):\n"
        "    real(self, target)\n"
        "    os.kill(os.getpid(), 9)\n"
        "Path.rename = rename\n"
        "with staging.staged_folder(Path(sys.argv[1]), True) as stage: (stage / 'findings.json').write_text('killed')\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(out)], check=False, env={**os.environ}).returncode == -signal.SIGKILL
    assert not out.exists()
    with pytest.raises(UsageError, match="not empty"):
        write(out, findings__json="later")
    assert (out / "findings.json").read_text() == "earlier"
    assert names(tmp_path) == {"out"}


def test_a_file_is_complete_or_absent(tmp_path):
    with staged_file(tmp_path / "s" / "submission.csv", overwrite=False) as path:
        path.write_text("rows")
        assert not (tmp_path / "s" / "submission.csv").exists()
    assert names(tmp_path / "s") == {"submission.csv"}
    with pytest.raises(UsageError, match="exists"), staged_file(tmp_path / "s" / "submission.csv", overwrite=False):
        pass
    with pytest.raises(UsageError, match="is a folder"), staged_file(tmp_path / "s", overwrite=True):
        pass


def test_concurrent_runs_leave_one_complete_result(tmp_path):
    out = tmp_path / "out"

    def run(word: str) -> None:
        try:
            with staged_folder(out, overwrite=True) as stage:
                for number in range(5):
                    (stage / f"part{number}.json").write_text(word)
                (stage / "findings.json").write_text(word)
                time.sleep(0.01)
        except UsageError:
            os._exit(2)

    children = [multiprocessing.get_context("fork").Process(target=run, args=(f"run {number}",)) for number in range(8)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
    assert {child.exitcode for child in children} <= {0, 2}
    assert 0 in {child.exitcode for child in children}
    assert len({path.read_text() for path in out.iterdir() if path.name == "findings.json"}) == 1
    assert names(tmp_path) == {"out"}


SOURCE = Path(staging.__file__).parents[1]
# Written into folders of a result that `RESULT_NAMES` lists, or into working folders.
NESTED = {
    "measurements_sr.dcm", "report.dcm", "x.dcm", "x.png", "x.svg", "x.nii.gz", "x.json", "cleanedx", "x_images", "plan", "raw", "key_images",
}  # fmt: skip


def written_names(room: str) -> set[str]:
    """The names that the code of a room joins to a folder, with x in place of what is filled in."""
    found = set()
    paths = [SOURCE / room] if room.endswith(".py") else sorted((SOURCE / room).rglob("*.py"))
    for node in (node for path in paths for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.left, ast.Name):
            parts = node.right.values if isinstance(node.right, ast.JoinedStr) else [node.right]
            name = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
            if isinstance(node.right, ast.JoinedStr) or (isinstance(node.right, ast.Constant) and isinstance(node.right.value, str)):
                found.add(name.split("/")[0])
    return found


@pytest.mark.parametrize("room", ["api.py", "cli", "report", "exchange"])
def test_overwrite_knows_every_file_that_a_command_writes(room):
    """A file that `RESULT_NAMES` lacks would stay beside the result of the next patient."""
    unknown = {name for name in written_names(room) - NESTED if not any(fnmatch(name, pattern) for pattern in RESULT_NAMES)}
    assert unknown == set()


def test_the_search_for_written_names_finds_them():
    assert {"fhir.json", "report.html", "findings.json", "muscles.csv"} <= written_names("report") | written_names("exchange") | written_names("api.py")
