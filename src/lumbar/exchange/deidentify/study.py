"""All images of an input without identity, as new files with new names."""

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom

from lumbar.errors import UnreadableInput, UsageError
from lumbar.exchange.deidentify.image import deidentified
from lumbar.exchange.deidentify.pseudonyms import Pseudonyms
from lumbar.io.dicom_files import looks_like_dicom, quiet_pydicom
from lumbar.io.sources import gathered

_LEAST_SECRET = 16  # bytes


@dataclass(frozen=True)
class Outcome:
    """Counts of the files of an input by outcome."""

    written: int
    refused: tuple[str, ...]  # one sentence for each omitted file, without its name
    identities: tuple[tuple[str, str, str], ...]  # (kind, original, replacement): for the user alone


def read_secret(path: Path) -> bytes:
    """The secret in `path`, which is made, readable by its owner alone, where there is none.

    Raises:
        UsageError: the file holds fewer than 16 bytes or cannot be read or made.
    """
    try:
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(os.urandom(32).hex().encode())
        secret = path.read_bytes().strip()
    except OSError as error:
        raise UsageError(f"the secret {path} cannot be read or made ({error.strerror}); name another file with --secret") from error
    if len(secret) < _LEAST_SECRET:
        raise UsageError(f"the secret {path} holds {len(secret)} bytes; at least {_LEAST_SECRET} are needed")
    return secret


def deidentify(path: Path, folder: Path, secret: bytes, progress: Callable[[int, int], None] | None = None) -> Outcome:
    """Write a copy without identity of every MR image in `path` into `folder`; images that cannot be de-identified are left out and counted.

    Raises:
        UnreadableInput: no image could be written.
    """
    pseudonyms = Pseudonyms(secret)
    refused: list[str] = []
    identities: dict[tuple[str, str, str], None] = {}
    written = 0
    with gathered([path]) as sources, quiet_pydicom():
        files = [file for file in sources.files if looks_like_dicom(file)]
        for number, file in enumerate(files, start=1):
            try:
                source = pydicom.dcmread(file, force=True)
                made = deidentified(source, pseudonyms)
            except UnreadableInput as error:
                refused.append(str(error))
                continue
            except Exception as error:  # a broken file can make pydicom raise nearly anything; its text may hold patient data, its type does not
                refused.append(f"it cannot be read ({type(error).__name__})")
                continue
            out = folder / str(made.get("SeriesInstanceUID", "series")) / f"{number:06d}.dcm"
            out.parent.mkdir(parents=True, exist_ok=True)
            made.save_as(out, enforce_file_format=True)
            written += 1
            identities[("patient", str(source.get("PatientID", "")), str(made.PatientID))] = None
            identities[("study", str(source.get("StudyInstanceUID", "")), str(made.get("StudyInstanceUID", "")))] = None
            if progress:
                progress(number, len(files))
    if not written:
        why = "; ".join(dict.fromkeys(refused)) or "it contains no DICOM files"
        raise UnreadableInput(f"no image could be de-identified: {why}")
    return Outcome(written, tuple(refused), tuple(identities))


def write_map(outcome: Outcome, path: Path) -> None:
    """The table from replacements to originals, readable by its owner only."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["kind", "original", "replacement"])
        table.writerows(outcome.identities)
