"""The description of a data set as text and as one HTML page that opens offline."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pydicom
from jinja2 import Environment
from markupsafe import Markup

from lumbar.datasets.rsna2024 import LabelPoint, Rsna2024
from lumbar.datasets.rsna2024_explore import Exploration
from lumbar.datasets.rsna2024_labels import COLUMNS
from lumbar.domain.anatomy import Condition
from lumbar.report.research.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MONTAGE = 15
_SHOWN_PROBLEMS = 200

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>RSNA 2024 lumbar spine data set</title><style>
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #ddd;padding:.25em .8em;text-align:right}
td:first-child,th:first-child{text-align:left}.note{color:#555}svg{max-width:100%;height:auto}</style></head><body>
<h1>RSNA 2024 lumbar spine data set</h1>
<p>{{ e.studies }} studies, {{ e.series_counts.total }} series; images of {{ imaged }} studies are present.</p>
<h2>Grades</h2>
<table><tr><th>cells</th><th>labelled</th><th>missing</th><th>normal/mild</th><th>moderate</th><th>severe</th></tr>
{% for name, s in shares %}<tr><td>{{ name.replace('_', ' ') }}</td><td>{{ s.labelled }}</td><td>{{ s.missing }}</td>
<td>{{ p(s.normal_mild) }}</td><td>{{ p(s.moderate) }}</td><td>{{ p(s.severe) }}</td></tr>{% endfor %}</table>
{{ bars }}
<h2>Associations between grades</h2>
<p class="note">Spearman's correlation and Cramér's V of each pair of columns over the studies in which both are labelled.</p>
{{ heat }}
<table><tr><th>group of pairs</th><th>mean Spearman</th></tr>
{% for name, value in e.summary.items() %}<tr><td>{{ name }}</td><td>{{ '%.2f' % value }}</td></tr>{% endfor %}</table>
<h2>Series</h2>
<table><tr><th>kind</th><th>series</th><th>studies without</th><th>studies with several</th></tr>
{% for kind, count in e.series_counts.by_kind.items() %}<tr><td>{{ kind }}</td><td>{{ count }}</td>
<td>{{ e.series_counts.studies_without[kind] }}</td><td>{{ e.series_counts.studies_with_several[kind] }}</td></tr>{% endfor %}</table>
<p>Series per study: {% for n, count in e.series_counts.per_study.items() %}{{ n }} in {{ count }} studies{{ '; ' if not loop.last }}{% endfor %}.</p>
{% if e.images %}<h2>Images</h2>
<table><tr><th>kind</th><th>series</th><th>slices</th><th>matrix</th><th>pixel mm</th><th>slice thickness mm</th><th>orientations</th></tr>
{% for row in geometry %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table>
<h2>Label positions</h2>{{ montage }}{% endif %}
<h2>Problems ({{ e.problems | length }})</h2>
<table><tr><th>study</th><th>file</th><th>problem</th></tr>
{% for problem in e.problems[:shown] %}<tr><td>{{ problem.study_id }}</td><td>{{ problem.file }}</td><td style="text-align:left">{{ problem.text }}</td></tr>
{% endfor %}</table>{% if e.problems | length > shown %}<p class="note">The first {{ shown }}; all are in problems.csv.</p>{% endif %}
</body></html>"""


def exploration_text(e: Exploration) -> str:
    """The main numbers for a terminal."""
    lines = [f"{e.studies} studies, {e.series_counts.total} series, {e.label_shares['all'].missing} labels missing, {len(e.problems)} problems"]
    for name in ("all", "spinal", "foraminal", "subarticular"):
        s = e.label_shares[name]
        lines.append(f"{name:<14} normal/mild {s.normal_mild:6.1%}  moderate {s.moderate:6.1%}  severe {s.severe:6.1%}  ({s.labelled} labels)")
    for kind, count in e.series_counts.by_kind.items():
        counts = e.series_counts
        lines.append(f"{kind:<18}{count:>6} series; {counts.studies_without[kind]} studies without, {counts.studies_with_several[kind]} with several")
    lines += [f"mean Spearman {value:5.2f}  {name}" for name, value in e.summary.items()]
    return "\n".join(lines)


