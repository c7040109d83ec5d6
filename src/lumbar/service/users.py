"""Users of the service: a file of names, roles and password hashes (scrypt, RFC 7914)."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

from lumbar.errors import UsageError

_COST, _BLOCK, _PARALLEL = 2**15, 8, 1  # 32 MiB and about 0.1 s per check
_MEMORY = 2**26
_SHORTEST = 12  # characters of a password
_AT_ONCE = threading.Semaphore(2)  # password checks at a time: each takes 32 MiB


class Role(Enum):
    """Roles; each includes the rights of those before it."""

    READER = "reader"  # look, search, upload
    REVIEWER = "reviewer"  # correct, retry
    ADMIN = "admin"  # delete, read the audit log

    def may(self, needed: "Role") -> bool:
        """Whether this role suffices."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True)
class User:
    """One entry of the file."""

    name: str
    role: str
    password: str  # scrypt$cost$block$parallel$salt$hash
    changed: float  # sessions that began earlier are invalid

    @property
    def rights(self) -> Role:
        """The role."""
        return Role(self.role)


class UserFile:
    """The users, read again whenever the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._users: dict[str, User] = {}
        self._nobody = _hashed(secrets.token_hex(16))  # so that a check takes as long for an unknown name as for a known one

    def find(self, name: str) -> User | None:
        """A user by name."""
        return self._current().get(name)

    def check(self, name: str, password: str) -> User | None:
        """The user, if the password is correct."""
        user = self.find(name)
        with _AT_ONCE:
            right = _fits(password, user.password if user else self._nobody)
        return user if right else None

    def set(self, name: str, role: Role, password: str) -> None:
        """Add a user, or change the role or password of one.

        Raises:
            UsageError: the name or the password cannot be used.
        """
        if not 0 < len(name) <= 64 or not all(character.isalnum() or character in "._-@" for character in name):
            raise UsageError(f"{name!r} is not a valid user name; use up to 64 letters, digits, '.', '_', '-' and '@'")
        if len(password) < _SHORTEST:
            raise UsageError(f"the password has {len(password)} characters; use at least {_SHORTEST}")
        self._write({**self._current(), name: User(name, role.value, _hashed(password), time.time())})

    def remove(self, name: str) -> None:
        """Remove a user from the file; the user's sessions end at once.

        Raises:
            UsageError: there is no such user.
        """
        users = dict(self._current())
        if users.pop(name, None) is None:
            raise UsageError(f"{name} is not a user; see `lumbar users list`")
        self._write(users)

    def __iter__(self) -> Iterator[User]:
        return iter(sorted(self._current().values(), key=lambda user: user.name))

    def _current(self) -> dict[str, User]:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return {}
        if (stat.st_mtime_ns, stat.st_ino) != self._read_at:
            try:
                entries = json.loads(self._path.read_text(encoding="utf-8"))
                self._users = {entry["name"]: User(**entry) for entry in entries}
            except (ValueError, TypeError, KeyError) as error:
                raise UsageError(f"{self._path} is not a file of users ({type(error).__name__}); write it with `lumbar users set`") from error
            self._read_at = (stat.st_mtime_ns, stat.st_ino)
        return self._users

    def _write(self, users: dict[str, User]) -> None:
        text = json.dumps([asdict(user) for user in users.values()], indent=1)
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        self._read_at = None


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"scrypt${_COST}${_BLOCK}${_PARALLEL}${_text(salt)}${_text(_scrypt(password, salt, _COST, _BLOCK, _PARALLEL))}"


def _fits(password: str, stored: str) -> bool:
    _, cost, block, parallel, salt, digest = stored.split("$")
    made = _scrypt(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(made, base64.b64decode(digest))


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=cost, r=block, p=parallel, maxmem=_MEMORY, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
