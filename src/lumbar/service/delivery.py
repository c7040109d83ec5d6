"""Destination of results: the interface of a system that receives objects, and the errors of delivery."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Away(Exception):
    """An external system cannot be reached at present; the job waits."""


class Refused(Exception):
    """The receiving system responds but rejects the objects."""


class Destination(Protocol):
    """Receiver of the objects of results."""

    def store(self, files: Sequence[Path]) -> None:
        """Send objects; objects that are there already are left unchanged.

        Raises:
            Away: it cannot be reached at present, or its storage is full.
            Refused: it rejects some of them.
        """
        ...
