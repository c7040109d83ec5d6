"""Formatting of numbers for display."""

from math import ceil

from lumbar.spine.measurement_errors import ERRORS, within_error


def shown(value: float | None, digits: int) -> str:
    """A rounded number with a true minus; an en dash where nothing was measured."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def signed(value: float | None, digits: int) -> str:
    """As `shown`, with a plus where it is one."""
    return f"+{shown(value, digits)}" if value is not None and float(f"{value:.{digits}f}") > 0 else shown(value, digits)


def percent(value: float | None, digits: int = 0) -> str:
    """A share as per cent."""
    return "–" if value is None else f"{shown(100 * value, digits)} %"


def in_mm(value: float | None) -> str:
    """A length with its unit, or an en dash."""
    return "–" if value is None else f"{shown(value, 1)} mm"


def canal_in_mm(value: float | None) -> str:
    """A diameter of the canal; one within its error as a limit."""
    return "–" if value is None else f"{measure('canal_ap_mm', value, 1)} mm"


def measure(field: str, value: float | None, digits: int) -> str:
    """The `field` of a level without its unit; a diameter of the canal within its error as a limit: "below 5"."""
    if field == "canal_ap_mm" and value is not None and within_error(value):
        return f"below {ceil(value + ERRORS[field])}"
    return shown(value, digits)


def measure_in_mm(field: str, value: float | None) -> str:
    """The `field` of a level, a length."""
    return canal_in_mm(value) if field == "canal_ap_mm" else in_mm(value)
