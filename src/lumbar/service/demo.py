"""Synthetic studies for `lumbar serve --demo`."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom

from lumbar.phantom.study import StudyOptions, make_study, write_study
from lumbar.service.core import ServiceCore

_SCANS = ((7, 0), (11, 0), (11, 1), (23, 0))  # seed of the person, number of the scan
_EARLIER = "20210304"  # date of a scan that another follows
_SCALE = 0.5  # of the matrix: made and analyzed faster


@contextmanager
def demo_folder() -> Iterator[Path]:
    """A data folder for as long as the service runs."""
    folder = Path(tempfile.mkdtemp(prefix="lumbar-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def date_back(folder: Path) -> None:
    """Give the images of a study a date before that of the person's next scan."""
    for path in (folder / "dicom").rglob("*.dcm"):
        image = pydicom.dcmread(path)
        image.StudyDate = _EARLIER
        image.save_as(path)


def take_demo_studies(core: ServiceCore) -> None:
    """Make synthetic studies and queue them."""
    for seed, scan in _SCANS:
        folder = core.folder.uploads / f"demo-{seed}-{scan}"
        write_study(make_study(StudyOptions(seed, scan=scan, matrix_scale=_SCALE)), folder, masks=False)
        if (seed, scan + 1) in _SCANS:
            date_back(folder)
        core.intake.from_files(folder / "dicom", "demo")
        shutil.rmtree(folder)