def exploration_html(e: Exploration, data: Rsna2024) -> str:
    """The whole exploration as one page."""
    page = Environment(autoescape=True).from_string(_PAGE)
    shares = [(name, s) for name, s in e.label_shares.items() if name not in COLUMNS]
    plots = {"bars": _svg(_bars(e)), "heat": _svg(_heat(e)), "montage": _svg(_montage(data)) if e.images else ""}
    return page.render(e=e, shares=shares, p=lambda v: f"{v:.1%}", geometry=_geometry(e), imaged=len(data.imaged_studies), shown=_SHOWN_PROBLEMS, **plots)


def _geometry(e: Exploration) -> list[tuple[str, ...]]:
    rows = []
    for kind in sorted({image.kind for image in e.images}):
        own = [image for image in e.images if image.kind == kind]
        spans = [
            _span([i.files for i in own]),
            _span([i.rows for i in own]) + " × " + _span([i.columns for i in own]),
            _span([i.pixel_mm for i in own]),
            _span([i.slice_thickness_mm for i in own if i.slice_thickness_mm is not None]),
            _span([i.orientations for i in own]),
        ]
        rows.append((kind, str(len(own)), *spans))
    return rows


def _span(values: list[float] | list[int]) -> str:
    if not values:
        return "–"
    low, high = min(values), max(values)
    return f"{low:.3g}" if low == high else f"{low:.3g} – {high:.3g}"


def _bars(e: Exploration) -> Figure:
    figure = new_figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots()
    base = np.zeros(len(COLUMNS))
    for grade, colour in (("severe", "#b2182b"), ("moderate", "#f4a582"), ("normal_mild", "#92c5de")):
        values = np.array([getattr(e.label_shares[column], grade) for column in COLUMNS])
        axes.bar(range(len(COLUMNS)), values, bottom=base, color=colour, label=grade.replace("_", "/"))
        base += values
    axes.set_xticks(range(len(COLUMNS)), [column.replace("_", " ") for column in COLUMNS], rotation=90, fontsize=6)
    axes.set(ylabel="share of labels", title="Grades by column")
    axes.legend(loc="lower right", fontsize=7)
    return figure


def _heat(e: Exploration) -> Figure:
    figure = new_figure(figsize=(12, 6), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("spearman", "cramers_v"), strict=True):
        values = np.eye(len(COLUMNS))
        for pair in e.associations:
            i, j = COLUMNS.index(pair.first), COLUMNS.index(pair.second)
            values[i, j] = values[j, i] = getattr(pair, name)
        image = axes.imshow(values, cmap="viridis", vmin=0, vmax=1)
        axes.set(title=name.replace("_", " "))
        axes.set_xticks(range(len(COLUMNS)), [column.replace("_", " ") for column in COLUMNS], rotation=90, fontsize=5)
        axes.set_yticks(range(len(COLUMNS)), [column.replace("_", " ") for column in COLUMNS], fontsize=5)
    figure.colorbar(image, ax=figure.axes, shrink=0.6)
    return figure


def _montage(data: Rsna2024) -> Figure:
    """Positions of labels in the images, three of each condition."""
    imaged = set(data.imaged_studies)
    there = [point for point in data.points if point.study_id in imaged and data.instance_path(point).is_file()]
    chosen: list[LabelPoint] = []
    for condition in Condition:
        chosen += [point for point in there if point.condition is condition][-3:]
    figure = new_figure(figsize=(11, 7), layout="constrained")
    for axes, point in zip(figure.subplots(3, _MONTAGE // 3).T.flat, chosen[:_MONTAGE], strict=False):
        pixels = pydicom.dcmread(data.instance_path(point)).pixel_array.astype(float)
        axes.imshow(pixels, cmap="gray", vmax=np.percentile(pixels, 99.5))
        axes.plot(point.x, point.y, marker="+", color="#ffd92f", markersize=9)
        half = max(pixels.shape) / 6
        axes.set(xlim=(point.x - half, point.x + half), ylim=(point.y + half, point.y - half))
        grade = data.grades[point.study_id].get(f"{point.condition.value}_{point.level.slug}")
        axes.set_title(f"{point.condition.value.replace('_', ' ')}\n{point.level.value}: {grade.value if grade else 'unlabelled'}", fontsize=6)
    for axes in figure.axes:
        axes.set_axis_off()
    return figure


def _svg(figure: Figure) -> Markup:
    stream = io.StringIO()
    figure.savefig(stream, format="svg")
    text = stream.getvalue()
    return Markup(text[text.index("<svg") :])  # noqa: S704  (drawn here from numbers and the data set's own words, which matplotlib escapes)
