"""Values of a header as numbers and text, whatever was written there."""

from collections.abc import Callable
from typing import Any

import numpy as np

Lookup = Callable[[str], Any]  # DICOM keyword → value, or None


def text(value: Any) -> str:
    """A header's text, stripped; "" where there is none."""
    return "" if value is None else str(value).strip().strip("\0")


def words(value: Any) -> tuple[str, ...]:
    """The parts of a header's text of several values, in upper case."""
    if value is None:
        return ()
    parts = [value] if isinstance(value, str) else list(value)
    return tuple(text(part).upper() for part in parts if text(part))


def number_or_none(value: Any) -> float | None:
    """A finite number, or None where the header has none."""
    try:
        number = float(value[0] if isinstance(value, (list, tuple)) else value)
    except (TypeError, ValueError, IndexError):
        return None
    return number if np.isfinite(number) else None


def integer(value: Any) -> int | None:
    """A whole number, or None where the header has none."""
    number = number_or_none(value)
    return None if number is None else int(number)
