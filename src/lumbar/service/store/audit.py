"""Audit log of user actions. Entries are only added and remain after a study is deleted."""

import sqlite3
import time

from lumbar.service.store.database import Database


class AuditLog:
    """Entries of user, action and study. They hold no identity of patients."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, user: str, action: str, study: str | None = None, detail: str = "") -> None:
        """Write an entry before the action is answered."""
        with self._database.change() as change:
            change.execute("INSERT INTO audit (at, user, action, study, detail) VALUES (?,?,?,?,?)", (time.time(), user, action, study, detail))

    def entries(self, offset: int, limit: int) -> tuple[int, list[sqlite3.Row]]:
        """The number of entries, and a page of them, the newest first."""
        read = self._database.read
        total = read.execute("SELECT count(*) FROM audit").fetchone()[0]
        return total, read.execute("SELECT * FROM audit ORDER BY entry DESC LIMIT ? OFFSET ?", (limit, offset)).fetchall()
