"""A worker: it leases a job, analyzes the study, puts the result in place and delivers it, and renews its lease meanwhile."""

import logging
import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from lumbar.errors import InputError, UsageError
from lumbar.service.config import ServiceConfig
from lumbar.service.delivery import Away, Destination, Refused
from lumbar.service.folders import DataFolder
from lumbar.service.orthanc import Orthanc
from lumbar.service.room import disk_is_full
from lumbar.service.store.jobs import Job, JobStore, LeaseLost
from lumbar.service.store.studies import NewVersion, StudyStore, Version
from lumbar.service.summary import summary_of
from lumbar.service.task import Engine, Task

_LOG = logging.getLogger("lumbar.service")
_IDLE_SECONDS = 0.3
_SHOWN_EVERY_SECONDS = 0.5
_AWAY = (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT)


@dataclass(frozen=True)
class Outside:
    """The systems that a worker communicates with."""

    archive: Orthanc | None = None  # source of studies; their results are sent back
    results: Destination | None = None  # takes the results of studies that came by C-STORE


class Worker:
    """Works through the queue, one job after the other."""

    def __init__(self, name: str, config: ServiceConfig, folder: DataFolder, stores: tuple[JobStore, StudyStore], engine: Engine, outside: Outside) -> None:
        self._name, self._config, self._folder, self._engine = name, config, folder, engine
        self._archive, self._results = outside.archive, outside.results
        self._jobs, self._studies = stores

    def run(self, stop: threading.Event) -> None:
        """Take jobs until `stop`."""
        while not stop.is_set():
            try:
                worked = self.step()
            except Exception as error:  # a full disk or a locked table: the lease expires, and the job is queued again
                _LOG.error("%s: the queue could not be used (%s)", self._name, type(error).__name__)
                worked = False
            if not worked:
                stop.wait(_IDLE_SECONDS)

    def step(self) -> bool:
        """Take one job, if there is one."""
        if self._folder.free_gib() < self._config.least_free_gib:
            return False
        job = self._jobs.claim(self._name)
        if job is None:
            return False
        with _Heartbeat(self._jobs, job, self._config.job_minutes * 60) as heart:
            self._try(job, heart)
        return True

    def _try(self, job: Job, heart: "_Heartbeat") -> None:
        _LOG.info("%s: job %s begins, try %d", self._name, job.job, job.tries)
        try:
            try:
                self._do(job, heart)
                self._jobs.finish(job)
                _LOG.info("%s: job %s is done: %s", self._name, job.job, heart.durations())
            except InputError as error:
                self._jobs.fail(job, str(error).replace(str(self._folder.study(job.study)), "the study"), final=True)
                _LOG.info("%s: job %s failed: its images cannot be used", self._name, job.job)
            except (Away, httpx.TransportError) as error:
                reason = str(error) if isinstance(error, Away) else "the archive does not answer; the study waits for it"
                self._jobs.wait(job, reason)
                _LOG.info("%s: job %s waits", self._name, job.job)
            except LeaseLost:
                raise
            except Exception as error:
                self._failed(job, error)
        except LeaseLost:
            _LOG.warning("%s: job %s belongs to another worker now", self._name, job.job)

    def _failed(self, job: Job, error: Exception) -> None:
        """Record a failed attempt. Error messages of other libraries may contain header values, so only the type of the error is kept."""
        if disk_is_full(error):
            self._jobs.wait(job, "the disk is full; the study waits for space")
            return
        reason = str(error) if isinstance(error, UsageError | Refused) else type(error).__name__
        self._jobs.fail(job, reason.replace(str(self._folder.study(job.study)), "the study"), final=False)
        _LOG.warning("%s: job %s failed (%s), try %d", self._name, job.job, type(error).__name__, job.tries)

    def _do(self, job: Job, heart: "_Heartbeat") -> None:
        result = self._folder.result(job.study, job.job)
        fingerprint = str(job.source.get("images_of", job.fingerprint))
        if not result.exists():
            images = self._images(job, fingerprint, heart)
            views = self._folder.views(job.study, fingerprint)
            task = Task(images, result, views, job.request, self._folder.masks(job.study), self._earlier(job.study))
            self._engine.run(task, heart.show)
        heart.show("sending the results", 0, 1)
        version = self._version(job, fingerprint, result)
        if version.delivered is False:
            self._deliver(job, version, result)

    def _images(self, job: Job, fingerprint: str, heart: "_Heartbeat") -> Path:
        """The images of the job, fetched from the archive if they are not here."""
        images = self._folder.images(job.study, fingerprint)
        if images.exists() or job.source["kind"] != "archive":
            return images
        if self._archive is None:
            raise Away("the study is in an archive that is no longer configured; the job waits")
        heart.show("fetching the images", 0, 1)
        stage = images.with_name(f".{images.name}.{job.lease}")
        stage.mkdir(parents=True)
        try:
            self._archive.download(job.source["images"], stage)
            if not images.exists():
                stage.rename(images)
        except httpx.HTTPStatusError as error:
            raise _of_status(error) from error
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        return images

    def _earlier(self, study: str) -> tuple[Path, str] | None:
        """The newest result of the person's latest examination before this one, and its date."""
        own = self._studies.row(study)
        for row in self._studies.earlier(study):
            if own is not None and row["study_date"] < own["study_date"]:
                return self._folder.result(row["study"], self._studies.versions(row["study"])[0].job), row["study_date"]
        return None

    def _version(self, job: Job, fingerprint: str, result: Path) -> Version:
        summary, request = summary_of(result), job.request
        author = job.created_by if job.kind == "correct" else None
        to_deliver = self._destination(job) is not None
        return self._studies.add_version(
            NewVersion(
                job.study, job.job, fingerprint, time.time(), summary.quality, summary.worst, summary.worst_rank, author,
                request.get("based_on"), request.get("note", ""), tuple(request.get("changes", ())), to_deliver,
            )
        )  # fmt: skip

    def _destination(self, job: Job) -> Destination | None:
        """Destination of the results of the job; None if they are not delivered."""
        if job.source["kind"] == "archive":
            return self._archive
        return self._results if job.source.get("send_results") else None

    def _deliver(self, job: Job, version: Version, result: Path) -> None:
        destination = self._destination(job)
        if destination is None:
            raise Away("the results belong to an archive that is no longer configured; they wait")
        try:
            destination.store(sorted((result / "dicom").rglob("*.dcm")))
        except httpx.HTTPStatusError as error:
            raise _of_status(error) from error
        self._studies.delivered(version)


