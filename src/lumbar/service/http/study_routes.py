"""The worklist, and single studies."""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from lumbar.service.core import ServiceCore
from lumbar.service.http.access import Admin, Core, Reader
from lumbar.service.http.errors import not_found
from lumbar.service.http.job_routes import KEEP_ALIVE_SECONDS, LOOK_SECONDS, event, job_answer
from lumbar.service.http.rows import study_row, version_entry
from lumbar.service.store.studies import Search

router = APIRouter()
Sort = Literal["received", "study_date", "name", "state", "quality", "severity"]


class Filter(BaseModel):
    """What to list."""

    model_config = ConfigDict(extra="forbid")
    status: Literal["queued", "running", "done", "failed"] | None = None
    quality: Literal["passed", "doubtful", "failed"] | None = None
    severity: Literal["normal_mild", "moderate", "severe"] | None = None
    origin: Literal["upload", "archive", "receiver", "demo"] | None = None
    sort: Sort = "received"
    descending: bool = True
    offset: int = Field(default=0, ge=0, le=10_000_000)
    limit: int = Field(default=50, ge=1, le=200)


class TextFilter(Filter):
    """What to search for; the text stays out of addresses."""

    text: str = Field(default="", max_length=200)


@router.get("/api/studies")
def list_studies(wanted: Annotated[Filter, Query()], _: Reader, core: Core) -> dict[str, Any]:
    """A page of the worklist."""
    return _page(core, Search(**wanted.model_dump()))


@router.post("/api/studies/search")
def search_studies(wanted: TextFilter, user: Reader, core: Core) -> dict[str, Any]:
    """A page of the worklist, optionally filtered by text."""
    if wanted.text.strip():
        core.audit.add(user.name, "search")
    return _page(core, Search(**wanted.model_dump()))


@router.get("/api/studies/{study}")
def one_study(study: str, user: Reader, core: Core) -> dict[str, Any]:
    """A study with its versions and jobs."""
    row = core.studies.row(study)
    if row is None:
        raise not_found("study")
    core.audit.add(user.name, "view", study)
    versions = core.studies.versions(study)
    return {
        **study_row(row),
        "versions_list": [version_entry(version) for version in versions],
        "jobs": [job_answer(core, job) for job in core.jobs.of_study(study)],
    }


@router.get("/api/studies/{study}/events")
async def study_events(study: str, request: Request, _: Reader, core: Core) -> StreamingResponse:
    """Changes of one study as they happen."""
    if await run_in_threadpool(core.studies.row, study) is None:
        raise not_found("study")
    return StreamingResponse(_events(request, core, study), media_type="text/event-stream")


@router.get("/api/events")
async def all_events(request: Request, _: Reader, core: Core) -> StreamingResponse:
    """Changes of all studies as they happen."""
    return StreamingResponse(_events(request, core, None), media_type="text/event-stream")


@router.delete("/api/studies/{study}", status_code=HTTPStatus.NO_CONTENT)
def delete_study(study: str, user: Admin, core: Core) -> Response:
    """Remove a study with its images and results."""
    if core.studies.row(study) is None:
        raise not_found("study")
    core.remove_study(study, user.name)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _page(core: ServiceCore, wanted: Search) -> dict[str, Any]:
    total, rows = core.studies.search(wanted)
    return {"total": total, "offset": wanted.offset, "studies": [study_row(row) for row in rows], "counts": core.studies.state_counts()}


async def _events(request: Request, core: ServiceCore, study: str | None) -> AsyncIterator[bytes]:
    """Rows of studies whose jobs changed since the last look; a comment now and then keeps the connection open."""
    shown: dict[str, str] = {}
    latest, silent = 0.0 if study else await run_in_threadpool(core.jobs.latest_change), 0.0
    while not await request.is_disconnected():
        changed = await run_in_threadpool(core.jobs.changed_since, latest, study)
        for name in dict.fromkeys(job.study for job in changed):
            row = await run_in_threadpool(core.studies.row, name)
            text = json.dumps(study_row(row)) if row is not None else ""
            if text and shown.get(name) != text:
                shown = {**shown, name: text} if len(shown) < 1000 else {name: text}
                silent = 0.0
                yield event("study", text)
        latest = max([latest, *(job.changed_at for job in changed)])
        if silent >= KEEP_ALIVE_SECONDS:
            silent = 0.0
            yield b": \n\n"
        await asyncio.sleep(LOOK_SECONDS)
        silent += LOOK_SECONDS
