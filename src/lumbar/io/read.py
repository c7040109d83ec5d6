"""One way in: a folder, a file or a zip becomes a `Study`."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lumbar.domain.study import Study
from lumbar.errors import LumbarError, UnreadableInput
from lumbar.io.archive import unpacked
from lumbar.io.dicom_files import files_below, looks_like_dicom
from lumbar.io.dicom_read import read_dicom

Progress = Callable[[int, int], None]
_NIFTI = (".nii", ".nii.gz")


def read_study(path: Path, progress: Progress | None = None) -> Study:
    """The study at `path`: a folder of DICOM (nested, with foreign files in it), one DICOM file, a zip of either, or NIfTI.

    Args:
        path: file or folder.
        progress: called with (files done, files in all).

    Raises:
        UnreadableInput: nothing there can be read; the message says what was seen and what would help.
        NoUsableSeries: pictures are there, but not of MR.
        GeometryError: a single NIfTI file that does not say where its voxels lie.
    """
    if not path.exists():
        raise UnreadableInput(f"{path} does not exist; give a folder, a zip or a file")
    if path.is_dir():
        return _read_folder(path, progress)
    if path.name.lower().endswith(_NIFTI):
        return _read_nifti([path], path)
    if not looks_like_dicom(path) and zipfile.is_zipfile(path):
        return _read_zip(path, progress)
    return read_dicom([path], path, progress)


def _read_folder(folder: Path, progress: Progress | None) -> Study:
    paths = files_below(folder)
    nifti = [path for path in paths if path.name.lower().endswith(_NIFTI)]
    if nifti and not any(looks_like_dicom(path) for path in paths):
        return _read_nifti(nifti, folder)
    return read_dicom(paths, folder, progress)


def _read_nifti(paths: list[Path], root: Path) -> Study:
    from lumbar.io.nifti_read import read_nifti_study  # noqa: PLC0415  (nibabel costs a tenth of a second that DICOM need not pay)

    return read_nifti_study(paths, root)


def _read_zip(path: Path, progress: Progress | None) -> Study:
    with unpacked(path) as (folder, damaged):
        try:
            study = _read_folder(folder, progress)
        except LumbarError as error:
            raise type(error)(str(error).replace(str(folder), str(path))) from None
    # What was named after the temporary folder is named after the zip.
    study_uid = study.study_uid.replace(folder.name, path.stem)
    return replace(study, study_uid=study_uid, warnings=(*damaged, *study.warnings))
