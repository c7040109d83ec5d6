"""The service without its pages: stores, workers, and the sources of studies."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence

from lumbar.service.config import ServiceConfig
from lumbar.service.folders import DataFolder
from lumbar.service.follower import Follower
from lumbar.service.intake import Intake
from lumbar.service.orthanc import Orthanc, open_archive
from lumbar.service.store.audit import AuditLog
from lumbar.service.store.database import Database
from lumbar.service.store.jobs import JobStore
from lumbar.service.store.kept import KeptValues
from lumbar.service.store.sessions import SessionStore
from lumbar.service.store.studies import StudyStore
from lumbar.service.supervisor import WORKER, Supervisor

_LOG = logging.getLogger("lumbar.service")
Work = Callable[[threading.Event], None]
_LOOK_SECONDS = 60.0
_FORGOTTEN_SECONDS = 3600.0


class ServiceCore:
    """One service on one data folder."""

    def __init__(self, config: ServiceConfig, worker_command: Sequence[str] = WORKER) -> None:
        self.config = config
        self.folder = DataFolder(config.data)
        self._lock = self.folder.lock()
        database = Database(self.folder.database)
        self.jobs, self.studies = JobStore(database, config.queue), StudyStore(database)
        self.sessions, self.audit, self.kept = SessionStore(database), AuditLog(database), KeptValues(database)
        self.intake = Intake(self.folder, self.studies, self.jobs)
        self.archive: Orthanc | None = open_archive(config.archive) if config.archive else None
        self.supervisor = Supervisor(config, self.jobs, worker_command)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._others: list[tuple[str, Work]] = []

    def add(self, name: str, work: Work) -> None:
        """Also run `work` in a thread of its own, from `start` to `stop`."""
        self._others.append((name, work))

    def start(self) -> None:
        """Start: jobs that an earlier run left unfinished are queued again."""
        self.jobs.service_started()
        self._run("workers", self.supervisor.run)
        self._run("housekeeping", lambda stop: keep_house(self, stop))
        if self.archive and self.config.archive:
            self._run("follower", Follower(self.archive, self.intake, self.kept, self.config.archive).run)
        for name, work in self._others:
            self._run(name, work)

    def stop(self) -> None:
        """End all threads and workers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def remove_study(self, study: str, user: str, detail: str = "") -> None:
        """Remove a study with its images and results; the audit log names `user`."""
        self.audit.add(user, "delete", study, detail)
        self.studies.remove(study)
        shutil.rmtree(self.folder.study(study), ignore_errors=True)

    def _run(self, name: str, work: Work) -> None:
        def watched() -> None:
            try:
                work(self._stop)
            except Exception as error:
                _LOG.critical("%s ended (%s)", name, type(error).__name__)
                raise

        thread = threading.Thread(target=watched, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()


def keep_house(core: ServiceCore, stop: threading.Event) -> None:
    """Remove abandoned uploads and expired studies until `stop`."""
    while not stop.is_set():
        remove_forgotten(core.folder)
        if core.config.keep_days > 0:
            for study in core.studies.received_before(time.time() - core.config.keep_days * 86400):
                core.remove_study(study, "(service)", f"kept for {core.config.keep_days:g} days")
        stop.wait(_LOOK_SECONDS)


def remove_forgotten(folder: DataFolder) -> None:
    """Remove unfinished uploads."""
    for upload in folder.uploads.iterdir():
        try:
            if upload.stat().st_mtime < time.time() - _FORGOTTEN_SECONDS:
                shutil.rmtree(upload, ignore_errors=True)
        except FileNotFoundError:  # it has just been finished
            continue
