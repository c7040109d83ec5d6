"""The JSON shapes of studies, versions and jobs."""

import datetime
import json
import sqlite3
from typing import Any

from lumbar.service.store.jobs import Job
from lumbar.service.store.studies import Version


def moment(seconds: float | None) -> str | None:
    """A time in UTC."""
    if seconds is None:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def study_row(row: sqlite3.Row) -> dict[str, Any]:
    """One line of the worklist."""
    return {
        "study": row["study"], "state": row["state"], "step": row["step"], "done": row["done"], "total": row["total"], "reason": row["reason"],
        "job": row["job"], "quality": row["quality"], "worst": json.loads(row["worst"] or "null"),
        "patient": {"name": row["name"], "patient_id": row["patient_id"], "birth_date": row["birth_date"], "sex": row["sex"]},
        "study_date": row["study_date"], "description": row["description"], "accession": row["accession"], "origin": row["origin"],
        "received_at": moment(row["received_at"]), "finished_at": moment(row["finished_at"]), "version": row["version"], "versions": row["versions"],
        "corrected_by": row["made_by"],
    }  # fmt: skip


def version_entry(version: Version) -> dict[str, Any]:
    """One version of a study."""
    base = f"/api/studies/{version.study}/versions/{version.version}"
    return {
        "version": version.version, "made_at": moment(version.made_at), "made_by": version.made_by, "based_on": version.based_on, "note": version.note,
        "changes": list(version.changes), "quality": version.quality, "worst": version.worst, "findings": f"{base}/findings", "report": f"{base}/report",
        "delivered": version.delivered,
    }  # fmt: skip


def job_entry(job: Job, version: int | None) -> dict[str, Any]:
    """One job."""
    return {
        "job": job.job, "study": job.study, "kind": job.kind, "state": job.state, "step": job.step, "done": job.done, "total": job.total,
        "tries": job.tries, "reason": job.reason, "version": version, "created_at": moment(job.created_at), "finished_at": moment(job.finished_at),
        "created_by": job.created_by,
    }  # fmt: skip
