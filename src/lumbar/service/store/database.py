"""The SQLite file of the service: one connection per thread, write-ahead log, every change synced to disk before it is committed."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    job TEXT PRIMARY KEY, study TEXT NOT NULL, kind TEXT NOT NULL, fingerprint TEXT NOT NULL, source TEXT NOT NULL, request TEXT NOT NULL DEFAULT '{}',
    state TEXT NOT NULL DEFAULT 'queued', tries INTEGER NOT NULL DEFAULT 0, waits INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '',
    lease TEXT, worker TEXT, lease_until REAL, not_before REAL NOT NULL DEFAULT 0,
    step TEXT NOT NULL DEFAULT '', done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL, started_at REAL, finished_at REAL, created_by TEXT NOT NULL DEFAULT '', changed_at REAL NOT NULL,
    UNIQUE (study, kind, fingerprint)
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, not_before, created_at);
CREATE INDEX IF NOT EXISTS jobs_by_change ON jobs (changed_at);
CREATE TABLE IF NOT EXISTS studies (
    study TEXT PRIMARY KEY, person TEXT NOT NULL DEFAULT '', name TEXT NOT NULL DEFAULT '', patient_id TEXT NOT NULL DEFAULT '', birth_date TEXT,
    sex TEXT, study_date TEXT, description TEXT NOT NULL DEFAULT '', accession TEXT NOT NULL DEFAULT '', origin TEXT NOT NULL, archive_id TEXT,
    received_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS studies_by_person ON studies (person);
CREATE INDEX IF NOT EXISTS studies_by_time ON studies (received_at);
CREATE TABLE IF NOT EXISTS versions (
    study TEXT NOT NULL, version INTEGER NOT NULL, job TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL, made_at REAL NOT NULL, made_by TEXT,
    based_on INTEGER, note TEXT NOT NULL DEFAULT '', changes TEXT NOT NULL DEFAULT '[]', quality TEXT, worst TEXT, worst_rank REAL NOT NULL DEFAULT 0,
    delivered INTEGER, PRIMARY KEY (study, version)
);
CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, user TEXT NOT NULL, csrf TEXT NOT NULL, began REAL NOT NULL, used REAL NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    entry INTEGER PRIMARY KEY, at REAL NOT NULL, user TEXT NOT NULL, action TEXT NOT NULL, study TEXT, detail TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Database:
    """A file that several threads and processes of one machine share. It must not lie on a network share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        with self.change() as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)

    @property
    def read(self) -> sqlite3.Connection:
        """This thread's connection; each statement outside of `change` stands alone."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=30)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            self._local.connection = connection
        return connection

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the file's only write lock: all of its statements count, or none."""
        connection = self.read
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
