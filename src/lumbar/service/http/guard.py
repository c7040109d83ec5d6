"""The gate before every route: host, session, CSRF, size of bodies; and after it: security headers, errors without details, one line of log.

Whatever is not named as open needs a session, also routes that do not exist.
"""

import hmac
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from fastapi.concurrency import run_in_threadpool

from lumbar.service.core import ServiceCore
from lumbar.service.http.errors import Refusal
from lumbar.service.room import disk_is_full
from lumbar.service.store.sessions import Session
from lumbar.service.users import User, UserFile

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOG = logging.getLogger("lumbar.service")
COOKIE = "lumbar_session"
_OPEN = (("GET", "/api/health"), ("POST", "/api/login"), ("GET", "/login"), ("HEAD", "/login"))
_OPEN_BELOW = "/static/"
_STREAMED = ("/api/studies", "/api/uploads/")  # bodies of images, whose size their routes limit
_MOST_BYTES = 2**20  # of other bodies
_SAFE = ("GET", "HEAD", "OPTIONS")
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; "
    "worker-src 'self' blob:; frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store",
    "x-frame-options": "SAMEORIGIN", "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}  # fmt: skip


_INTERNAL = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "an internal error; see the log of the service")
FULL = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the disk of the service is full; try again when there is space", 60)


class Guard:
    """The outermost part of the application."""

    def __init__(self, app: App, core: ServiceCore, users: UserFile) -> None:
        self._app, self._core, self._users = app, core, users
        config = core.config
        self._hosts = {"localhost", "127.0.0.1", "[::1]", config.host, *config.names}
        self._headers = {**_HEADERS, **({"strict-transport-security": "max-age=31536000"} if config.scheme == "https" else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        began, answer = time.monotonic(), _Answer(send, self._headers)
        scope.setdefault("state", {})
        try:
            await self._admit(scope)
            limit = None if scope["path"].startswith(_STREAMED) and scope["method"] in ("POST", "PUT") else _MOST_BYTES
            await self._app(scope, _limited(receive, limit, scope), answer.send)
        except Refusal as refusal:
            await answer.refuse(refusal)
        except Exception as error:
            # Messages of errors may contain header values; the location suffices.
            _LOG.error("%s at %s", type(error).__name__, _place(error))
            await answer.refuse(FULL if disk_is_full(error) else _INTERNAL)
        _LOG.info("%s %s %s %d ms", scope["method"], _shown(scope), answer.status, round(1000 * (time.monotonic() - began)))

    async def _admit(self, scope: Scope) -> None:
        """Pass on permitted requests, with the user in the state of the request."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if host.rsplit(":", 1)[0] not in self._hosts and host not in self._hosts:
            raise Refusal(HTTPStatus.BAD_REQUEST, "the service does not accept this host name; add it to `names` in its configuration")
        method, path = scope["method"], scope["path"]
        if method not in _SAFE:
            _check_origin(headers, host)
        if (method, path) in _OPEN or path.startswith(_OPEN_BELOW):
            return
        found = await run_in_threadpool(self._session, headers.get("cookie", ""))
        if found is None:
            if method == "GET" and not path.startswith(("/api/", "/dicom-web")):
                raise _ToLogin
            raise Refusal(HTTPStatus.UNAUTHORIZED, "log in first")
        user, session, token = found
        if method not in _SAFE and not hmac.compare_digest(headers.get("x-csrf-token", "").encode(), session.csrf.encode()):
            raise Refusal(HTTPStatus.FORBIDDEN, "the header X-CSRF-Token is missing or wrong; GET /api/session returns it")
        scope["state"].update(user=user, session=session, token=token)

    def _session(self, cookies: str) -> tuple[User, Session, str] | None:
        try:
            token = SimpleCookie(cookies)[COOKIE].value
        except (CookieError, KeyError):
            return None
        session = self._core.sessions.find(token)
        user = self._users.find(session.user) if session else None
        return (user, session, token) if user and session and session.began >= user.changed else None


class _ToLoginRefusal(Refusal):
    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, "Location": "/login"}


_ToLogin = _ToLoginRefusal(HTTPStatus.SEE_OTHER, "log in first")


class _Answer:
    """Adds headers, and records whether the response has begun."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send, self._headers, self.status = send, headers, 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = {name.decode("latin-1").lower() for name, _ in message["headers"]}
            added = [(name.encode(), value.encode("latin-1")) for name, value in self._headers.items() if name not in given]
            message = {**message, "headers": [*message["headers"], *added]}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        if self.status:  # the response has begun and can only be aborted
            return
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in {**refusal.headers, "Content-Length": str(len(refusal.body))}.items()]
        await self.send({"type": "http.response.start", "status": int(refusal.status), "headers": headers})
        await self.send({"type": "http.response.body", "body": refusal.body})


def _check_origin(headers: dict[str, str], host: str) -> None:
    origin = headers.get("origin")
    if headers.get("sec-fetch-site") == "cross-site" or (origin is not None and urlsplit(origin).netloc != host):
        raise Refusal(HTTPStatus.FORBIDDEN, "requests from other sites are rejected")


def _limited(receive: Receive, limit: int | None, scope: Scope) -> Receive:
    """`receive` that refuses bodies beyond `limit`."""
    if limit is None:
        return receive
    length = next((value for name, value in scope["headers"] if name.lower() == b"content-length"), b"0")
    too_large = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {limit} bytes")
    if not length.isdigit() or int(length) > limit:
        raise too_large
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise too_large
        return message

    return counted


def _shown(scope: Scope) -> str:
    """The route rather than the address, so that text from a client does not enter the log."""
    route = scope.get("route")
    return str(getattr(route, "path", "")) or "(no route)"


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
