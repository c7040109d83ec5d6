"""Sessions of logged-in users; only a hash of each token is kept."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from lumbar.service.store.database import Database

IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 12 * 3600
_RENEWED_SECONDS = 60  # a session's last use is noted no more often than this


@dataclass(frozen=True)
class Session:
    """A user who is logged in."""

    user: str
    csrf: str  # token that state-changing requests must repeat
    began: float


class SessionStore:
    """Sessions end after half an hour without a request and after twelve hours in any case."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def begin(self, user: str) -> str:
        """The token of a new session."""
        token, now = secrets.token_urlsafe(32), self._clock()
        with self._database.change() as change:
            change.execute("DELETE FROM sessions WHERE used<? OR began<?", (now - IDLE_SECONDS, now - LONGEST_SECONDS))
            change.execute(
                "INSERT INTO sessions (token, user, csrf, began, used) VALUES (?,?,?,?,?)", (_hashed(token), user, secrets.token_urlsafe(24), now, now)
            )
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token, unless it ended."""
        now = self._clock()
        row = self._database.read.execute("SELECT * FROM sessions WHERE token=?", (_hashed(token),)).fetchone()
        if row is None or row["used"] < now - IDLE_SECONDS or row["began"] < now - LONGEST_SECONDS:
            return None
        if row["used"] < now - _RENEWED_SECONDS:
            with self._database.change() as change:
                change.execute("UPDATE sessions SET used=? WHERE token=?", (now, _hashed(token)))
        return Session(row["user"], row["csrf"], row["began"])

    def end(self, token: str) -> None:
        """Log out."""
        with self._database.change() as change:
            change.execute("DELETE FROM sessions WHERE token=?", (_hashed(token),))


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
