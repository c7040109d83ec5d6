"""Client for the parts of Orthanc's HTTP interface that the service uses."""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from lumbar.errors import UsageError
from lumbar.service.config import ArchiveSettings
from lumbar.service.delivery import Refused
from lumbar.service.headers import dicom_date
from lumbar.service.store.studies import StudyFacts

_BOUNDARY = "lumbar-objects"
_PAGE = 200
_FAILED_SEQUENCE = "00081198"  # of the answer to STOW-RS


@dataclass(frozen=True)
class ArrivedStudy:
    """A study in the archive."""

    name: str  # Orthanc's own identifier, a hash
    uid: str
    issuer: str  # of the patient identifier
    facts: StudyFacts
    images: tuple[str, ...]  # Orthanc's identifiers of its MR images
    stable: bool  # nothing has arrived for as long as Orthanc waits
    updated: str  # when something arrived last, YYYYMMDDTHHMMSS

    @property
    def fingerprint(self) -> str:
        """Equal while the MR images are the same, whatever else is stored beside them."""
        return hashlib.sha256("\n".join(sorted(self.images)).encode()).hexdigest()


@dataclass(frozen=True)
class Changes:
    """A page of the archive's list of changes."""

    stable_studies: tuple[str, ...]
    last: int
    done: bool


class Orthanc:
    """A connection to one Orthanc.

    All methods raise `httpx.TransportError` where it does not respond and `httpx.HTTPStatusError` where it rejects the request.
    """

    def __init__(self, settings: ArchiveSettings, password: str) -> None:
        self._client = httpx.Client(base_url=settings.url, auth=(settings.user, password), timeout=120)

    def changes(self, since: int) -> Changes:
        """The changes after the one with that number."""
        page = self._get(f"/changes?since={since}&limit={_PAGE}")
        stable = dict.fromkeys(str(one["ID"]) for one in page["Changes"] if one["ChangeType"] == "StableStudy")
        return Changes(tuple(stable), int(page["Last"]), bool(page["Done"]))

    def last_change(self) -> int:
        """The number of the newest change."""
        return int(self._get("/changes?last")["Last"])

    def updates(self) -> Iterator[tuple[str, str]]:
        """All studies with the time when something last arrived for them."""
        offset = 0
        while page := self._get(f"/studies?expand&since={offset}&limit={_PAGE}"):
            yield from ((str(one["ID"]), str(one["LastUpdate"])) for one in page)
            offset += len(page)

    def study(self, name: str) -> ArrivedStudy | None:
        """A study by Orthanc's identifier; None where there is none."""
        try:
            study = self._get(f"/studies/{name}")
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return None
            raise
        series = [one for one in self._get(f"/studies/{name}/series") if one["MainDicomTags"].get("Modality") == "MR"]
        images = tuple(str(image) for one in series for image in one["Instances"])
        tags, person = study["MainDicomTags"], study["PatientMainDicomTags"]
        sex, born = str(person.get("PatientSex", "")), dicom_date(person.get("PatientBirthDate"))
        facts = StudyFacts(
            str(person.get("PatientName", "")), str(person.get("PatientID", "")), born, sex if sex in ("F", "M") else None,
            dicom_date(tags.get("StudyDate")), str(tags.get("StudyDescription", "")), str(tags.get("AccessionNumber", "")),
        )  # fmt: skip
        issuer = str(person.get("IssuerOfPatientID", ""))
        return ArrivedStudy(name, str(tags.get("StudyInstanceUID", "")), issuer, facts, images, bool(study["IsStable"]), str(study["LastUpdate"]))

    def counts(self, study: str) -> dict[str, int]:
        """Number of objects by modality in a study."""
        counts: dict[str, int] = {}
        for one in self._get(f"/studies/{study}/series"):
            modality = one["MainDicomTags"].get("Modality", "")
            counts[modality] = counts.get(modality, 0) + len(one["Instances"])
        return counts

    def download(self, images: Sequence[str], folder: Path) -> None:
        """Write images into `folder`."""
        packed = folder / "study.zip"
        with (
            self._client.stream("POST", "/tools/create-archive", json={"Resources": list(images), "Synchronous": True}) as answer,
            packed.open("wb") as file,
        ):
            answer.raise_for_status()
            for part in answer.iter_bytes():
                file.write(part)
        with zipfile.ZipFile(packed) as archive:
            for number, name in enumerate(archive.namelist()):
                (folder / f"{number:06d}.dcm").write_bytes(archive.read(name))
        packed.unlink()

    def store(self, files: Sequence[Path]) -> None:
        """Send objects by STOW-RS; what is there already stays as it is.

        Raises:
            Refused: it did not take all of them.
        """
        kind = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
        headers = {"Content-Type": kind, "Accept": "application/dicom+json", "Content-Length": str(sum(len(part) for part in _parts(files)))}
        answer = self._client.post("/dicom-web/studies", content=_parts(files), headers=headers)
        answer.raise_for_status()
        if refused := answer.json().get(_FAILED_SEQUENCE, {}).get("Value", []):
            raise Refused(f"the archive refused {len(refused)} of {len(files)} objects")

    def _get(self, path: str) -> Any:
        answer = self._client.get(path)
        answer.raise_for_status()
        return answer.json()


def open_archive(settings: ArchiveSettings) -> Orthanc:
    """The connection to the archive, with the password of its file."""
    return Orthanc(settings, password_of(settings))


def password_of(settings: ArchiveSettings) -> str:
    """The password in the file that the settings name.

    Raises:
        UsageError: it cannot be read.
    """
    if settings.password_file is None:
        return ""
    try:
        return settings.password_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"{settings.password_file} cannot be read ({error.strerror}); it holds the password of the archive's user") from error


def _parts(files: Sequence[Path]) -> Iterator[bytes]:
    for path in files:
        yield f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        yield path.read_bytes()
        yield b"\r\n"
    yield f"--{_BOUNDARY}--\r\n".encode()
