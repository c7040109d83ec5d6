"""Output of one study that is complete or absent, even if the writing process is killed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lumbar.batch.records import STAGE


@contextmanager
def staged(out: Path, study: str) -> Iterator[Path]:
    """A new folder that becomes `out`/`study` when the block ends well; an older one of that name goes."""
    stage = Path(tempfile.mkdtemp(prefix=f"{study}-", dir=out / STAGE))
    try:
        yield stage
        stage.chmod(out.stat().st_mode & 0o777)  # mkdtemp makes it private
        target = out / study
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f"{study}-old-", dir=out / STAGE))
            os.rename(target, old / study)  # noqa: PTH104  (fails rather than merges)
            shutil.rmtree(old, ignore_errors=True)
        os.rename(stage, target)  # noqa: PTH104
    finally:
        shutil.rmtree(stage, ignore_errors=True)
