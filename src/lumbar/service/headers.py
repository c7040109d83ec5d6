"""Patient and study attributes from DICOM headers, for the worklist."""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from lumbar.errors import UnreadableInput
from lumbar.io.dicom_files import looks_like_dicom, quiet_pydicom
from lumbar.service.store.studies import StudyFacts

_LONGEST = 256  # characters of a shown value
_TAGS = (
    "StudyInstanceUID", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyDescription",
    "AccessionNumber", "Rows",
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """Which study and person images belong to."""

    study_uid: str
    patient_id: str
    issuer: str
    facts: StudyFacts


def dicom_date(value: object) -> str | None:
    """YYYY-MM-DD from YYYYMMDD; None for an invalid date."""
    try:
        return datetime.datetime.strptime(str(value).strip(), "%Y%m%d").date().isoformat()
    except ValueError:
        return None


def identity_of(header: Dataset) -> Identity:
    """Patient and study of one header."""
    sex = _text(header, "PatientSex")
    facts = StudyFacts(
        _text(header, "PatientName").replace("^", " ").strip(), _text(header, "PatientID"), dicom_date(_text(header, "PatientBirthDate")),
        sex if sex in ("F", "M") else None, dicom_date(_text(header, "StudyDate")), _text(header, "StudyDescription"), _text(header, "AccessionNumber"),
    )  # fmt: skip
    return Identity(_text(header, "StudyInstanceUID"), _text(header, "PatientID"), _text(header, "IssuerOfPatientID"), facts)


def identity_of_files(files: Iterable[Path]) -> Identity | None:
    """Patient and study of the DICOM images among `files`; None if there are none.

    Raises:
        UnreadableInput: they belong to several studies.
    """
    found: dict[str, Identity] = {}
    with quiet_pydicom():
        for path in files:
            if not looks_like_dicom(path):
                continue
            try:
                header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
                if header.get("Rows") is not None:
                    one = identity_of(header)
                    found.setdefault(one.study_uid, one)
            except Exception:  # noqa: S112  (a broken header can make pydicom raise nearly anything; reading the study names the file)
                continue
    if len(found) > 1:
        raise UnreadableInput(f"these are images of {len(found)} studies; upload one study at a time")
    return next(iter(found.values()), None)


def _text(header: Dataset, name: str) -> str:
    try:
        value = header.get(name)
    except Exception:  # a value that cannot be decoded
        return ""
    text = "" if value is None else str(value)
    return "".join(character for character in text if character.isprintable())[:_LONGEST].strip()
