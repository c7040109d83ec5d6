"""Output that is complete or absent: after an error, a kill at any moment, on a full disk, and with two runs into one place.

Everything is written in a hidden folder beside the output, `.NAME.lumbar`, forced to the disk, and moved into place by one rename. A running command holds
a lock there; files left by an interrupted run are removed by the next run into the same place, which also restores an earlier result if the interruption
fell between the two renames of `--overwrite`.
"""

import errno
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from lumbar.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Files that commands write to a result folder. `--overwrite` replaces all of it, also what the new run does not write; other files are kept.
RESULT_NAMES = (
    "findings.json", "report.html", "grades.csv", "muscles.csv", "muscles.json", "masks", "previews", "dicom", "fhir.json", "spine.json", "spine.nii.gz",
    "levels.nii.gz", "muscle.nii.gz", "muscle_*.nii.gz", "results.csv", "results.parquet", "status.csv", "index.html", "compare.*", "comparison.*",
    "muscle.png", "preview.png", "card.json", "*.onnx", "*.npy", "*.npz", "truth", "aging.json", "aging.html", "plots", "evaluation.*", "exploration.*",
    "problems.csv", "predictions.csv", "importance.csv", "stages.csv", "deltas.csv", "curves.csv", "longitudinal.csv", "bias_models.csv",
    "mixed_models.csv", "deswan.csv", "sites.csv", "correlations.csv", "label_shares.csv", "images.csv", "*_agreement.csv", "*_agreement.html",
    "*_agreement.png", "cohort.*", "agreement.csv", "distributions.csv", "prevalence.csv", "people.csv", "sites_harmonized.csv", "harmonized.parquet",
    "zscores.parquet", "report.pdf", "foramina.csv", "cleaned.*", "aging", "submission.csv", "model.zip", "structures.nii.gz",
)  # fmt: skip
# A folder holds a result if one of these is in it; without, nothing in it is taken for one.
_SIGNATURES = (
    "findings.json", "spine.json", "muscles.json", "card.json", "aging.json", "evaluation.json", "exploration.json", "cohort.json", "results.csv", "status.csv",
    "truth/truth.json", "compare.json", "comparison.json", "report.html", "volume_agreement.csv", "fat_agreement.csv",
)  # fmt: skip
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_TRIES = 50


@contextmanager
def staged_folder(out: Path, overwrite: bool, source: Path | None = None) -> Iterator[Path]:
    """A temporary folder that becomes `out` when the block ends well, and vanishes when it does not.

    Args:
        out: the folder to be; there may be an empty one.
        overwrite: a result that lies there is replaced as a whole; files that no command writes (see `RESULT_NAMES`) are kept.
        source: input of the run; it must not lie in a folder that is replaced.

    Raises:
        UsageError: `out` cannot be written to, is in use by another run, or is not empty and `overwrite` is off.
    """
    target = Path(os.path.realpath(out))
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; the output goes into a folder")
    if target.is_dir() and (os.path.ismount(target) or target == Path.cwd()):
        what = "a mount point" if os.path.ismount(target) else "the current folder"
        raise UsageError(f"{out} is {what}, which cannot be replaced in one step; name a folder in it, such as -o {out / 'result'}")
    if overwrite and source is not None and _inside(source, target):
        raise UsageError(f"{source} lies in {out}, which --overwrite replaces; choose another folder with -o")
    with _room(out, target) as room, _writing(out, room):
        _check_free(out, target, overwrite)
        stage = room / "new"
        stage.mkdir()
        yield stage
        _check_free(out, target, overwrite)
        if overwrite and target.is_dir():
            _carry_over(target, stage, out)
        _to_disk(stage)
        _swap(stage, target, room / "old")


