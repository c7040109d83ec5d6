"""Login, logout, and who is logged in."""

import time
from collections import defaultdict, deque
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from lumbar import __version__
from lumbar.report.document import RESEARCH_USE
from lumbar.service.http.access import Core, Reader
from lumbar.service.http.errors import Refusal
from lumbar.service.http.guard import COOKIE
from lumbar.service.store.sessions import LONGEST_SECONDS
from lumbar.service.users import UserFile

router = APIRouter()
_MOST_WRONG = 5
_WRONG_SECONDS = 300.0  # during which wrong passwords count
_MOST_REMEMBERED = 10_000


class Credentials(BaseModel):
    """Name and password of a user."""

    user: str = Field(max_length=64)
    password: str = Field(max_length=1024)


class Throttle:
    """Rejects passwords after five wrong ones for a name from one address, or twenty from one address, within five minutes."""

    def __init__(self) -> None:
        self._wrong: defaultdict[tuple[str, ...], deque[float]] = defaultdict(deque)

    def check(self, user: str, address: str) -> None:
        """Permit another attempt.

        Raises:
            Refusal: there were too many wrong passwords.
        """
        for key, most in (((user, address), _MOST_WRONG), ((address,), 4 * _MOST_WRONG)):
            times = self._wrong[key]
            while times and times[0] < time.monotonic() - _WRONG_SECONDS:
                times.popleft()
            if not times:
                del self._wrong[key]
            elif len(times) >= most:
                wait = round(times[0] + _WRONG_SECONDS - time.monotonic()) + 1
                raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, f"too many wrong passwords; try again in {wait} s", wait)

    def wrong(self, user: str, address: str) -> None:
        """Count a wrong password."""
        if len(self._wrong) > _MOST_REMEMBERED:
            self._wrong.clear()
        for key in ((user, address), (address,)):
            self._wrong[key].append(time.monotonic())


@router.get("/api/health")
def health() -> dict[str, str]:
    """Whether the service answers."""
    return {"status": "ok"}


@router.post("/api/login", status_code=HTTPStatus.NO_CONTENT)
def login(given: Credentials, request: Request, core: Core) -> Response:
    """Start a session."""
    users: UserFile = request.app.state.users
    throttle: Throttle = request.app.state.throttle
    address = request.client.host if request.client else ""
    throttle.check(given.user, address)
    if users.check(given.user, given.password) is None:
        throttle.wrong(given.user, address)
        known = users.find(given.user) is not None
        core.audit.add(given.user if known else "(unknown)", "login_failed")  # a password typed into the wrong field must not enter the log
        raise Refusal(HTTPStatus.UNAUTHORIZED, "user or password is wrong")
    core.audit.add(given.user, "login")
    answer = Response(status_code=HTTPStatus.NO_CONTENT)
    secure = core.config.scheme == "https"
    answer.set_cookie(COOKIE, core.sessions.begin(given.user), max_age=LONGEST_SECONDS, httponly=True, samesite="strict", secure=secure, path="/")
    return answer


@router.post("/api/logout", status_code=HTTPStatus.NO_CONTENT)
def logout(request: Request, user: Reader, core: Core) -> Response:
    """End the session."""
    core.sessions.end(request.state.token)
    core.audit.add(user.name, "logout")
    answer = Response(status_code=HTTPStatus.NO_CONTENT)
    answer.delete_cookie(COOKIE, path="/")
    return answer


@router.get("/api/session")
def session(request: Request, user: Reader, core: Core) -> dict[str, Any]:
    """The logged-in user, and the token that state-changing requests need."""
    return {
        "user": user.name, "role": user.role, "csrf": request.state.session.csrf, "version": __version__, "demo": core.config.demo,
        "statement": RESEARCH_USE, "archive": core.archive is not None,
    }  # fmt: skip
