"""Progress bars: on standard error, and only on a terminal."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: int | None = None, quiet: bool = False) -> Iterator[T]:
    """Iterate over `items` behind a bar; without a terminal, or if `quiet`, without one."""
    if quiet or not sys.stderr.isatty():
        yield from items
    else:
        yield from tqdm(items, description, total=total, file=sys.stderr, leave=False)
