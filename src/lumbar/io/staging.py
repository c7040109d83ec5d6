"""Writing so that nothing is half-written and nothing is overwritten by surprise."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lumbar.errors import UsageError


@contextmanager
def staged_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary folder whose files move into `out` when the block ends well, and vanish when it does not.

    Raises:
        UsageError: `out` cannot be written to, or a file of it would be replaced and `overwrite` is off. Whether `out` is free is checked once on
            entry (for a folder that is not empty) and again for each file on leaving.
    """
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise UsageError(f"{out} is not empty; choose another folder or add --overwrite")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; the output goes into a folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise UsageError(f"{out.parent} cannot be written to ({error.strerror}); choose another place with -o") from error
    try:
        yield stage
        stage.chmod(0o777 & ~_umask())  # mkdtemp makes it private; what comes out should be like any other folder
        if not out.exists():
            stage.rename(out)
        else:
            _merge(stage, out)
    except OSError as error:
        raise UsageError(f"writing to {out} failed ({error.strerror})") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def staged_file(out: Path, overwrite: bool) -> Iterator[Path]:
    """A temporary path beside `out` that becomes `out` when the block ends well.

    Raises:
        UsageError: `out` exists and `overwrite` is off, or its folder cannot be written to.
    """
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists; choose another name or add --overwrite")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".lumbar-", dir=out.parent))
    except OSError as error:
        raise UsageError(f"{out.parent} cannot be written to ({error.strerror}); choose another place") from error
    try:
        yield stage / out.name
        (stage / out.name).replace(out)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _merge(stage: Path, out: Path) -> None:
    for path in sorted(stage.rglob("*")):
        target = out / path.relative_to(stage)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            path.replace(target)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
