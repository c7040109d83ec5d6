"""What the node needs of Orthanc's HTTP interface."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import httpx

_BOUNDARY = "lumbar-objects"


@dataclass(frozen=True)
class ArrivedStudy:
    """A study in the archive."""

    name: str  # Orthanc's own identifier, a hash
    images: tuple[str, ...]  # Orthanc's identifiers of its MR images
    stable: bool  # nothing has arrived for as long as Orthanc waits

    @property
    def fingerprint(self) -> str:
        """Equal while the MR images are the same, whatever else is stored beside them."""
        return hashlib.sha256("\n".join(sorted(self.images)).encode()).hexdigest()


class Orthanc:
    """A connection to one Orthanc."""

    def __init__(self, address: str, user: str, password: str) -> None:
        self._client = httpx.Client(base_url=address, auth=(user, password), timeout=120)

    def studies(self) -> list[ArrivedStudy]:
        """All studies that hold MR images; none while Orthanc does not answer."""
        try:
            return self._studies()
        except httpx.TransportError:
            return []

    def _studies(self) -> list[ArrivedStudy]:
        found = []
        for study in self._get("/studies?expand"):
            series = [one for one in self._get(f"/studies/{study['ID']}/series") if one["MainDicomTags"].get("Modality") == "MR"]
            images = tuple(image for one in series for image in one["Instances"])
            if images:
                found.append(ArrivedStudy(study["ID"], images, bool(study["IsStable"])))
        return found

    def counts(self, study: str) -> dict[str, int]:
        """Number of objects by modality in a study."""
        counts: dict[str, int] = {}
        for one in self._get(f"/studies/{study}/series"):
            modality = one["MainDicomTags"].get("Modality", "")
            counts[modality] = counts.get(modality, 0) + len(one["Instances"])
        return counts

    def download(self, study: ArrivedStudy, folder: Path) -> None:
        """Write the MR images of a study into `folder`."""
        packed = folder / "study.zip"
        with (
            self._client.stream("POST", "/tools/create-archive", json={"Resources": list(study.images), "Synchronous": True}) as answer,
            packed.open("wb") as file,
        ):
            answer.raise_for_status()
            for part in answer.iter_bytes():
                file.write(part)
        with zipfile.ZipFile(packed) as archive:
            for number, name in enumerate(archive.namelist()):
                (folder / f"{number:06d}.dcm").write_bytes(archive.read(name))
        packed.unlink()

    def store(self, files: list[Path]) -> None:
        """Send objects by STOW-RS; what is there already stays as it is."""
        for path in files:
            body = b"".join((f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode(), path.read_bytes(), f"\r\n--{_BOUNDARY}--\r\n".encode()))
            kind = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
            answer = self._client.post("/dicom-web/studies", content=body, headers={"Content-Type": kind, "Accept": "application/dicom+json"})
            answer.raise_for_status()

    def alive(self) -> bool:
        """Whether it answers."""
        try:
            return self._client.get("/system", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def _get(self, path: str) -> list[dict]:  # type: ignore[type-arg]
        answer = self._client.get(path)
        answer.raise_for_status()
        found: list[dict] = answer.json()  # type: ignore[type-arg]
        return found
