"""Uploads from a browser: one archive, or the files of a folder one by one."""

import secrets
import shutil
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from lumbar.errors import UnreadableInput
from lumbar.io.archive import Budget, kind_of_archive, unpack
from lumbar.io.sources import NIFTI
from lumbar.service.core import ServiceCore
from lumbar.service.http.access import Core, Reader
from lumbar.service.http.bodies import body_to_file, check_room
from lumbar.service.http.errors import Refusal, not_found
from lumbar.service.users import User

router = APIRouter()
_MOST_FILES = 20_000
_MOST_UPLOADS = 64  # unfinished ones
_LEAST_BUDGET_BYTES = 64 * 2**20
_RATIO = 30  # images compress to about a third; an archive with a higher ratio is treated as a decompression bomb


@router.post("/api/studies", status_code=HTTPStatus.ACCEPTED)
async def upload_archive(request: Request, user: Reader, core: Core) -> dict[str, Any]:
    """Accept an archive of one study (or a single file)."""
    folder = await run_in_threadpool(_new_folder, core)
    try:
        packed = folder / "packed"
        await body_to_file(request, core, packed)
        return await run_in_threadpool(_take_packed, core, user, folder, packed)
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


@router.post("/api/uploads", status_code=HTTPStatus.CREATED)
def begin_upload(_: Reader, core: Core) -> dict[str, str]:
    """Begin an upload of single files."""
    check_room(core)
    return {"upload": _new_folder(core).name}


@router.put("/api/uploads/{upload}/files/{number}", status_code=HTTPStatus.NO_CONTENT)
async def upload_file(upload: str, number: int, request: Request, _: Reader, core: Core) -> Response:
    """One file of an upload."""
    folder = _found(core, upload)
    if not 0 <= number < _MOST_FILES:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the file has the number {number}; use 0 to {_MOST_FILES - 1}")
    part = folder / f"part-{number}-{secrets.token_hex(4)}"
    try:
        left = core.config.upload_gib * 2**30 - await run_in_threadpool(_size, folder)
        await body_to_file(request, core, part, left)
        part.rename(folder / f"{number:06d}{_shown_name(request.headers.get('x-file-name', ''))}")
    finally:
        part.unlink(missing_ok=True)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/api/uploads/{upload}/finish", status_code=HTTPStatus.ACCEPTED)
def finish_upload(upload: str, user: Reader, core: Core) -> dict[str, Any]:
    """Finish an upload of single files."""
    folder = _found(core, upload)
    try:
        if any(path.name.startswith("part-") for path in folder.iterdir()):
            raise Refusal(HTTPStatus.CONFLICT, "files of the upload are still coming; finish it after the last one")
        return _take(core, user, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@router.delete("/api/uploads/{upload}", status_code=HTTPStatus.NO_CONTENT)
def drop_upload(upload: str, _: Reader, core: Core) -> Response:
    """Cancel an upload."""
    shutil.rmtree(_found(core, upload), ignore_errors=True)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _take_packed(core: ServiceCore, user: User, folder: Path, packed: Path) -> dict[str, Any]:
    if kind_of_archive(packed) is None:  # a single image, or nothing that can be used
        packed.rename(folder / "000000")
        return _take(core, user, folder)
    target = folder / "files"
    target.mkdir()
    budget = Budget(packed, int(min(core.config.upload_gib * 2**31, max(_LEAST_BUDGET_BYTES, _RATIO * packed.stat().st_size))))
    try:
        unpack(packed, target, budget)
    except UnreadableInput as error:
        too_large = budget.left_bytes < 0 or budget.left_files < 0
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        raise Refusal(status, str(error).replace(str(packed), "the archive")) from None
    packed.unlink()
    return _take(core, user, target)


def _take(core: ServiceCore, user: User, folder: Path) -> dict[str, Any]:
    results = core.config.results
    try:
        taken = core.intake.from_files(folder, "upload", user.name, after={"send_results": True} if results and results.uploads else None)
    except UnreadableInput as error:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    core.audit.add(user.name, "upload", taken.study)
    return {"study": taken.study, "job": taken.job, "known": taken.known}


def _new_folder(core: ServiceCore) -> Path:
    if sum(1 for _ in core.folder.uploads.iterdir()) >= _MOST_UPLOADS:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{_MOST_UPLOADS} uploads are unfinished; finish or cancel some", 60)
    folder = core.folder.uploads / secrets.token_hex(8)
    folder.mkdir()
    return folder


def _found(core: ServiceCore, upload: str) -> Path:
    folder = core.folder.uploads / upload
    if len(upload) != 16 or not all(character in "0123456789abcdef" for character in upload) or not folder.is_dir():
        raise not_found("upload")
    return folder


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _shown_name(header: str) -> str:
    """The part of a file's name that is kept: for NIfTI files the last component without path characters, otherwise nothing."""
    name = PurePosixPath(unquote(header).replace("\\", "/")).name
    if not name.lower().endswith(NIFTI):
        return ""
    return "_" + "".join(character if character.isalnum() or character in "._-" else "_" for character in name)[-120:]
