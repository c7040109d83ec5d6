"""The single entry point of studies: each is added to the worklist and queued once per set of images."""

import hashlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from lumbar.errors import UnreadableInput
from lumbar.io.dicom_files import files_below, looks_like_dicom
from lumbar.io.sources import NIFTI
from lumbar.service.folders import DataFolder
from lumbar.service.headers import Identity, identity_of_files
from lumbar.service.orthanc import ArrivedStudy
from lumbar.service.store.jobs import JobStore, Work
from lumbar.service.store.studies import StudyFacts, StudyStore


@dataclass(frozen=True)
class Taken:
    """A study that was accepted."""

    study: str
    job: str
    known: bool  # whether the same images were received before


class Intake:
    """Registers studies and queues their analysis."""

    def __init__(self, folder: DataFolder, studies: StudyStore, jobs: JobStore) -> None:
        self._folder, self._studies, self._jobs = folder, studies, jobs

    def from_files(self, source: Path, origin: str, user: str = "", identity: Identity | None = None, after: dict[str, object] | None = None) -> Taken:
        """Register the files below `source`, which are moved from there.

        Args:
            source: holds the files of one study.
            origin: "upload", "receiver" or "demo".
            user: who sent them.
            identity: what their headers say, if that is known.
            after: how the results are delivered.

        Raises:
            UnreadableInput: the files contain no image, or images of several studies.
        """
        files = files_below(source)
        if not any(looks_like_dicom(path) or path.name.lower().endswith(NIFTI) for path in files):
            raise UnreadableInput("no DICOM or NIfTI image is among the files; give a folder or a zip of one study")
        identity = identity or identity_of_files(files)
        fingerprint = _fingerprint(files)
        uid = identity.study_uid if identity and identity.study_uid else f"files {fingerprint}"
        study = self._folder.key_of_study(uid)
        known = self._jobs.knows(study, fingerprint)
        if not known:
            self._keep(files, self._folder.images(study, fingerprint))
        facts = identity.facts if identity else StudyFacts()
        person = self._folder.key_of_person(identity.patient_id, identity.issuer) if identity else ""
        self._studies.register(study, person, facts, origin, time.time())
        job, new = self._jobs.submit(Work(study, "analyze", fingerprint, {"kind": "files", **(after or {})}, {}, user))
        return Taken(study, job, not new)

    def from_archive(self, arrived: ArrivedStudy) -> Taken:
        """Register a study of the archive; its images are fetched when its job starts."""
        study = self._folder.key_of_study(arrived.uid)
        if not self._jobs.knows(study, arrived.fingerprint):
            person = self._folder.key_of_person(arrived.facts.patient_id, arrived.issuer)
            self._studies.register(study, person, arrived.facts, "archive", time.time(), arrived.name)
        source = {"kind": "archive", "images": list(arrived.images)}
        job, new = self._jobs.submit(Work(study, "analyze", arrived.fingerprint, source, {}))
        return Taken(study, job, not new)

    def _keep(self, files: list[Path], target: Path) -> None:
        """Move images into place under names without identity; NIfTI files keep theirs, which indicate the contrast."""
        stage = target.with_name(f".{target.name}.new")
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        for number, path in enumerate(files):
            name = path.name if path.name.lower().endswith(NIFTI) else f"{number:06d}{'.dcm' if looks_like_dicom(path) else ''}"
            place = stage / name
            path.rename(place if not place.exists() else stage / f"{number:06d}_{name}")
        shutil.rmtree(target, ignore_errors=True)
        stage.rename(target)


def _fingerprint(files: list[Path]) -> str:
    """Equal for equal contents, whatever their names and order."""
    digests = []
    for path in files:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
