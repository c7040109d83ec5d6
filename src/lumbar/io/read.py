"""One way in: a folder, a file or a zip becomes a `Study`."""

from collections.abc import Callable
from pathlib import Path

from lumbar.domain.study import Study
from lumbar.errors import UnreadableInput
from lumbar.io.dicom_files import files_below
from lumbar.io.dicom_read import read_dicom


def read_study(path: Path, progress: Callable[[int, int], None] | None = None) -> Study:
    """The study at `path`: a folder of DICOM (nested, with foreign files in it), one DICOM file, a zip of either, or NIfTI.

    Args:
        path: file or folder.
        progress: called with (files done, files in all).

    Raises:
        UnreadableInput: nothing there can be read; the message says what was seen and what would help.
        NoUsableSeries: pictures are there, but not of MR.
    """
    if not path.exists():
        raise UnreadableInput(f"{path} does not exist; give a folder, a zip or a file")
    if path.is_dir():
        return read_dicom(files_below(path), path, progress)
    return read_dicom([path], path, progress)
