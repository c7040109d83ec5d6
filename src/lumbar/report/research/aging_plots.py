"""Plots of the ageing of a population, as SVG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lumbar.population.analysis import Population
from lumbar.population.curves import Curve
from lumbar.population.groups import values_of
from lumbar.report.research.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_COLOURS = {"all": "#333333", "F": "#c44e52", "M": "#4c72b0"}
_WORDS = {"all": "all", "F": "women", "M": "men"}
_MOST_COURSES = 300  # per level; more lines could not be distinguished


def level_figures(p: Population) -> dict[str, str]:
    """Level → SVG: the data with its curves, the derivative with its stages, and the profile of sliding windows."""
    levels = dict.fromkeys(curve.level for curve in p.curves)
    return {level: _level_figure(p, level) for level in levels}


def delta_figure(p: Population) -> str | None:
    """Raw and corrected deltas against age; None for a table of indices."""
    if not p.deltas:
        return None
    models = list(p.deltas[0].by_model)
    figure = new_figure(figsize=(3.4 * len(models), 3.2), layout="constrained")
    for column, model in enumerate(models):
        axes = figure.add_subplot(1, len(models), column + 1)
        axes.axhline(0, color="0.6", linewidth=1)
        for part in p.deltas:
            if model in part.by_model:
                _dots(axes, p.table.age_years[part.rows], part.by_model[model], "#4c72b0")
        axes.set(title=model, xlabel="age, years", ylabel="delta, years" if column == 0 else "")
    return _svg(figure)


def course_figure(p: Population) -> str | None:
    """The visits of each person joined by a line, over the curve of all people, one panel per level; None where no person has repeated visits."""
    if p.longitudinal is None:
        return None
    levels = list(dict.fromkeys(change.level for change in p.longitudinal.changes))
    figure = new_figure(figsize=(4.2 * len(levels), 3.6), layout="constrained")
    for column, level in enumerate(levels):
        axes = figure.add_subplot(1, len(levels), column + 1)
        for curve in p.curves:
            if curve.level == level and curve.sex == "all":
                _band(axes, curve, "value", fill=True)
        rows = np.ones(len(p.table), dtype=bool) if p.table.level is None else p.table.level == level
        for change in [change for change in p.longitudinal.changes if change.level == level][:_MOST_COURSES]:
            ages, values = _course(p, rows & (p.table.subject == change.subject))
            axes.plot(ages, values, marker=".", markersize=3, linewidth=0.8, color="#dd8452" if change.reliable else "#888888")
        axes.set(xlabel="age, years", ylabel=p.measure if column == 0 else "")
        axes.set_title(level, fontsize=9)
    return _svg(figure)


def _course(p: Population, own: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Ages of one person's visits and the mean of each visit's values, in order of age."""
    ages, visit = np.unique(p.table.age_years[own], return_inverse=True)
    return ages, np.bincount(visit, weights=values_of(p.table)[own]) / np.bincount(visit)


def _level_figure(p: Population, level: str) -> str:
    curves = [curve for curve in p.curves if curve.level == level]
    figure = new_figure(figsize=(12, 3.8), layout="constrained")
    data, slopes, windows = figure.subplots(1, 3)
    rows = np.ones(len(p.table), dtype=bool) if p.table.level is None else p.table.level == level
    values = values_of(p.table)
    _dots(data, p.table.age_years[rows], values[rows], "#888888")
    for curve in curves:
        _band(data, curve, "value", fill=curve.sex == "all")
        _band(slopes, curve, "slope", fill=curve.sex == "all")
    whole = curves[0]
    slopes.axhline(whole.mean_slope, color="0.6", linewidth=1, linestyle="--")
    for stage in p.stages:
        if stage.level == level and stage.sex == "all":
            slopes.axvline(stage.age_years, color="#dd8452", linewidth=2 if stage.confirmed else 1, linestyle="-" if stage.confirmed else ":")
    data.set(xlabel="age, years", ylabel=p.measure)
    slopes.set(
        xlabel="age, years",
        ylabel=f"{p.measure} per year",
    )
    slopes.set_title("derivative (stages orange; dotted: one method)", fontsize=9)
    low, high = float(whole.slope_low[2:-2].min()), float(whole.slope_high[2:-2].max())
    slopes.set_ylim(low - 0.2 * (high - low), high + 0.2 * (high - low))
    _windows(windows, p, level)
    data.legend(fontsize=8)
    return _svg(figure)


def _windows(axes: Axes, p: Population, level: str) -> None:
    for search in p.searches:
        if search.level == level and search.sex == "all":
            for profile in search.profiles:
                axes.plot(profile.ages_years, profile.difference / profile.width_years, linewidth=1, label=f"±{profile.width_years:g} y")
            if search.profiles:
                axes.legend(fontsize=8, title="windows", title_fontsize=8)
    axes.set(
        xlabel="age, years",
        ylabel="difference per year",
    )
    axes.set_title("DE-SWAN: after minus before, per half-width", fontsize=9)


def _band(axes: Axes, curve: Curve, name: str, fill: bool) -> None:
    low, high = (curve.low, curve.high) if name == "value" else (curve.slope_low, curve.slope_high)
    colour = _COLOURS[curve.sex]
    axes.plot(curve.ages_years, getattr(curve, name), color=colour, linewidth=1.5 if fill else 1, label=f"{_WORDS[curve.sex]} ({curve.subjects})")
    if fill:
        axes.fill_between(curve.ages_years, low, high, color=colour, alpha=0.2, linewidth=0)


def _dots(axes: Axes, x: Array, y: Array, colour: str) -> None:
    axes.scatter(x, y, s=4, alpha=0.25, linewidths=0, color=colour, rasterized=len(x) > 2000)


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", dpi=110)
    text = stream.getvalue()
    return text[text.index("<svg") :]
