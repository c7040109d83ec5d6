"""Bodies of requests written to the disk as they come, within bounds."""

import asyncio
from http import HTTPStatus
from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from lumbar.service.core import ServiceCore
from lumbar.service.http.errors import Refusal

_SILENT_SECONDS = 60.0  # a client that sends nothing for this long is disconnected
_WRITTEN_AT_ONCE = 2**20


async def body_to_file(request: Request, core: ServiceCore, path: Path, most_bytes: float | None = None) -> int:
    """Write the body to `path`; returns its size.

    Raises:
        Refusal: it is too large, the disk is full, or the sender is silent for too long.
    """
    most = core.config.upload_gib * 2**30 if most_bytes is None else most_bytes
    check_room(core)
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise _too_large(most)
    size, held = 0, bytearray()
    chunks = request.stream().__aiter__()
    with path.open("wb") as file:
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks), _SILENT_SECONDS)
            except StopAsyncIteration:
                break
            except TimeoutError:
                raise Refusal(HTTPStatus.REQUEST_TIMEOUT, f"no data arrived for {_SILENT_SECONDS:g} s; send the file again") from None
            size += len(chunk)
            if size > most:
                raise _too_large(most)
            held += chunk
            if len(held) >= _WRITTEN_AT_ONCE:
                await run_in_threadpool(file.write, bytes(held))
                held.clear()
        await run_in_threadpool(file.write, bytes(held))
    return size


def check_room(core: ServiceCore) -> None:
    """Reject uploads while the disk is nearly full.

    Raises:
        Refusal: it is.
    """
    if core.folder.free_gib() < core.config.least_free_gib:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE, f"the disk of the service has less than {core.config.least_free_gib:g} GiB of free space; uploads are rejected", 60
        )


def _too_large(most: float) -> Refusal:
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the upload is larger than {most / 2**30:.3g} GiB; send the images of one study")