class _Heartbeat:
    """Renews the lease from a thread of its own, and ends the process when the lease is lost or the job takes too long."""

    def __init__(self, jobs: JobStore, job: Job, most_seconds: float) -> None:
        self._jobs, self._job, self._most_seconds = jobs, job, most_seconds
        self._shown = ("", 0, 0)
        self._began = self._said = time.monotonic()
        self._steps: list[tuple[str, float]] = []  # with the time when each began
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "_Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def show(self, step: str, done: int, total: int) -> None:
        """Report progress: at once for a new step, otherwise at intervals."""
        new = step != self._shown[0]
        self._shown = (step, done, total)
        if new:
            self._steps.append((step, time.monotonic()))
        if new or time.monotonic() - self._said > _SHOWN_EVERY_SECONDS:
            self._said = time.monotonic()
            self._jobs.renew(self._job, *self._shown)

    def durations(self) -> str:
        """How long each step took, for the log."""
        ends = [began for _, began in self._steps[1:]] + [time.monotonic()]
        return ", ".join(f"{step} {end - began:.1f} s" for (step, began), end in zip(self._steps, ends, strict=True))

    def _beat(self) -> None:
        while not self._ended.wait(self._jobs.rules.lease_seconds / 5):
            try:
                if time.monotonic() - self._began > self._most_seconds:
                    self._jobs.fail(self._job, f"the analysis took longer than {self._most_seconds / 60:g} minutes", final=False)
                    _LOG.error("job %s took too long; its worker ends", self._job.job)
                    os._exit(4)
                self._jobs.renew(self._job, *self._shown)
            except LeaseLost:
                if self._ended.wait(1.0):  # the job has just ended
                    return
                _LOG.error("job %s lost its lease; its worker ends", self._job.job)
                os._exit(3)
            except Exception as error:  # a full disk or a locked table: the lease may still be renewed before it ends
                _LOG.warning("job %s: its lease could not be renewed (%s)", self._job.job, type(error).__name__)


def _of_status(error: httpx.HTTPStatusError) -> Exception:
    status = error.response.status_code
    if status in _AWAY:
        return Away("the archive does not answer; the study waits for it")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return Away("the archive refuses the service's user and password; the study waits until they are right")
    if status == httpx.codes.NOT_FOUND:
        return InputError("the archive does not hold the images of the study any more")
    return UsageError(f"the archive answered with status {status}")
