"""Single values that survive a restart, such as the number of the last change that was read from an archive."""

from lumbar.service.store.database import Database


class KeptValues:
    """Texts by name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str, default: str) -> str:
        """The value stored under `name`."""
        row = self._database.read.execute("SELECT value FROM kept WHERE name=?", (name,)).fetchone()
        return str(row["value"]) if row else default

    def keep(self, name: str, value: str) -> None:
        """Remember a value."""
        with self._database.change() as change:
            change.execute("INSERT INTO kept (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value=excluded.value", (name, value))
