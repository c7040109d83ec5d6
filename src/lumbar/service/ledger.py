"""What was done with which study, in one SQLite file that survives restarts."""

import sqlite3
from pathlib import Path

_TABLE = """
CREATE TABLE IF NOT EXISTS studies (
    name TEXT, fingerprint TEXT, state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', PRIMARY KEY (name, fingerprint)
)
"""


class Ledger:
    """States of studies: running, done, retry, failed. No identity is kept, only the archive's own hashes."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(_TABLE)

    def wants(self, name: str, fingerprint: str, tries: int) -> bool:
        """Whether the study with these images is still to be analyzed; one that was running when the node was killed is."""
        row = self._db.execute("SELECT state, tries FROM studies WHERE name=? AND fingerprint=?", (name, fingerprint)).fetchone()
        if row is None:
            return True
        state, made = row
        if state in ("running", "retry") and made >= tries:
            self._db.execute("UPDATE studies SET state='failed' WHERE name=? AND fingerprint=?", (name, fingerprint))
            return False
        return state in ("running", "retry")

    def began(self, name: str, fingerprint: str) -> None:
        """Count a try."""
        self._db.execute(
            "INSERT INTO studies (name, fingerprint, state, tries) VALUES (?, ?, 'running', 1) "
            "ON CONFLICT (name, fingerprint) DO UPDATE SET state='running', tries=tries+1",
            (name, fingerprint),
        )

    def done(self, name: str, fingerprint: str) -> None:
        """Results are in the archive."""
        self._db.execute("UPDATE studies SET state='done', reason='' WHERE name=? AND fingerprint=?", (name, fingerprint))

    def failed(self, name: str, fingerprint: str, reason: str, final: bool) -> None:
        """It did not work; `final` where another try cannot help."""
        self._db.execute("UPDATE studies SET state=?, reason=? WHERE name=? AND fingerprint=?", ("failed" if final else "retry", reason, name, fingerprint))

    def state(self, name: str, fingerprint: str) -> tuple[str, str] | None:
        """(state, reason) of a study, or None where it was never seen."""
        row: tuple[str, str] | None = self._db.execute("SELECT state, reason FROM studies WHERE name=? AND fingerprint=?", (name, fingerprint)).fetchone()
        return row
