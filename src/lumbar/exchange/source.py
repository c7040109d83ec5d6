"""The headers of the source images of a study, which derived objects must copy and reference."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from lumbar.domain.study import Stack, Study
from lumbar.errors import UsageError
from lumbar.io.dicom_files import quiet_pydicom
from lumbar.io.dicom_write import derived_uid
from lumbar.io.sources import gathered

_EMPTY_WILL_DO = (  # attributes of type 2 of the patient and study modules
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SourceImages:
    """Headers of a study's images, complete enough to make objects from, without their pixels."""

    study_uid: str
    images: Mapping[tuple[str, str], Dataset]  # by series UID and SOP instance UID: stripped studies repeat the latter across series
    notes: tuple[str, ...]  # attributes required by the standard, missing in the source and generated

    def of_stack(self, series_uid: str, stack: Stack) -> list[Dataset]:
        """The header of each slice of a stack; frames of one file give the same header several times.

        Raises:
            UsageError: the slices come from no DICOM file.
        """
        found = [self.images.get((series_uid, uid)) for uid in stack.sop_uids]
        present = [one for one in found if one is not None]
        if not present or len(present) < len(stack.instance_numbers):
            raise UsageError("DICOM objects refer to DICOM images, and slices of this study have none; leave out --dicom")
        return present

    @property
    def any_image(self) -> Dataset:
        """One image of the study: the patient and the study are the same in all."""
        return next(iter(self.images.values()))


def read_source(study: Study, path: Path) -> SourceImages:
    """The headers of all images of `study`, which was read from `path`.

    Raises:
        UsageError: the study was not read from DICOM files.
    """
    wanted = {(series.series_uid, uid) for series in study.series for stack in series.stacks for uid in stack.sop_uids}
    images: dict[tuple[str, str], Dataset] = {}
    with gathered([path]) as sources, quiet_pydicom():
        for file in sources.files:
            try:
                header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
                key = str(header.get("SeriesInstanceUID", "")), str(header.get("SOPInstanceUID", ""))
            except Exception:  # noqa: S112  (foreign and damaged files; reading the study has named them)
                continue
            if key in wanted and key not in images:
                images[key] = header
    if not images:
        raise UsageError(f"{path} holds no DICOM images of the study, and DICOM objects refer to such; give DICOM files or leave out --dicom")
    notes: dict[str, None] = {}
    completed = {key: _completed(header, study.study_uid, notes) for key, header in images.items()}
    return SourceImages(study.study_uid, completed, tuple(notes))


def _completed(header: Dataset, study_uid: str, notes: dict[str, None]) -> Dataset:
    """The header with all attributes required in derived objects; generated ones are noted."""
    full = deepcopy(header)
    missing = [name for name in _EMPTY_WILL_DO if name not in full]
    for name in missing:
        setattr(full, name, "")
    if missing:
        notes[f"DICOM objects: the source has no {', '.join(missing)}; they were left empty"] = None
    for name, value, word in (
        ("SOPClassUID", MRImageStorage, "MR Image Storage was taken"),
        ("Modality", "MR", "MR was taken"),
        ("StudyInstanceUID", study_uid if _is_uid(study_uid) else derived_uid("study", study_uid), "one was derived"),
        ("FrameOfReferenceUID", derived_uid("frame of reference", study_uid), "one was derived for the whole study"),
    ):
        if not full.get(name):
            setattr(full, name, value)
            notes[f"DICOM objects: the source has no {name}; {word}"] = None
    return full


def _is_uid(value: str) -> bool:
    return 0 < len(value) <= 64 and all(part.isdigit() for part in value.split("."))
