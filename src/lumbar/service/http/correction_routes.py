"""Corrections by readers: names of levels, grades and masks; each makes a new version."""

import hashlib
import json
import time
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.errors import LumbarError
from lumbar.report.masks import DERIVED
from lumbar.service.core import ServiceCore
from lumbar.service.http.access import Core, Reviewer
from lumbar.service.http.bodies import body_to_file
from lumbar.service.http.errors import Refusal, not_found
from lumbar.service.http.rows import moment
from lumbar.service.masks import changed_voxels
from lumbar.service.store.jobs import Work
from lumbar.service.store.studies import Version
from lumbar.service.summary import severity_text
from lumbar.service.users import User

router = APIRouter()
_MOST_MASK_BYTES = 256 * 2**20


class GradeChange(BaseModel):
    """A severity that a reader gives."""

    model_config = ConfigDict(extra="forbid")
    condition: Condition
    level: Level
    severity: Severity


class DiscChange(BaseModel):
    """A Pfirrmann grade that a reader gives."""

    model_config = ConfigDict(extra="forbid")
    level: Level
    pfirrmann_grade: int = Field(ge=1, le=5)


class Correction(BaseModel):
    """What a reader changes in a version."""

    model_config = ConfigDict(extra="forbid")
    based_on: int
    note: str = Field(default="", max_length=2000)
    lowest_level: Level | None = None
    grades: list[GradeChange] = Field(default=[], max_length=100)
    disc_grades: list[DiscChange] = Field(default=[], max_length=20)
    masks: list[str] = Field(default=[], max_length=20)


@router.put("/api/studies/{study}/masks/{mask}", status_code=HTTPStatus.CREATED)
async def upload_mask(study: str, mask: str, request: Request, user: Reviewer, core: Core) -> dict[str, Any]:
    """Store a corrected mask; it is used once a correction refers to it."""
    version = await run_in_threadpool(_newest, core, study)
    original = core.folder.result(study, version.job) / "masks" / f"{mask}.nii.gz"
    if not mask.replace("_", "").isalnum() or mask in DERIVED or not original.is_file():
        raise not_found("mask in the newest version")
    folder = core.folder.masks(study)
    folder.mkdir(exist_ok=True)
    part = folder / f".part-{time.time_ns()}.nii"
    try:
        await body_to_file(request, core, part, _MOST_MASK_BYTES)
        changed, name = await run_in_threadpool(_checked, part, original, mask)
        part.rename(folder / name)
    finally:
        part.unlink(missing_ok=True)
    await run_in_threadpool(core.audit.add, user.name, "upload", study, f"mask {mask}")
    return {"mask_upload": name, "mask": mask, "changed_voxels": changed}


@router.post("/api/studies/{study}/corrections", status_code=HTTPStatus.ACCEPTED)
def correct(study: str, given: Correction, user: Reviewer, core: Core) -> dict[str, str]:
    """Analyze the study again with the reader's corrections."""
    version = _newest(core, study)
    if version.version != given.based_on:
        raise Refusal(HTTPStatus.CONFLICT, f"version {version.version} is newer than version {given.based_on}; review it first")
    base = core.jobs.get(version.job)
    if base is None:
        raise not_found("version of a study")
    request, changes = _request(core, study, version, given, (user, base.request))
    if not changes:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the correction changes nothing; give a level, a grade or a mask")
    request |= {"based_on": version.version, "note": given.note, "changes": changes}
    source = {**base.source, "images_of": version.fingerprint}
    fingerprint = hashlib.sha256(json.dumps([request, user.name], sort_keys=True).encode()).hexdigest()
    job, _ = core.jobs.submit(Work(study, "correct", fingerprint, source, request, user.name))
    core.audit.add(user.name, "correct", study, f"based on version {version.version}: {len(changes)} changes")
    return {"job": job, "study": study}


def _newest(core: ServiceCore, study: str) -> Version:
    versions = core.studies.versions(study)
    if not versions:
        raise not_found("study with a result")
    return versions[0]


def _checked(part: Any, original: Any, mask: str) -> tuple[int, str]:
    try:
        with part.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        named = part.with_suffix(".nii.gz") if packed else part
        if packed:
            part.rename(named)
        try:
            changed = changed_voxels(named, original, mask)
        finally:
            if packed:
                named.rename(part)
    except LumbarError as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error).replace(str(named), "the mask")) from None
    digest = hashlib.sha256(part.read_bytes()).hexdigest()[:16]
    return changed, f"{mask}-{digest}.nii{'.gz' if packed else ''}"


def _request(core: ServiceCore, study: str, version: Version, given: Correction, before: tuple[User, dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """The job's request, including earlier corrections, and a description of the changes."""
    user, kept = before
    mark = {"user": user.name, "at": moment(time.time())}
    findings = json.loads((core.folder.result(study, version.job) / "findings.json").read_text(encoding="utf-8"))
    request = {name: kept[name] for name in ("lowest_level", "grades", "disc_grades", "masks") if name in kept}
    changes: list[str] = []
    if given.lowest_level is not None:
        request["lowest_level"] = given.lowest_level.value
        changes.append(f"the lowest disc in view is {given.lowest_level.value}")
    found = {(one["condition"], one["level"]): one["severity"] for one in findings.get("severity") or ()}
    grades = {(one["condition"], one["level"]): one for one in request.get("grades", ())}
    for grade in given.grades:
        key = grade.condition.value, grade.level.value
        grades[key] = {"condition": key[0], "level": key[1], "severity": grade.severity.value, **mark}
        changes.append(f"{key[0].replace('_', ' ')} {key[1]}: {severity_text(found.get(key))} → {severity_text(grade.severity.value)}")
    discs = {one["level"]: one for one in request.get("disc_grades", ())}
    pfirrmann = {one["level"]: one["pfirrmann_grade"] for one in findings.get("disc_grades") or ()}
    for disc in given.disc_grades:
        level = disc.level.value
        discs[level] = {"level": level, "pfirrmann_grade": disc.pfirrmann_grade, **mark}
        changes.append(f"Pfirrmann grade {level}: {pfirrmann.get(level) or 'none'} → {disc.pfirrmann_grade}")
    masks = dict(request.get("masks", {}))
    for name in given.masks:
        if not all(character.isalnum() or character in "._-" for character in name) or not (core.folder.masks(study) / name).is_file():
            raise not_found("uploaded mask")
        masks[name.split("-")[0]] = name
        changes.append(f"mask {name.split('-')[0]} redrawn")
    return request | {"grades": list(grades.values()), "disc_grades": list(discs.values()), "masks": masks}, changes
