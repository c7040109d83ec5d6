"""Figures of matplotlib, which the lean install leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lumbar.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(**options: Any) -> Figure:
    """An empty figure; `options` as `matplotlib.figure.Figure` takes them.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  (an optional dependency, and half a second that numbers alone do not need)
    except ImportError as error:
        raise UsageError("pages with plots need matplotlib, which is not installed; run: pip install 'lumbar[stats]'") from error
    return Figure(**options)
