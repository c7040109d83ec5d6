"""Jobs and their progress."""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from lumbar.service.core import ServiceCore
from lumbar.service.http.access import Core, Reader, Reviewer
from lumbar.service.http.errors import Refusal, not_found
from lumbar.service.http.rows import job_entry
from lumbar.service.store.jobs import ENDED, Job

router = APIRouter()
LOOK_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 15.0


def job_answer(core: ServiceCore, job: Job) -> dict[str, Any]:
    """A job with the version that it made."""
    return job_entry(job, core.studies.version_of_job(job.job))


def event(name: str, data: str) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {data}\n\n".encode()


@router.get("/api/jobs/{job}")
def one_job(job: str, _: Reader, core: Core) -> dict[str, Any]:
    """Progress of a job."""
    return job_answer(core, _found(core, job))


@router.get("/api/jobs/{job}/events")
async def job_events(job: str, request: Request, _: Reader, core: Core) -> StreamingResponse:
    """Progress of a job until it ends."""
    await run_in_threadpool(_found, core, job)
    return StreamingResponse(_progress(request, core, job), media_type="text/event-stream")


@router.post("/api/jobs/{job}/retry", status_code=HTTPStatus.ACCEPTED)
def retry_job(job: str, user: Reviewer, core: Core) -> dict[str, Any]:
    """Queue a failed job again."""
    found = _found(core, job)
    if not core.jobs.retry(job):
        raise Refusal(HTTPStatus.CONFLICT, f"the job is {found.state}; only failed jobs are tried again")
    core.audit.add(user.name, "retry", found.study, job)
    return job_answer(core, _found(core, job))


def _found(core: ServiceCore, job: str) -> Job:
    found = core.jobs.get(job)
    if found is None:
        raise not_found("job")
    return found


async def _progress(request: Request, core: ServiceCore, job: str) -> AsyncIterator[bytes]:
    shown, silent = "", 0.0
    while not await request.is_disconnected():
        found = await run_in_threadpool(core.jobs.get, job)
        if found is None:  # deleted meanwhile
            return
        text = json.dumps(await run_in_threadpool(job_answer, core, found))
        if text != shown or silent >= KEEP_ALIVE_SECONDS:
            shown, silent = text, 0.0
            yield event("progress", text)
        if found.state in ENDED:
            return
        await asyncio.sleep(LOOK_SECONDS)
        silent += LOOK_SECONDS
