"""Plots of a cohort, as SVG, from its tables: distributions, medians over age, prevalence, correlations, effects."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lumbar.domain.anatomy import Level, Vertebra
from lumbar.population.cohort.describe import Cohort
from lumbar.population.cohort.distributions import Distribution
from lumbar.population.cohort.prevalence import ANY, Prevalence
from lumbar.report.research.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {"all": "#555555", "F": "#c44e52", "M": "#4c72b0"}
_WORDS = {"all": "all", "F": "women", "M": "men"}
_SIDES = {"left": "#4c72b0", "right": "#dd8452", "": "#12506a"}
_MOST_PANELS = 18
_MOST_ROWS = 30
_ORDER = {level.value: number for number, level in enumerate(Level)} | {vertebra.value: 10 + number for number, vertebra in enumerate(Vertebra)}


def distribution_figure(cohort: Cohort) -> str | None:
    """One panel per measured finding: median, quartiles and the central 95 % by level, of all, women and men."""
    groups = _by_finding([one for one in cohort.distributions if one.by in ("all", "sex")])
    figure, axes = _panels(len(groups))
    for axis, (title, ones) in zip(axes, groups.items(), strict=False):
        places = sorted({_place(one) for one in ones}, key=_place_key)
        shown = [group for group in _COLORS if any(one.group == group for one in ones)]
        for offset, group in zip(np.linspace(-0.25, 0.25, len(shown)) if len(shown) > 1 else [0.0], shown, strict=True):
            for one in (one for one in ones if one.group == group):
                _box(axis, places.index(_place(one)) + offset, one, _COLORS[group])
        axis.set_xticks(range(len(places)), [" ".join(filter(None, place)) or "whole" for place in places], rotation=45 if len(places) > 5 else 0, fontsize=7)
        axis.set_title(title, fontsize=9)
    _legend(figure, {_WORDS[g]: c for g, c in _COLORS.items() if any(one.group == g for one in cohort.distributions)})
    return _svg(figure) if groups else None


def age_figure(cohort: Cohort) -> str | None:
    """One panel per measured finding: the median over decades of age, one line per level (the mean of both sides)."""
    ones = [one for one in cohort.distributions if one.by == "age"]
    decades = list(dict.fromkeys(one.group for one in ones))
    groups = _by_finding(ones)
    if len(decades) < 2 or not groups:
        return None
    figure, axes = _panels(len(groups))
    for axis, (title, own) in zip(axes, groups.items(), strict=False):
        levels = sorted({one.column.level for one in own}, key=lambda level: _ORDER.get(level, -1))
        for number, level in enumerate(levels):
            color = f"C{number}" if len(levels) > 1 else _COLORS["all"]
            medians = [np.mean([o.quantiles[2] for o in own if o.column.level == level and o.group == decade] or [np.nan]) for decade in decades]
            axis.plot(range(len(decades)), medians, marker="o", markersize=3, color=color, label=level or "whole")
        axis.set_xticks(range(len(decades)), decades, rotation=45, fontsize=7)
        axis.set_title(title, fontsize=9)
        if len(levels) > 1:
            axis.legend(fontsize=6, frameon=False)
    return _svg(figure)


def prevalence_figure(cohort: Cohort) -> str | None:
    """One panel per finding: the share with its interval by level and side."""
    groups: dict[str, list[Prevalence]] = {}
    for one in cohort.prevalences:
        if one.by == "all":
            groups.setdefault(one.title, []).append(one)
    figure, axes = _panels(len(groups))
    for axis, (title, ones) in zip(axes, groups.items(), strict=False):
        places = sorted({one.level for one in ones}, key=lambda level: (level == ANY, _ORDER.get(level, -1)))
        sides = [side for side in _SIDES if any(one.side == side for one in ones if one.level != ANY)]
        for one in ones:
            shift = 0.0 if one.level == ANY or len(sides) < 2 else (sides.index(one.side) - (len(sides) - 1) / 2) * 0.25
            place, color = places.index(one.level) + shift, _SIDES[one.side]
            axis.errorbar(
                place, 100 * one.share, [[100 * (one.share - one.low)], [100 * (one.high - one.share)]], fmt="o", color=color, markersize=4, capsize=2
            )
        axis.set_xticks(range(len(places)), places, fontsize=7, rotation=45)
        axis.set_ylim(bottom=0)
        axis.set_title(title, fontsize=9)
        axis.set_ylabel("% of people", fontsize=7)
    _legend(figure, {side: color for side, color in _SIDES.items() if side})
    return _svg(figure) if groups else None


def correlation_figure(cohort: Cohort) -> str | None:
    """The matrix of rank correlations."""
    names = list(dict.fromkeys(name for one in cohort.correlations for name in (one.first, one.second)))
    if len(names) < 2:
        return None
    place = {name: number for number, name in enumerate(names)}
    matrix = np.full((len(names), len(names)), np.nan)
    np.fill_diagonal(matrix, 1)
    for one in cohort.correlations:
        matrix[place[one.first], place[one.second]] = matrix[place[one.second], place[one.first]] = one.rho
    size = 2.5 + 0.2 * len(names)
    figure = new_figure(figsize=(size + 1.5, size), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    words = [name.replace("_", " ") for name in names]
    axis.set_xticks(range(len(names)), words, rotation=90, fontsize=6)
    axis.set_yticks(range(len(names)), words, fontsize=6)
    figure.colorbar(image, ax=axis, shrink=0.6, label="Spearman's ρ")
    return _svg(figure)


def site_figure(cohort: Cohort) -> str | None:
    """Share of variance explained by site, the largest first; beside it the share after harmonizing, if requested."""
    ones = sorted(cohort.sites, key=lambda one: -one.partial_eta_squared)[:_MOST_ROWS]
    if not ones:
        return None
    after = {one.column: one.partial_eta_squared for one in cohort.sites_after}
    figure, axis = _rows(len(ones))
    places = np.arange(len(ones))
    axis.barh(places, [100 * one.partial_eta_squared for one in ones], 0.6, color=["#a63a14" if one.p_adjusted < 0.05 else "#b8c2cb" for one in ones])
    if after:
        axis.plot([100 * after.get(one.column, np.nan) for one in ones], places, "k|", markersize=9, label="after harmonizing")
        axis.legend(fontsize=7, frameon=False)
    axis.set_yticks(places, [one.column.title.replace("_", " ") for one in ones], fontsize=7)
    axis.set_xlabel("% of the variance not explained by age and sex", fontsize=8)
    return _svg(figure)


def comparison_figure(cohort: Cohort) -> str | None:
    """Hedges' g with its interval of two groups, the largest first."""
    ones = sorted((one for one in cohort.comparisons if np.isfinite(one.hedges_g)), key=lambda one: -abs(one.hedges_g))[:_MOST_ROWS]
    if not ones:
        return None
    figure, axis = _rows(len(ones))
    for place, one in enumerate(ones):
        color = "#a63a14" if one.p_model_adjusted < 0.05 else "#8a97a3"
        axis.errorbar(one.hedges_g, place, xerr=[[one.hedges_g - one.low], [one.high - one.hedges_g]], fmt="o", color=color, markersize=4, capsize=2)
    axis.axvline(0, color="0.6", linewidth=1)
    axis.set_yticks(range(len(ones)), [one.column.title.replace("_", " ") for one in ones], fontsize=7)
    axis.set_xlabel(f"Hedges' g: {ones[0].groups[1]} minus {ones[0].groups[0]}", fontsize=8)
    return _svg(figure)


