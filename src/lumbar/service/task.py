"""The interface between a worker and its engine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Progress = Callable[[str, int, int], None]  # step, done, total


@dataclass(frozen=True)
class Task:
    """One analysis: its input, its output, and what a user specified."""

    images: Path
    result: Path  # to be written; complete or absent
    views: Path  # to be written; present if another version was made from the same images
    given: dict[str, Any] = field(default_factory=dict)  # the request of a correction
    masks: Path | None = None  # folder of the masks that the request names
    earlier: tuple[Path, str] | None = None  # result of the person's latest examination before this one, and its date


class Engine(Protocol):
    """Analyzes studies one after the other."""

    def run(self, task: Task, progress: Progress) -> None:
        """Write the result of `task`.

        Raises:
            InputError: the images cannot be used, and another try would not help.
        """
        ...
