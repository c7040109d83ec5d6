"""One way in: folders, files and archives become a `Study`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lumbar.domain.study import Role, Study
from lumbar.errors import InputError, LumbarError, UnreadableInput
from lumbar.io.dicom_files import looks_like_dicom
from lumbar.io.dicom_read import read_dicom
from lumbar.io.sources import NIFTI, Sources, gathered
from lumbar.io.weighting_given import GivenWeighting, with_weightings
from lumbar.io.zero import with_zero_at_air

Progress = Callable[[int, int], None]


def read_study(path: Path | str | Sequence[Path | str], progress: Progress | None = None, weightings: Sequence[GivenWeighting] = ()) -> Study:
    """The study at `path`: a folder of DICOM (nested, with foreign files in it), one DICOM file, a DICOMDIR, NIfTI files, or an archive of any of them.

    Args:
        path: a file or folder, or several.
        progress: called with (files done, files in all).
        weightings: weightings of images without it in their headers.

    Raises:
        UsageError: a weighting is given for a file that does not exist.
        UnreadableInput: nothing can be read; the message lists what was found, and a remedy.
        NoUsableSeries: the images are not MR images.
        GeometryError: a single NIfTI file without the position of its voxels.
    """
    inputs = [Path(path)] if isinstance(path, str | Path) else [Path(one).absolute() for one in path]
    if not inputs:
        raise UnreadableInput("no input was given; give a folder, a zip or a file")
    with gathered(inputs) as sources:
        try:
            study = _read(sources, progress)
        except LumbarError as error:
            messages = [sources.renamed(str(error)), *sources.sentences()]
            raise type(error)("; ".join(messages)) from None
        renamed = tuple(replace(one, warnings=tuple(map(sources.renamed, one.warnings))) for one in study.series)
        warnings = (*sources.sentences(), *map(sources.renamed, study.warnings))
    study = replace(study, series=renamed, warnings=warnings)
    return with_weightings(study, weightings) if weightings else study


def _read(sources: Sources, progress: Progress | None) -> Study:
    nifti = [path for path in sources.files if path.name.lower().endswith(NIFTI)]
    if not nifti:
        return read_dicom(sources.files, sources.root, progress)
    others = [path for path in sources.files if path not in set(nifti)]
    if not any(looks_like_dicom(path) for path in others):
        return _read_nifti(nifti, sources.root)
    try:
        study = read_dicom(others, sources.root, progress)
    except InputError as error:
        found = _read_nifti(nifti, sources.root)
        return replace(found, warnings=(f"the NIfTI files were read; the DICOM files beside them hold nothing to use: {error}", *found.warnings))
    if not _usable(study) and _usable(found := _read_nifti(nifti, sources.root)):
        return replace(found, warnings=("the NIfTI files were read; no series of the DICOM files beside them has a use here", *found.warnings))
    for path in nifti:
        sources.leave_out("the input holds DICOM images too, and both may show the same; give the NIfTI files on their own to use them", path)
    return study


def _usable(study: Study) -> bool:
    return any(series.role is not Role.OTHER for series in study.series)


def _read_nifti(paths: list[Path], root: Path) -> Study:
    from lumbar.io.nifti_read import read_nifti_study  # noqa: PLC0415  (nibabel costs a tenth of a second that DICOM need not pay)

    study = read_nifti_study(paths, root)
    return replace(study, series=tuple(map(with_zero_at_air, study.series)))
