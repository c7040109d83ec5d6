"""Formatting of numbers for display."""


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
