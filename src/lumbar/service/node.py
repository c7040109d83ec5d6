"""One pass over an archive: studies whose MR images are new are analyzed and their results sent back."""

import tempfile
from pathlib import Path

from lumbar.api import Result, analyze, load_models
from lumbar.errors import InputError
from lumbar.io.read import read_study
from lumbar.pipeline import Models
from lumbar.service.ledger import Ledger
from lumbar.service.orthanc import ArrivedStudy, Orthanc

_TRIES = 3


class Node:
    """Follows one Orthanc by reconciling its studies with a ledger of what was done: events can be lost, studies cannot."""

    def __init__(self, orthanc: Orthanc, ledger: Ledger, models: Models | None = None) -> None:
        self._orthanc, self._ledger = orthanc, ledger
        self._models = models or load_models()

    def run_once(self) -> int:
        """Analyze every stable study that is not done; returns how many were finished."""
        done = 0
        for study in self._orthanc.studies():
            if study.stable and self._ledger.wants(study.name, study.fingerprint, _TRIES):
                done += self._handle(study)
        return done

    def _handle(self, study: ArrivedStudy) -> int:
        self._ledger.began(study.name, study.fingerprint)
        try:
            with tempfile.TemporaryDirectory(prefix="lumbar-node-") as scratch:
                images, out = Path(scratch) / "in", Path(scratch) / "out"
                images.mkdir()
                self._orthanc.download(study, images)
                result: Result = analyze(read_study(images), self._models)
                result.write(out, dicom_from=images)
                self._orthanc.store(sorted((out / "dicom").rglob("*.dcm")))
        except InputError as error:
            self._ledger.failed(study.name, study.fingerprint, str(error), final=True)
            return 1
        except Exception as error:  # whatever it was, the study is tried again, and the reason is kept
            self._ledger.failed(study.name, study.fingerprint, f"{type(error).__name__}", final=False)
            return 0
        self._ledger.done(study.name, study.fingerprint)
        return 1
