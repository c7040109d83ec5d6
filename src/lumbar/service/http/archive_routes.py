"""Read-only DICOMweb of the archive for viewers; the service adds the archive's password."""

import re
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from lumbar.service.http.access import Core, Reader
from lumbar.service.http.errors import Refusal, not_found

router = APIRouter()
_PART = re.compile(r"[0-9A-Za-z.,_-]+")  # words, UIDs, numbers of frames; nothing that is encoded twice
_PASSED_ON = ("content-type", "content-length", "content-encoding")
_ASKED_WITH = ("accept", "range")


@router.get("/dicom-web/{path:path}")
async def dicom_web(path: str, request: Request, user: Reader, core: Core) -> StreamingResponse:
    """QIDO-RS and WADO-RS."""
    if core.archive is None:
        raise not_found("archive")
    parts = path.split("/")
    if not all(_PART.fullmatch(part) and part.strip(".") for part in parts) or parts[0] not in ("studies", "series", "instances"):
        raise Refusal(HTTPStatus.NOT_FOUND, "only studies, series and instances of DICOMweb are passed on")
    await run_in_threadpool(core.audit.add, user.name, "archive", None, "DICOMweb")
    headers = {name: request.headers[name] for name in _ASKED_WITH if name in request.headers}
    client = request.app.state.archive_client
    try:
        onward = client.build_request("GET", f"/dicom-web/{path}", params=request.query_params.multi_items(), headers=headers)
        answer = await client.send(onward, stream=True)
    except httpx.TransportError:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the archive does not answer", 10) from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise Refusal(HTTPStatus.BAD_REQUEST, "this request cannot be sent to the archive") from None
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):  # of the service, not of the user
        await answer.aclose()
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the archive refuses the service's user and password")
    kept = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
    return StreamingResponse(_raw(answer), status_code=answer.status_code, headers=kept)


async def _raw(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for part in answer.aiter_raw():
            yield part
    finally:
        await answer.aclose()
