"""The worklist: studies with the attributes of their headers, and the versions of their results."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from lumbar.service.store.database import Database

_ROWS = """
SELECT s.*, j.job, j.state, j.step, j.done, j.total, j.reason, j.finished_at, v.version, v.quality, v.worst, v.worst_rank, v.made_by,
       (SELECT count(*) FROM versions c WHERE c.study=s.study) AS versions
FROM studies s
JOIN jobs j ON j.rowid=(SELECT l.rowid FROM jobs l WHERE l.study=s.study AND l.state<>'replaced' ORDER BY l.created_at DESC, l.rowid DESC LIMIT 1)
LEFT JOIN versions v ON v.study=s.study AND v.version=(SELECT max(version) FROM versions m WHERE m.study=s.study)
"""
_SORTS = {
    "received": "s.received_at", "study_date": "s.study_date", "name": "s.name COLLATE NOCASE", "state": "j.state",
    "quality": "CASE v.quality WHEN 'failed' THEN 2 WHEN 'doubtful' THEN 1 WHEN 'passed' THEN 0 END", "severity": "v.worst_rank",
}  # fmt: skip
SORTS = tuple(_SORTS)


@dataclass(frozen=True)
class StudyFacts:
    """What the worklist shows of a study."""

    name: str = ""
    patient_id: str = ""
    birth_date: str | None = None  # YYYY-MM-DD
    sex: str | None = None
    study_date: str | None = None
    description: str = ""
    accession: str = ""


@dataclass(frozen=True)
class Search:
    """Search and filter of the worklist."""

    text: str = ""
    status: str | None = None
    quality: str | None = None
    severity: str | None = None
    origin: str | None = None
    sort: str = "received"
    descending: bool = True
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True)
class Version:
    """One complete result of a study."""

    study: str
    version: int
    job: str
    fingerprint: str  # of the images that it was made from
    made_at: float
    made_by: str | None
    based_on: int | None
    note: str
    changes: tuple[str, ...]
    quality: str | None
    worst: dict[str, Any] | None
    delivered: bool | None  # None: it is not delivered


@dataclass(frozen=True)
class NewVersion:
    """A result that has just been written."""

    study: str
    job: str
    fingerprint: str
    made_at: float
    quality: str | None
    worst: dict[str, Any] | None
    worst_rank: float
    made_by: str | None = None
    based_on: int | None = None
    note: str = ""
    changes: tuple[str, ...] = ()
    to_deliver: bool = False


class StudyStore:
    """Studies and versions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, study: str, person: str, facts: StudyFacts, origin: str, now: float, archive_id: str | None = None) -> None:
        """Add a study, or update its header attributes."""
        values = {**asdict(facts), "study": study, "person": person, "origin": origin, "received_at": now, "archive_id": archive_id}
        names = ", ".join(values)
        renewed = ", ".join(f"{name}=excluded.{name}" for name in values if name not in ("study", "origin", "received_at", "archive_id"))
        with self._database.change() as change:
            change.execute(
                f"INSERT INTO studies ({names}) VALUES ({', '.join(':' + name for name in values)}) "  # noqa: S608  (names of our own fields)
                f"ON CONFLICT (study) DO UPDATE SET {renewed}, archive_id=coalesce(excluded.archive_id, archive_id)",
                values,
            )

    def search(self, wanted: Search) -> tuple[int, list[sqlite3.Row]]:
        """The number of studies that fit, and the rows of one page."""
        where, values = _conditions(wanted)
        total = self._database.read.execute(f"SELECT count(*) FROM ({_ROWS} WHERE {where})", values).fetchone()[0]  # noqa: S608
        order = f"{_SORTS[wanted.sort]} IS NULL, {_SORTS[wanted.sort]} {'DESC' if wanted.descending else 'ASC'}, s.rowid DESC"
        rows = self._database.read.execute(f"{_ROWS} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?", (*values, wanted.limit, wanted.offset)).fetchall()
        return total, rows

    def row(self, study: str) -> sqlite3.Row | None:
        """One study as the worklist shows it."""
        found: sqlite3.Row | None = self._database.read.execute(f"{_ROWS} WHERE s.study=?", (study,)).fetchone()
        return found

    def state_counts(self) -> dict[str, int]:
        """Number of studies by the state of their latest job."""
        return {row[0]: row[1] for row in self._database.read.execute(f"SELECT state, count(*) FROM ({_ROWS}) GROUP BY state")}  # noqa: S608

    def earlier(self, study: str) -> list[sqlite3.Row]:
        """Older studies of the same person that have a result, the newest first."""
        return self._database.read.execute(
            f"{_ROWS} JOIN studies own ON own.study=? WHERE own.person<>'' AND s.person=own.person AND s.study<>own.study AND v.version IS NOT NULL "
            "AND s.study_date<=own.study_date ORDER BY s.study_date DESC",
            (study,),
        ).fetchall()

    def add_version(self, new: NewVersion) -> Version:
        """Add the result of a job as a version; repeated calls for one job return the same version."""
        with self._database.change() as change:
            known = change.execute("SELECT version FROM versions WHERE job=?", (new.job,)).fetchone()
            if known is None:
                change.execute(
                    "INSERT INTO versions (study, version, job, fingerprint, made_at, made_by, based_on, note, changes, quality, worst, worst_rank, delivered) "
                    "VALUES (?, 1 + coalesce((SELECT max(version) FROM versions WHERE study=?), 0), ?,?,?,?,?,?,?,?,?,?,?)",
                    (
                        new.study, new.study, new.job, new.fingerprint, new.made_at, new.made_by, new.based_on, new.note, json.dumps(new.changes),
                        new.quality, json.dumps(new.worst), new.worst_rank, 0 if new.to_deliver else None,
                    ),
                )  # fmt: skip
        return next(version for version in self.versions(new.study) if version.job == new.job)

    def versions(self, study: str) -> list[Version]:
        """All versions of a study, the newest first."""
        rows = self._database.read.execute("SELECT * FROM versions WHERE study=? ORDER BY version DESC", (study,)).fetchall()
        return [_version(row) for row in rows]

    def version_of_job(self, job: str) -> int | None:
        """The number of the version that a job made; None where it has made none yet."""
        row = self._database.read.execute("SELECT version FROM versions WHERE job=?", (job,)).fetchone()
        return int(row["version"]) if row else None

    def delivered(self, version: Version) -> None:
        """Note that the version's objects are in the archive."""
        with self._database.change() as change:
            change.execute("UPDATE versions SET delivered=1 WHERE study=? AND version=?", (version.study, version.version))

    def received_before(self, when: float) -> list[str]:
        """Studies that arrived before `when` and have no unfinished job."""
        rows = self._database.read.execute(
            "SELECT study FROM studies WHERE received_at<? AND study NOT IN (SELECT study FROM jobs WHERE state IN ('queued', 'running'))", (when,)
        )
        return [row["study"] for row in rows]

    def remove(self, study: str) -> None:
        """Remove a study with its jobs and versions."""
        with self._database.change() as change:
            for table in ("versions", "jobs", "studies"):
                change.execute(f"DELETE FROM {table} WHERE study=?", (study,))  # noqa: S608


def _conditions(wanted: Search) -> tuple[str, tuple[object, ...]]:
    parts, values = ["1"], []
    for column, value in (("j.state", wanted.status), ("v.quality", wanted.quality), ("s.origin", wanted.origin)):
        if value is not None:
            parts.append(f"{column}=?")
            values.append(value)
    if wanted.severity is not None:
        parts.append("json_extract(v.worst, '$.severity')=?")
        values.append(wanted.severity)
    for word in wanted.text.split():
        parts.append("(s.name || ' ' || s.patient_id || ' ' || s.accession || ' ' || s.description) LIKE ? ESCAPE '\\'")
        escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values.append(f"%{escaped}%")
    return " AND ".join(parts), tuple(values)


def _version(row: sqlite3.Row) -> Version:
    values = {name: row[name] for name in Version.__dataclass_fields__}
    delivered = None if row["delivered"] is None else bool(row["delivered"])
    return Version(**{**values, "changes": tuple(json.loads(row["changes"])), "worst": json.loads(row["worst"] or "null"), "delivered": delivered})
