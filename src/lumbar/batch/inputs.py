"""The inputs of a batch: folders, zips, NIfTI files, tables, URLs of object storage and DICOMweb queries as one list of studies."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom

from lumbar.errors import InputError, UnreadableInput, UsageError
from lumbar.io.archive import kind_of_archive
from lumbar.io.dicom_files import files_below, looks_like_dicom, quiet_pydicom
from lumbar.io.sources import NIFTI
from lumbar.io.tables import Row, read_table

DICOMWEB = "dicomweb+"  # dicomweb+https://host/dicom-web?ModalitiesInStudy=MR
_KNOWN = ("study", "path", "age_years", "sex")  # columns of a table with a meaning of their own; "age" is accepted for the third
_PROBES = 20  # files of a folder that are checked for a DICOM header


@dataclass(frozen=True)
class StudyInput:
    """One study of a batch."""

    name: str  # of its folder in the output: letters, digits, dot, dash, underscore
    source: str  # a path, a URL of fsspec, or a DICOMweb study
    age_years: float | None = None  # of a table; otherwise the header's
    sex: str | None = None  # "F" or "M"
    facts: tuple[tuple[str, str], ...] = ()  # other columns of the table (site, group, …), carried into people.csv

    @property
    def remote(self) -> bool:
        """Whether the files have to be fetched before they can be read."""
        return "://" in self.source


def find_inputs(words: Sequence[str]) -> list[StudyInput]:
    """All studies of `words`, ordered by name.

    A folder whose images belong to one study is that study; otherwise every folder, zip and NIfTI file in it is a study of its own.

    Raises:
        UnreadableInput: a word names nothing, or a table cannot be read.
        InputError: no study was found.
        UsageError: two studies have the same name.
    """
    found = [study for word in words for study in _of_word(word)]
    if not found:
        raise InputError(f"no study was found in {', '.join(words)}; give folders, zips, NIfTI files, a CSV with the columns study and path, or URLs")
    first: dict[str, StudyInput] = {}
    for study in found:
        other = first.setdefault(study.name.lower(), study)
        if other is not study:
            raise UsageError(f"two studies are called {study.name} ({other.source}, {study.source}); name them in a CSV with the columns study and path")

    return sorted(found, key=lambda study: study.name)


def _of_word(word: str) -> Iterable[StudyInput]:
    if word.startswith(DICOMWEB):
        from lumbar.batch.dicomweb import query  # noqa: PLC0415  (needs lumbar[cluster])

        return query(word.removeprefix(DICOMWEB))
    if "://" in word:
        from lumbar.batch.storage import studies_at  # noqa: PLC0415  (needs lumbar[cluster])

        return studies_at(word)
    path = Path(word)
    if not path.exists():
        raise UnreadableInput(f"{path} does not exist; give a folder, a zip, a NIfTI file or a CSV with the columns study and path")
    if path.suffix.lower() == ".csv":
        return _of_table(path)
    if path.is_dir():
        return _of_folder(path)
    return [StudyInput(study_name(path.name), str(path.resolve()))]


def study_name(name: str) -> str:
    """`name` without the ending of an archive or image, made fit for a folder's name."""
    stem = re.sub(r"(\.nii\.gz|\.nii|\.zip|\.tar|\.tgz|\.tar\.(gz|bz2|xz)|\.dcm)$", "", name.rstrip("/"), flags=re.IGNORECASE)
    return re.sub(r"[^\w.\-]", "_", stem).strip(".") or "study"


def _of_folder(folder: Path) -> list[StudyInput]:
    children = _children(folder)
    parts = [child for child in children if child.is_dir() or child.name.lower().endswith(NIFTI) or kind_of_archive(child)]
    folders = [part for part in parts if part.is_dir()]
    if len(parts) == 1 and folders and not _loose(_children(folders[0])) and any(child.is_dir() for child in _children(folders[0])):
        return _of_folder(folders[0])  # a collection of one study, or a folder around a collection
    if _loose(children) or _one_study(folders):
        return [StudyInput(study_name(folder.resolve().name), str(folder.resolve()))]
    return [StudyInput(study_name(part.name), str(part.resolve())) for part in parts]


def _children(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if not child.name.startswith("."))


def _loose(children: Iterable[Path]) -> bool:
    """Whether images lie among `children` themselves."""
    return any(child.is_file() and (child.name.lower().endswith(NIFTI) or looks_like_dicom(child)) for child in children)


def _one_study(folders: Iterable[Path]) -> bool:
    """Whether two or more folders hold series of one study: their first DICOM headers have the same StudyInstanceUID."""
    seen: set[str] = set()
    count = 0
    for folder in folders:
        uid = _study_uid(folder)
        if not uid:
            return False
        seen.add(uid)
        count += 1
        if len(seen) > 1:
            return False
    return count > 1 or (count == 1 and len(seen) == 1)


def _study_uid(folder: Path) -> str:
    """StudyInstanceUID of the first DICOM file below `folder`; "" where none of the first files is one."""
    with quiet_pydicom():
        for path in files_below(folder)[:_PROBES]:
            if not looks_like_dicom(path):
                continue
            try:
                header = pydicom.dcmread(path, specific_tags=["StudyInstanceUID"], stop_before_pixels=True, force=True)
            except Exception:  # noqa: S112  (a broken header can raise nearly anything; the study's own reading reports it)
                continue
            return str(header.get("StudyInstanceUID", ""))
    return ""


def _of_table(path: Path) -> Iterator[StudyInput]:
    table = read_table(path, ("study", "path"), "A table of studies has the columns study and path; age_years, sex, site and others may follow")
    age = "age" if "age" in table.names else "age_years"
    more = [name for name in table.names if name and name not in (*_KNOWN, "age")]
    for row in table.rows:
        sex = (row.optional("sex") or "").upper()[:1] or None
        if sex not in (None, "F", "M"):
            raise row.error("sex", f"is {row.cells['sex']!r}; F, M or blank is needed")
        facts = tuple((name, row.optional(name) or "") for name in more)
        yield StudyInput(study_name(row.identifier("study")), _source(row), row.optional_number(age, 0, 120, "an age in years"), sex, facts)


def _source(row: Row) -> str:
    """The address in `path`; relative paths are taken from the folder of the table."""
    source = row.word("path")
    if "://" in source:
        return source
    local = row.table.path.parent / source
    if not local.exists():
        raise row.error("path", f"is {source!r}, which does not exist; relative paths start at the folder of the table")
    return str(local.resolve())
