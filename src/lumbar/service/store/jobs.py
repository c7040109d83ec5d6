"""The queue: one table of jobs that worker processes lease from.

A job is queued, running (leased), done, failed, or replaced by a job on more images of the same study. Whoever holds the lease may change the job; a lease
that is not renewed ends, and the job is queued again. A job that was begun three times without an end has failed.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lumbar.service.store.database import Database

ENDED = ("done", "failed", "replaced")


class LeaseLost(Exception):
    """The job belongs to another worker now."""


@dataclass(frozen=True)
class QueueRules:
    """Limits of attempts and times of the queue."""

    lease_seconds: float = 30.0  # a worker that does not renew its lease for this long has died
    most_tries: int = 3
    backoff_seconds: tuple[float, ...] = (10.0, 60.0)  # before the second, third, … try
    wait_seconds: tuple[float, ...] = (2.0, 10.0, 30.0, 120.0, 300.0)  # between attempts to reach an unavailable archive; the last value repeats


@dataclass(frozen=True)
class Work:
    """A new job."""

    study: str
    kind: str  # "analyze" or "correct"
    fingerprint: str  # of the images, or of the correction: equal work is done once
    source: dict[str, Any]  # where the images are
    request: dict[str, Any]  # the user's request
    created_by: str = ""


@dataclass(frozen=True)
class Job:
    """A row of the table of jobs."""

    job: str
    study: str
    kind: str
    fingerprint: str
    source: dict[str, Any]
    request: dict[str, Any]
    state: str
    tries: int
    waits: int
    reason: str
    lease: str | None
    step: str
    done: int
    total: int
    created_at: float
    started_at: float | None
    finished_at: float | None
    created_by: str
    changed_at: float


class JobStore:
    """The table of jobs."""

    def __init__(self, database: Database, rules: QueueRules | None = None, clock: Callable[[], float] = time.time) -> None:
        self._database, self.rules, self._clock = database, rules or QueueRules(), clock

    def submit(self, work: Work) -> tuple[str, bool]:
        """The job of `work`, and whether it is new; equal work has one job. Queued jobs on other images of the study are replaced."""
        now = self._clock()
        with self._database.change() as change:
            known = change.execute(
                "SELECT job, state FROM jobs WHERE study=? AND kind=? AND fingerprint=?", (work.study, work.kind, work.fingerprint)
            ).fetchone()
            if known is not None and known["state"] != "replaced":
                return str(known["job"]), False
            if work.kind == "analyze":
                change.execute(
                    "UPDATE jobs SET state='replaced', reason='more images of the study arrived', finished_at=?, changed_at=? "
                    "WHERE study=? AND kind='analyze' AND state='queued'",
                    (now, now, work.study),
                )
            if known is not None:
                _requeue(change, str(known["job"]), now)
                return str(known["job"]), True
            job = secrets.token_hex(8)
            change.execute(
                "INSERT INTO jobs (job, study, kind, fingerprint, source, request, created_at, created_by, changed_at) VALUES (?,?,?,?,?,?,?,?,?)",
                (job, work.study, work.kind, work.fingerprint, json.dumps(work.source), json.dumps(work.request), now, work.created_by, now),
            )
        return job, True

    def claim(self, worker: str) -> Job | None:
        """The next job, leased to `worker`; corrections come first, because a user waits for them."""
        now = self._clock()
        with self._database.change() as change:
            self._end_leases(change, "lease_until<?", (now,), "the worker stopped responding", now)
            row = change.execute(
                "SELECT job FROM jobs WHERE state='queued' AND not_before<=? AND study NOT IN (SELECT study FROM jobs WHERE state='running') "
                "ORDER BY kind='correct' DESC, created_at, rowid LIMIT 1",
                (now,),
            ).fetchone()
            if row is None:
                return None
            change.execute(
                "UPDATE jobs SET state='running', tries=tries+1, lease=?, worker=?, lease_until=?, started_at=?, step='', done=0, total=0, changed_at=? "
                "WHERE job=?",
                (secrets.token_hex(16), worker, now + self.rules.lease_seconds, now, now, row["job"]),
            )
        return self.get(row["job"])

    def renew(self, job: Job, step: str, done: int, total: int) -> None:
        """Keep the lease and report progress.

        Raises:
            LeaseLost: it ended.
        """
        now = self._clock()
        self._update(job, "lease_until=?, step=?, done=?, total=?, changed_at=?", (now + self.rules.lease_seconds, step, done, total, now))

    def finish(self, job: Job) -> None:
        """Mark the job as done.

        Raises:
            LeaseLost: the lease ended.
        """
        now = self._clock()
        self._update(job, "state='done', reason='', lease=NULL, finished_at=?, changed_at=?", (now, now))

    def fail(self, job: Job, reason: str, final: bool) -> None:
        """Record a failed attempt; the job is tried again after a pause unless `final` or tried too often.

        Raises:
            LeaseLost: the lease ended.
        """
        now = self._clock()
        if final or job.tries >= self.rules.most_tries:
            self._update(job, "state='failed', reason=?, lease=NULL, finished_at=?, changed_at=?", (reason, now, now))
            return
        pause = self.rules.backoff_seconds[min(job.tries, len(self.rules.backoff_seconds)) - 1]
        self._update(job, "state='queued', reason=?, lease=NULL, not_before=?, changed_at=?", (reason, now + pause, now))

    def wait(self, job: Job, reason: str) -> None:
        """Postpone a job because an external resource (the archive, disk space) is unavailable; the attempt does not count.

        Raises:
            LeaseLost: the lease ended.
        """
        now = self._clock()
        pause = self.rules.wait_seconds[min(job.waits, len(self.rules.wait_seconds) - 1)]
        self._update(job, "state='queued', tries=tries-1, waits=waits+1, reason=?, lease=NULL, not_before=?, changed_at=?", (reason, now + pause, now))

    def give_back(self, worker: str) -> None:
        """Queue the job of a worker that is shutting down again; the attempt is not counted."""
        now = self._clock()
        with self._database.change() as change:
            change.execute("UPDATE jobs SET state='queued', tries=tries-1, lease=NULL, changed_at=? WHERE state='running' AND worker=?", (now, worker))

    def worker_ended(self, worker: str, reason: str) -> None:
        """Queue the job of a worker process that has ended again, or let it fail if that happened too often."""
        with self._database.change() as change:
            self._end_leases(change, "worker=?", (worker,), reason, self._clock())

    def service_started(self) -> None:
        """Queue the unfinished jobs of an earlier run of the service again."""
        with self._database.change() as change:
            self._end_leases(change, "1", (), "the service was stopped while it ran", self._clock())

    def retry(self, job: str) -> bool:
        """Queue a failed job again; False if it is not failed."""
        with self._database.change() as change:
            failed = change.execute("SELECT 1 FROM jobs WHERE job=? AND state='failed'", (job,)).fetchone()
            if failed:
                _requeue(change, job, self._clock())
        return failed is not None

    def get(self, job: str) -> Job | None:
        """A job by name."""
        row = self._database.read.execute("SELECT * FROM jobs WHERE job=?", (job,)).fetchone()
        return _job(row) if row else None

    def of_study(self, study: str) -> list[Job]:
        """All jobs of a study, the newest first."""
        rows = self._database.read.execute("SELECT * FROM jobs WHERE study=? ORDER BY created_at DESC, rowid DESC", (study,)).fetchall()
        return [_job(row) for row in rows]

    def knows(self, study: str, fingerprint: str) -> bool:
        """Whether a job exists for these images of the study."""
        found = self._database.read.execute(
            "SELECT 1 FROM jobs WHERE study=? AND kind='analyze' AND fingerprint=? AND state<>'replaced'", (study, fingerprint)
        ).fetchone()
        return found is not None

    def changed_since(self, when: float, study: str | None = None) -> list[Job]:
        """Jobs (of one study or of all) that changed at `when` or later, the oldest change first."""
        rows = self._database.read.execute(
            "SELECT * FROM jobs WHERE changed_at>=? AND (? IS NULL OR study=?) ORDER BY changed_at", (when, study, study)
        ).fetchall()
        return [_job(row) for row in rows]

    def latest_change(self) -> float:
        """Time of the latest change of any job."""
        return float(self._database.read.execute("SELECT coalesce(max(changed_at), 0) FROM jobs").fetchone()[0])

    def counts(self) -> dict[str, int]:
        """Number of jobs by state."""
        return {row[0]: row[1] for row in self._database.read.execute("SELECT state, count(*) FROM jobs GROUP BY state")}

    def _end_leases(self, change: sqlite3.Connection, which: str, values: Sequence[object], reason: str, now: float) -> None:
        # `which` is one of the conditions above, never text from outside.
        change.execute(
            f"UPDATE jobs SET state=CASE WHEN tries>=? THEN 'failed' ELSE 'queued' END, finished_at=CASE WHEN tries>=? THEN ? END, "  # noqa: S608
            f"reason=CASE WHEN tries>=? THEN ? || ', ' || tries || ' times' ELSE ? END, lease=NULL, changed_at=? WHERE state='running' AND {which}",
            (self.rules.most_tries, self.rules.most_tries, now, self.rules.most_tries, reason, reason, now, *values),
        )

    def _update(self, job: Job, what: str, values: tuple[object, ...]) -> None:
        with self._database.change() as change:
            made = change.execute(f"UPDATE jobs SET {what} WHERE job=? AND lease=? AND state='running'", (*values, job.job, job.lease))  # noqa: S608
            if made.rowcount != 1:
                raise LeaseLost(job.job)


def _requeue(change: sqlite3.Connection, job: str, now: float) -> None:
    change.execute(
        "UPDATE jobs SET state='queued', tries=0, waits=0, reason='', lease=NULL, not_before=0, finished_at=NULL, changed_at=? WHERE job=?", (now, job)
    )


def _job(row: sqlite3.Row) -> Job:
    values = {name: row[name] for name in Job.__dataclass_fields__}
    return Job(**{**values, "source": json.loads(row["source"]), "request": json.loads(row["request"])})