def _by_finding(ones: Sequence[Distribution]) -> dict[str, list[Distribution]]:
    """Measured findings (with a unit or a share), those with most levels first, as many as there are panels."""
    groups: dict[str, list[Distribution]] = {}
    for one in ones:
        column = one.column
        if "_grade" in column.finding or column.finding.endswith(("_p", "_p_severe", "_score")):
            continue
        name = column.finding if column.finding.startswith(column.structure) else f"{column.structure} {column.finding}"
        groups.setdefault(name.replace("_", " ") + (f" ({column.unit})" if column.unit not in ("", "mm") else ""), []).append(one)
    order = sorted(groups, key=lambda title: -len({one.column.level for one in groups[title]}))
    return {title: groups[title] for title in order[:_MOST_PANELS]}


def _place(one: Distribution) -> tuple[str, str]:
    return one.column.level, one.column.side[:1].upper()


def _place_key(place: tuple[str, str]) -> tuple[int, str]:
    return _ORDER.get(place[0], -1), place[1]


def _box(axis: Axes, x: float, one: Distribution, color: str) -> None:
    low, first, median, third, high = one.quantiles
    axis.plot([x, x], [low, high], color=color, linewidth=0.8)
    axis.plot([x, x], [first, third], color=color, linewidth=4, solid_capstyle="butt", alpha=0.6)
    axis.plot([x - 0.09, x + 0.09], [median, median], color=color, linewidth=1.4)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A grid with fixed margins: a layout engine would draw everything twice."""
    columns = min(3, max(count, 1))
    rows = max(1, -(-count // columns))
    width, height = 4.3 * columns, 2.7 * rows + 0.5
    figure = new_figure(figsize=(width, height))
    figure.subplots_adjust(left=0.55 / width, right=1 - 0.15 / width, bottom=0.65 / height, top=1 - 0.6 / height, wspace=0.2, hspace=0.65)
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axis in axes[count:]:
        axis.set_visible(False)
    for axis in axes:
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes[:count]


def _rows(count: int) -> tuple[Figure, Axes]:
    height = 0.9 + 0.21 * count
    figure = new_figure(figsize=(9, height))
    figure.subplots_adjust(left=0.36, right=0.98, bottom=0.6 / height, top=1 - 0.15 / height)
    axis = figure.subplots()
    axis.invert_yaxis()
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _legend(figure: Figure, colors: dict[str, str]) -> None:
    if len(colors) > 1:
        handles = [figure.axes[0].plot([], [], color=color, linewidth=4)[0] for color in colors.values()] if figure.axes else []
        figure.legend(handles, list(colors), loc="upper right", ncols=len(colors), fontsize=8, frameon=False)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