@contextmanager
def staged_file(out: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary path that becomes `out` when the block ends well.

    Raises:
        UsageError: `out` exists and `overwrite` is off, another run is writing it, or its folder cannot be written to.
    """
    target = Path(os.path.realpath(out))
    if target.is_dir():
        raise UsageError(f"{out} is a folder; name a file")
    if target.exists() and not overwrite:
        raise UsageError(f"{out} exists; choose another name or add --overwrite")
    with _room(out, target) as room, _writing(out, room):
        stage = room / "new"
        stage.mkdir()
        yield stage / out.name
        _to_disk(stage)
        (stage / out.name).replace(target)
        _sync(target.parent)


@contextmanager
def _room(out: Path, target: Path) -> Iterator[Path]:
    """The hidden folder beside `target`, locked by this run and cleared of files left by interrupted runs; removed afterwards."""
    made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        room, handle = _lock(out, target)
    except OSError as error:
        raise UsageError(f"{target.parent} cannot be written to ({error.strerror}); choose another place with -o") from error
    try:
        _recover(room, target)
        yield room
    finally:
        shutil.rmtree(room / "new", ignore_errors=True)
        with suppress(OSError):
            _unlock(room, handle)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()  # only if it is still empty


def _lock(out: Path, target: Path) -> tuple[Path, int]:
    room = target.with_name(f".{target.name}.lumbar")
    for _ in range(_TRIES):
        room.mkdir(exist_ok=True)
        path = room / "lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # another run has just ended and removed the folder
            continue
        if not _hold(handle, room):
            holder = _holder(path)
            os.close(handle)
            raise UsageError(f"another run is writing to {out} ({holder}); wait for it or choose another folder")
        with suppress(OSError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                note = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
                with suppress(OSError):  # a full disk: the lock holds without the note
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, json.dumps(note).encode(), 0)
                return room, handle
        os.close(handle)
    raise UsageError(f"other runs keep writing to {out}; wait for them or choose another folder")


def _hold(handle: int, room: Path) -> bool:
    """Whether this run now holds the lock, which the system takes back when a process ends, however it ends."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
    return _hold_by_name(room / "owner")


def _hold_by_name(path: Path) -> bool:
    """For shares without locks: a file that only one run can create, and that is taken over if its process on this machine has ended."""
    note = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
    for _ in range(2):
        try:
            with path.open("x") as file:
                file.write(note)
            return True
        except FileExistsError:
            with suppress(OSError, ValueError, KeyError, TypeError):
                owner = json.loads(path.read_text())
                if owner["host"] == socket.gethostname() and not _alive(int(owner["pid"])):
                    path.unlink()
    return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _holder(path: Path) -> str:
    try:
        note = json.loads(path.read_text())
        return f"process {int(note['pid'])} on {note['host']} since {note['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"it holds {path}"


def _unlock(room: Path, handle: int) -> None:
    for name in ("owner", "lock"):  # the lock is held until its file is removed, so that no process waits on a removed file
        (room / name).unlink(missing_ok=True)
    with suppress(OSError):
        room.rmdir()
    os.close(handle)


def _recover(room: Path, target: Path) -> None:
    """Restore or remove files left by interrupted runs."""
    old = room / "old"
    if old.exists() and not target.exists():
        old.rename(target)
    for left in (old, room / "new"):
        shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _writing(out: Path, room: Path) -> Iterator[None]:
    """Say of a failure of writing that it is one."""
    try:
        yield
    except OSError as error:
        if isinstance(error.filename, str | bytes) and not _inside(Path(os.fsdecode(error.filename)), room.parent):
            raise  # another file than ours
        raise UsageError(f"writing to {out} failed ({error.strerror or error}); nothing was written there") from error


def _check_free(out: Path, target: Path, overwrite: bool) -> None:
    if not overwrite and target.is_dir() and any(target.iterdir()):
        raise UsageError(f"{out} is not empty; choose another folder or add --overwrite")


def _carry_over(target: Path, stage: Path, out: Path) -> None:
    """Keep what no command of lumbar has written, and nothing of an earlier result."""
    result = any((target / name).exists() for name in _SIGNATURES)
    for path in target.iterdir():
        written = (stage / path.name).exists()
        if result and (written or any(fnmatch(path.name, pattern) for pattern in RESULT_NAMES)):
            continue
        if written:
            raise UsageError(f"{out / path.name} exists and was not written by lumbar; choose another folder with -o")
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, stage / path.name, symlinks=True, copy_function=_link_or_copy)
        else:
            _link_or_copy(path, stage / path.name)


def _link_or_copy(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a share without hard links
        shutil.copy2(source, target, follow_symlinks=False)


def _swap(stage: Path, target: Path, old: Path) -> None:
    """`stage` becomes `target`; a kill in between leaves one of them whole, and `_recover` does the rest."""
    if target.is_dir() and any(target.iterdir()):
        target.rename(old)
    elif target.is_dir() and os.name == "nt":
        target.rmdir()  # elsewhere a rename replaces an empty folder
    try:
        stage.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    _sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _to_disk(folder: Path) -> None:
    """Flush all files to disk, so that a full disk or share raises an error now."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync(Path(parent) / name)
        _sync(Path(parent))


def _sync(path: Path) -> None:
    if path.is_symlink():
        return
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return  # folders cannot be opened on Windows
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
    finally:
        os.close(handle)


def _inside(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
