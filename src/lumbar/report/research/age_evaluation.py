"""An evaluation of predicted ages as a document, as text and as one HTML page that opens offline."""

import io
import math
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from lumbar.age.evaluate import AgeEvaluation, GroupError
from lumbar.datasets.age_table import AgeTable
from lumbar.metrics.bootstrap import Interval
from lumbar.report.research.figures import new_figure

_SCORES = ("mae_years", "rmse_years", "r2", "pearson", "spearman", "share_within", "bias_years")
_WORDS = {
    "mae_years": "mean absolute error, years",
    "rmse_years": "root mean squared error, years",
    "r2": "R²",
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "bias_years": "bias (predicted − true), years",
}

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Evaluation of predicted ages</title><style>
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:62em;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #ddd;padding:.3em .8em;text-align:right}
td:first-child,th:first-child{text-align:left}.note{color:#555}svg{max-width:100%;height:auto}</style></head><body>
<h1>Evaluation of predicted ages</h1>
<p>{{ name }}: {{ e.rows }} rows of {{ e.subjects }} subjects from {{ e.sites }} site(s), {{ "%.0f" | format(e.age_range_years[0]) }} to
{{ "%.0f" | format(e.age_range_years[1]) }} years old. Intervals are {{ "%.0f" | format(100 * e.mae_years.confidence) }} % bootstrap intervals,
resampled by subject. Predictions are raw, not corrected.</p>
{% for warning in e.warnings %}<p><b>Note:</b> {{ warning }}.</p>{% endfor %}
<table><tr><th>measure</th><th>value</th><th>interval</th></tr>
{% for words, i in scores %}<tr><td>{{ words }}</td><td>{{ n(i.estimate) }}</td><td>{{ span(i) }}</td></tr>{% endfor %}
<tr><td>predicting the median age ({{ n(e.baseline.median_age_years) }}): mean absolute error</td><td>{{ n(e.baseline.mae_years) }}</td><td></td></tr>
<tr><td>error of the model minus that of the median age</td><td>{{ n(e.baseline.mae_difference_years.estimate) }}</td>
<td>{{ span(e.baseline.mae_difference_years) }}</td></tr>
{% if e.intervals %}<tr><td>coverage of the stated intervals (share)</td><td>{{ n(e.intervals.coverage.estimate) }}</td>
<td>{{ span(e.intervals.coverage) }}</td></tr>
<tr><td>their mean width, years</td><td>{{ n(e.intervals.mean_width_years) }}</td><td></td></tr>{% endif %}
{% if e.retest %}<tr><td>second scan: ICC(1,1), {{ e.retest.subjects }} subjects</td><td>{{ n(e.retest.icc.estimate) }}</td>
<td>{{ span(e.retest.icc) }}</td></tr>
<tr><td>repeatability: 95 % limit of the difference of two scans of one visit, years</td>
<td>{{ n(e.retest.repeatability_years) }}</td><td></td></tr>{% endif %}</table>
{{ figure }}
<h2>Bias by decade, sex and site</h2>
<table><tr><th>group</th><th>rows</th><th>subjects</th><th>bias, years</th><th>interval</th><th>MAE, years</th></tr>
{% for kind, groups in tables %}{% for g in groups %}<tr><td>{{ kind }} {{ g.group }}</td><td>{{ g.rows }}</td><td>{{ g.subjects }}</td>
<td>{{ n(g.bias_years.estimate) }}</td><td>{{ span(g.bias_years) }}</td><td>{{ n(g.mae_years) }}</td></tr>{% endfor %}{% endfor %}</table>
<h2>Residual dependence of the delta on age</h2>
<table><tr><th>correction</th><th>slope, years per year</th><th>Pearson r</th><th>SD of delta, years</th><th></th></tr>
{% for d in e.delta_age %}<tr><td>{{ d.model }}</td><td>{{ "%+.3f" | format(d.slope) }}</td><td>{{ n(d.pearson) }}</td><td>{{ n(d.sd_years) }}</td>
<td>{{ "uses the true age, so it does not measure accuracy" if d.inflates_accuracy }}</td></tr>{% endfor %}</table>
<p class="note">Each person is corrected by a model fitted on others (five folds by subject). Research use only.</p></body></html>"""


def evaluation_document(e: AgeEvaluation) -> dict[str, Any]:
    """The JSON document; undefined values become null, an interval `x` becomes `x` and `x_interval`."""
    document: dict[str, Any] = _plain(e)
    document[f"within_{e.within_years:g}_years"] = document["share_within"]
    return document


def evaluation_text(e: AgeEvaluation) -> str:
    """The main numbers for a terminal."""
    lines = [f"{'measure':<44}{'value':>9}{'interval':>22}"]
    lines += [f"{words:<44}{_number(i.estimate):>9}{_span(i):>22}" for words, i in _scores(e)]
    b = e.baseline
    lines.append(f"{f'median age ({b.median_age_years:.0f}): error, years':<44}{_number(b.mae_years):>9}")
    lines.append(f"{'model minus median age, years':<44}{_number(b.mae_difference_years.estimate):>9}{_span(b.mae_difference_years):>22}")
    if e.intervals:
        lines.append(f"{'coverage of the stated intervals (share)':<44}{_number(e.intervals.coverage.estimate):>9}{_span(e.intervals.coverage):>22}")
        lines.append(f"{'mean width of the intervals, years':<44}{_number(e.intervals.mean_width_years):>9}")
    if e.retest:
        lines.append(f"{f'second scan, {e.retest.subjects} subjects: ICC(1,1)':<44}{_number(e.retest.icc.estimate):>9}{_span(e.retest.icc):>22}")
    lines += [f"{f'delta on age, correction {d.model}: slope':<44}{d.slope:>+9.3f}   r {d.pearson:+.3f}" for d in e.delta_age]
    for kind, groups in (("decade", e.by_decade), ("sex", e.by_sex), ("site", e.by_site)):
        lines += [f"{f'bias, {kind} {g.group} ({g.rows} rows)':<44}{_number(g.bias_years.estimate):>9}{_span(g.bias_years):>22}" for g in groups]
    lines += [f"note: {warning}" for warning in e.warnings]
    lines.append(f"{e.rows} rows of {e.subjects} subjects from {e.sites} site(s); intervals {e.mae_years.confidence:.0%}, by subject; raw predictions")
    return "\n".join(lines)


def evaluation_html(e: AgeEvaluation, table: AgeTable) -> str:
    """The whole evaluation as one page."""
    tables: list[tuple[str, tuple[GroupError, ...]]] = [("decade", e.by_decade), ("sex", e.by_sex), ("site", e.by_site)]
    page = Environment(autoescape=True).from_string(_PAGE)
    figure = Markup(_figure(table))  # noqa: S704  (drawn here from numbers and fixed words)
    return page.render(e=e, name=table.name, scores=_scores(e), tables=tables, n=_number, span=_span, figure=figure)


def _scores(e: AgeEvaluation) -> list[tuple[str, Interval]]:
    words = {**_WORDS, "share_within": f"share within {e.within_years:g} years"}
    return [(words[name], getattr(e, name)) for name in _SCORES]


def _figure(table: AgeTable) -> str:
    """Predicted on true age, and delta on age."""
    assert table.predicted_years is not None  # evaluate() has rejected it otherwise
    age, predicted = table.age_years, table.predicted_years
    figure = new_figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    ends = np.array([min(age.min(), predicted.min()), max(age.max(), predicted.max())])
    left.plot(ends, ends, color="0.6", linewidth=1)
    left.scatter(age, predicted, s=6, alpha=0.4, linewidths=0, rasterized=len(age) > 3000)
    left.set(xlabel="age, years", ylabel="predicted age, years")
    right.axhline(0, color="0.6", linewidth=1)
    right.scatter(age, predicted - age, s=6, alpha=0.4, linewidths=0, rasterized=len(age) > 3000)
    right.set(xlabel="age, years", ylabel="delta (predicted − true), years")
    stream = io.StringIO()
    figure.savefig(stream, format="svg")
    text = stream.getvalue()
    return text[text.index("<svg") :]


def _plain(value: Any) -> Any:
    """Dataclasses as dicts, with every interval spread over two keys and NaN as None."""
    if isinstance(value, Interval):
        return _finite(value.estimate)
    if is_dataclass(value) and not isinstance(value, type):
        result: dict[str, Any] = {}
        for name, item in ((name, getattr(value, name)) for name in asdict(value)):
            result[name] = _plain(item)
            if isinstance(item, Interval):
                result[f"{name}_interval"] = [_finite(item.low), _finite(item.high)]
        return result
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return _finite(value) if isinstance(value, float) else value


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "–"


def _span(interval: Interval) -> str:
    return f"{_number(interval.low)} – {_number(interval.high)}" if math.isfinite(interval.low) else "–"
