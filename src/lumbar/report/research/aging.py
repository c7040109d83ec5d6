"""The ageing of a population as a folder: tables, plots, and one HTML page that opens offline."""

import json
import re
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from lumbar.population.analysis import Population
from lumbar.report.research.aging_plots import course_figure, delta_figure, level_figures
from lumbar.report.research.aging_tables import population_document, write_tables

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Ageing of a population</title><style>
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{border-bottom:1px solid #ddd;padding:.3em .8em;text-align:right}
td:first-child,th:first-child{text-align:left}.note{color:#555}svg{max-width:100%;height:auto}</style></head><body>
<h1>Ageing of a population</h1>
<p>{{ d.table }}: {{ d.rows }} rows of {{ d.subjects }} subjects from {{ d.sites | length }} site(s), {{ "%.0f" | format(d.age_range_years[0]) }} to
{{ "%.0f" | format(d.age_range_years[1]) }} years old; the analysed variable is the {{ d.measure }}.</p>
{% for warning in d.warnings %}<p><b>Note:</b> {{ warning }}.</p>{% endfor %}
<h2>Stages of acceleration</h2>
{% if p.stages %}<table><tr><th>level</th><th>people</th><th>age</th><th>95 % range</th><th>detected by</th><th>p, adjusted</th><th>stability</th>
<th>slope per year</th><th>excess over adjacent ages</th></tr>
{% for s in p.stages %}<tr><td>{{ s.level }}</td><td>{{ s.sex }}</td><td>{{ "%.1f" | format(s.age_years) }}</td>
<td>{% if s.low_years == s.low_years %}{{ "%.1f – %.1f" | format(s.low_years, s.high_years) }}{% endif %}</td>
<td>{{ s.methods | join(" and ") }}</td><td>{{ "%.3g" | format(s.p_adjusted) }}</td><td>{{ "%.0f" | format(100 * s.stability) }} %</td>
<td>{{ "%.3g" | format(s.slope_per_year) }}</td><td>{{ "%+.3g" | format(s.excess_per_year) }}</td></tr>{% endfor %}</table>
{% else %}<p>None: no age interval is significantly steeper than the adjacent ages under the null hypothesis of linear ageing.</p>{% endif %}
<p class="note">A stage is an age around which the index changes faster than before <i>and</i> after it. It is tested against linear ageing, with
correction over all ages, windows and levels of this file. Two methods detect it: the derivative of a penalised spline with a wild bootstrap, and sliding
windows (DE-SWAN) with permuted ages. Stability is the share of window widths at which it is detected. Women and men are analysed separately at levels
where all people together show a stage.</p>
{% for level, svg in figures %}<h2>{{ level }}</h2>{{ svg }}{% endfor %}
<p class="note">Bands are simultaneous over all ages; sex{{ " and site are" if adjusted else " is" }} held fixed.</p>
{% if deltas %}<h2>Deltas</h2>{{ deltas }}
<table><tr><th>level</th><th>correction</th><th>delta on age: slope</th><th>Pearson r</th><th></th></tr>
{% for b in p.bias_fits %}<tr><td>{{ b.level }}</td><td>{{ b.model }}</td><td>{{ "%+.3f" | format(b.delta_age_slope) }}</td>
<td>{{ "%+.3f" | format(b.delta_age_pearson) }}</td><td>{{ "uses the true age, so it does not measure accuracy" if b.inflates_accuracy }}</td></tr>{% endfor %}
</table>{% endif %}
{% if p.sites %}<h2>Sites</h2><table><tr><th>level</th><th>site</th><th>subjects</th><th>ages</th><th>offset</th><th>95 %</th><th>SD</th></tr>
{% for c in p.sites %}{% for s in c.sites %}<tr><td>{{ s.level }}</td><td>{{ s.site }}</td><td>{{ s.subjects }}</td>
<td>{{ "%.0f – %.0f" | format(s.age_range_years[0], s.age_range_years[1]) }}</td><td>{{ "%+.3g" | format(s.offset) }}</td>
<td>{{ "%.3g … %.3g" | format(s.low, s.high) }}</td><td>{{ "%.3g" | format(s.sd) }}</td></tr>{% endfor %}
<tr><td>{{ c.level }}</td><td colspan="6">offsets p = {{ "%.2g" | format(c.p_offset) }}, spreads p = {{ "%.2g" | format(c.p_spread) }}; sites explain
{{ "%.1f" | format(100 * c.variance_share) }} % of the variance that age and sex do not</td></tr>{% endfor %}</table>{% endif %}
{% if p.longitudinal %}<h2>Longitudinal changes</h2><p>{{ p.longitudinal.changes | length }} trajectories; {{ reliable }} with a change beyond measurement
error (reliable-change index above 1.96; orange). Each is listed in longitudinal.csv.</p>
{{ courses }}<p class="note">Each line joins the visits of one person; the curve of all people is in the background.</p>
{% for m in p.longitudinal.models %}<p>{{ m.level }}: within people {{ "%+.3g" | format(m.change_per_year) }} per year (95 %
{{ "%.3g … %.3g" | format(m.low, m.high) }}), between people of different age {{ "%+.3g" | format(m.between_people_per_year) }} per year; mixed model of
{{ m.visits }} visits of {{ m.subjects }} subjects{{ "" if m.converged else ", which did not converge" }}.</p>{% endfor %}{% endif %}
<p class="note">Research use only.</p></body></html>"""


def write_population(folder: Path, p: Population, adjusted: bool) -> None:
    """Write `aging.json`, the tables, `plots/*.svg` and `aging.html` into `folder`; `adjusted`: whether curves are adjusted for site."""
    document = population_document(p)
    (folder / "aging.json").write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    write_tables(folder, p)
    plots = folder / "plots"
    plots.mkdir()
    figures = level_figures(p)
    deltas, courses = delta_figure(p), course_figure(p)
    named = {_slug(level, number): svg for number, (level, svg) in enumerate(figures.items())}
    named |= {name: svg for name, svg in (("deltas", deltas), ("courses", courses)) if svg}
    for name, svg in named.items():
        (plots / f"{name}.svg").write_text(svg, encoding="utf-8")
    page = Environment(autoescape=True).from_string(_PAGE)
    text = page.render(
        d=document,
        p=p,
        figures=[(level, Markup(svg)) for level, svg in figures.items()],  # noqa: S704  (matplotlib escapes what it writes)
        deltas=Markup(deltas) if deltas else None,  # noqa: S704
        courses=Markup(courses) if courses else None,  # noqa: S704
        adjusted=adjusted,
        reliable=sum(change.reliable for change in p.longitudinal.changes) if p.longitudinal else 0,
    )
    (folder / "aging.html").write_text(text, encoding="utf-8")


def population_text(p: Population) -> str:
    """The stages for a terminal."""
    lines = [f"{len(p.table)} rows, {len(p.curves)} curves of the {p.measure}"]
    for stage in p.stages:
        place = f"{stage.low_years:.1f} – {stage.high_years:.1f}" if stage.low_years == stage.low_years else "–"
        found = " and ".join(stage.methods)
        lines.append(f"{stage.level}, {stage.sex}: faster around {stage.age_years:.1f} years ({place}), by {found}, p = {stage.p_adjusted:.3g}")
    if not p.stages:
        lines.append("no stage of acceleration: no age interval is significantly steeper than the adjacent ages")
    return "\n".join([*lines, *(f"note: {warning}" for warning in p.warnings)])


def _slug(level: str, number: int) -> str:
    """A file name of a level; the number distinguishes levels that differ in punctuation only."""
    return f"{number + 1}_{re.sub(r'[^a-z0-9]+', '_', level.lower()).strip('_') or 'level'}"
