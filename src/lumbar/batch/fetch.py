"""Files of a study on this machine: in place, or fetched into a temporary folder."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lumbar.batch.inputs import DICOMWEB


@contextmanager
def local_copy(source: str) -> Iterator[tuple[Path, bool]]:
    """The path of the study's files, and whether they had to be fetched."""
    if "://" not in source:
        yield Path(source), False
        return
    folder = Path(tempfile.mkdtemp(prefix="lumbar-batch-"))
    try:
        if source.startswith(DICOMWEB):
            from lumbar.batch.dicomweb import retrieve  # noqa: PLC0415  (needs lumbar[cluster])

            yield retrieve(source.removeprefix(DICOMWEB), folder), True
        else:
            from lumbar.batch.storage import download  # noqa: PLC0415  (needs lumbar[cluster])

            yield download(source, folder), True
    finally:
        shutil.rmtree(folder, ignore_errors=True)
