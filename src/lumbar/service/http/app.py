"""The web application over a service."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from lumbar import __version__
from lumbar.service.core import ServiceCore
from lumbar.service.http import (
    admin_routes,
    archive_routes,
    correction_routes,
    follow_up_routes,
    job_routes,
    pages,
    result_routes,
    session_routes,
    study_routes,
    upload_routes,
)
from lumbar.service.http.errors import Refusal
from lumbar.service.http.guard import FULL, Guard
from lumbar.service.orthanc import password_of
from lumbar.service.room import disk_is_full
from lumbar.service.users import UserFile

_ROUTERS = (session_routes, study_routes, upload_routes, job_routes, result_routes, correction_routes, follow_up_routes, admin_routes, archive_routes, pages)


def make_app(core: ServiceCore) -> Guard:
    """The application; the service begins and ends with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        core.start()
        settings = core.config.archive
        address, user = (settings.url, settings.user) if settings else ("http://127.0.0.1", "")
        async with httpx.AsyncClient(base_url=address, auth=(user, password_of(settings) if settings else ""), timeout=120) as client:
            app.state.archive_client = client
            yield
        core.stop()

    app = FastAPI(
        title="lumbar", version=__version__, lifespan=lifespan, openapi_url="/api/openapi.json", docs_url=None, redoc_url=None,
        description="Lumbar-spine MRI: studies in, findings out. Research use only, not a medical device.",
    )  # fmt: skip
    users = UserFile(core.folder.users)
    app.state.core, app.state.users, app.state.throttle = core, users, session_routes.Throttle()
    for module in _ROUTERS:
        app.include_router(module.router)
    pages.add_static_files(app)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _other)
    for kind in (OSError, sqlite3.OperationalError):
        app.add_exception_handler(kind, _without_room)
    return Guard(app, core, users)


def _answer(refusal: Refusal) -> Response:
    return Response(refusal.body, refusal.status, refusal.headers)


def _refused(_: Request, error: Any) -> Response:
    return _answer(error)


def _invalid(_: Request, error: Any) -> Response:
    """Name the fields, never their values."""
    fields = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:5]]
    return _answer(Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(fields)))


def _without_room(_: Request, error: Any) -> Response:
    """Report a full disk to the client; other errors reach the guard, which gives no details."""
    if not disk_is_full(error):
        raise error
    return _answer(FULL)


def _other(_: Request, error: Any) -> Response:
    return _answer(Refusal(error.status_code, HTTPStatus(error.status_code).phrase.lower()))
