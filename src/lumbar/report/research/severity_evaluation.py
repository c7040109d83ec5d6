"""An evaluation of grades as text and as one HTML page that opens offline."""

import io

from jinja2 import Environment

from lumbar.report.research.figures import new_figure
from lumbar.severity.evaluate import Evaluation, GroupResult

_GRADES = ("normal/mild", "moderate", "severe")

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Evaluation of grades</title><style>
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:62em;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #ddd;padding:.3em .8em;text-align:right}
td:first-child,th:first-child{text-align:left}.note{color:#555}svg{max-width:100%;height:auto}</style></head><body>
<h1>Evaluation of grades</h1>
<p>{{ submission }} against {{ truth }}: {{ e.overall.rows }} labelled rows of {{ e.studies }} studies; {{ e.missing_rows }} labelled rows without a
prediction and {{ e.unused_rows }} predictions without a label were left out. Intervals are 95 % bootstrap intervals, resampled by study.</p>
<h2>Official score (lower is better)</h2>
<table><tr><th>part</th><th>this submission</th><th>95 %</th><th>one prediction per column</th></tr>
{% for name in parts %}<tr><td>{{ name.replace('_', ' ') }}</td><td>{{ n(e.score[name]) }}</td>
<td>{{ n(e.intervals[name].low) }} – {{ n(e.intervals[name].high) }}</td><td>{{ n(e.prior[name]) }}</td></tr>{% endfor %}</table>
<p class="note">"One prediction per column" gives every study the grade shares of this truth table times the weights 1, 2, 4: the baseline that
uses no image.</p>
<h2>Further metrics</h2>
<table><tr><th>rows</th><th>n</th><th>accuracy</th><th>most frequent grade</th><th>balanced</th><th>quadratic κ</th>
{% for g in grades %}<th>AUC {{ g }}</th>{% endfor %}<th>ECE</th></tr>
{% for name, g in tables %}<tr><td>{{ name }}</td><td>{{ g.rows }}</td><td>{{ n(g.accuracy) }}</td><td>{{ n(g.majority_accuracy) }}</td>
<td>{{ n(g.balanced_accuracy) }}</td><td>{{ n(g.quadratic_kappa) }}</td>{% for value in g.auc.values() %}<td>{{ n(value) }}</td>{% endfor %}
<td>{{ n(g.ece) }}</td></tr>{% endfor %}</table>
<p class="note">Submissions that are optimised for the official weights over-predict severe grades. "De-weighted" divides the probabilities by 1, 2, 4.
Predicting the most frequent grade of each column is correct in {{ n(e.column_majority_accuracy) }} of the rows.</p>
<h2>Confusion and reliability</h2>{{ figure }}
<p class="note">Research use only.</p></body></html>"""


def evaluation_text(e: Evaluation) -> str:
    """The main numbers for a terminal."""
    lines = [f"{'part':<20}{'score':>8}{'95 %':>18}{'prior':>8}"]
    for name in _parts():
        interval = e.intervals[name]
        span = f"{_number(interval.low)} – {_number(interval.high)}"
        lines.append(f"{name:<20}{_number(getattr(e.score, name)):>8}{span:>18}{_number(getattr(e.prior, name)):>8}")
    o, d = e.overall, e.deweighted
    lines.append(f"accuracy {_number(o.accuracy)}; most frequent grade {_number(o.majority_accuracy)}; de-weighted {_number(d.accuracy)}")
    lines.append(f"balanced accuracy {_number(o.balanced_accuracy)}; quadratic kappa {_number(o.quadratic_kappa)}; ECE {_number(o.ece)}")
    lines.append(f"{o.rows} rows of {e.studies} studies; {e.missing_rows} labelled rows without a prediction; {e.unused_rows} predictions without a label")
    return "\n".join(lines)


def evaluation_html(e: Evaluation, submission: str, truth: str) -> str:
    """The whole evaluation as one page."""
    tables = [("all", e.overall), ("all, de-weighted", e.deweighted), *e.groups.items()]
    values = {"e": e, "parts": _parts(), "tables": tables, "grades": _GRADES, "n": _number, "submission": submission, "truth": truth}
    page = Environment(autoescape=True).from_string(_PAGE)
    return page.render(**values, figure=_safe(_figure(tables)))


def _figure(tables: list[tuple[str, GroupResult]]) -> str:
    figure = new_figure(figsize=(3.1 * len(tables), 6), layout="constrained")
    axes = figure.subplots(2, len(tables), squeeze=False)
    for column, (name, group) in enumerate(tables):
        upper, lower = axes[0][column], axes[1][column]
        shares = [[cell / max(sum(row), 1) for cell in row] for row in group.confusion]
        upper.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(3):
            for k in range(3):
                upper.text(k, row, group.confusion[row][k], ha="center", va="center", color="white" if shares[row][k] > 0.6 else "black")
        upper.set(title=name, xticks=range(3), yticks=range(3), xticklabels=_GRADES, xlabel="predicted")
        upper.set_yticklabels(_GRADES if column == 0 else [])
        lower.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        lower.plot([b.confidence for b in group.reliability], [b.accuracy for b in group.reliability], marker="o", markersize=3)
        lower.set(xlim=(0.3, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="share correct" if column == 0 else "")
    stream = io.StringIO()
    figure.savefig(stream, format="svg")
    text = stream.getvalue()
    return text[text.index("<svg") :]


def _parts() -> tuple[str, ...]:
    return ("official_score", "spinal", "foraminal", "subarticular", "any_severe_spinal")


def _number(value: float) -> str:
    return f"{value:.3f}" if value == value else "–"  # noqa: PLR0124  (NaN)


def _safe(svg: str) -> str:
    from markupsafe import Markup  # noqa: PLC0415

    return Markup(svg)  # noqa: S704  (drawn here from numbers and fixed words)
