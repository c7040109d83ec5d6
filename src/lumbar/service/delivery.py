"""Where results go: the interface of an archive that takes objects, and why it may not take them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Away(Exception):
    """An external system cannot be reached at present; the job waits."""


class Refused(Exception):
    """The receiving system answers, but does not take the objects."""


class Destination(Protocol):
    """Takes the objects of results."""

    def store(self, files: Sequence[Path]) -> None:
        """Send objects; what is there already stays as it is.

        Raises:
            Away: it cannot be reached now, or has no room.
            Refused: it does not take all of them.
        """
        ...
