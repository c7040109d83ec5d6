"""A cohort as one HTML page that opens offline, beside its tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from lumbar import __version__
from lumbar.population.cohort.describe import Cohort
from lumbar.population.cohort.prevalence import ANY
from lumbar.report.document import RESEARCH_USE
from lumbar.report.research.aging import write_population
from lumbar.report.research.cohort_plots import (
    age_figure,
    comparison_figure,
    correlation_figure,
    distribution_figure,
    prevalence_figure,
    site_figure,
)
from lumbar.report.research.cohort_tables import write_cohort_tables

_MOST_ROWS = 40

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Cohort</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:80em;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0;font-variant-numeric:tabular-nums}td,th{border-bottom:1px solid #ddd;padding:.25em .7em;text-align:right}
td:first-child,th:first-child{text-align:left}.note{color:#555}svg{max-width:100%;height:auto}.wide{overflow-x:auto}nav a{margin-right:1em}
.statement{background:#fff4df;border-left:4px solid #c9871a;padding:.5em 1em}</style></head><body>
<h1>Cohort of {{ "{:,}".format(c.table.studies | length) }} studies</h1>
<p class="statement">{{ statement }}</p>
<p>{{ c.table.columns | length }} values per study (finding, level, side){% if ages %}; {{ ages }}{% endif %}.</p>
{% for warning in c.warnings %}<p><b>Note:</b> {{ warning }}.</p>{% endfor %}
<nav>{% for part in parts %}<a href="#{{ part.slug }}">{{ part.title }}</a>{% endfor %}{% if c.ageing %}<a href="aging/aging.html">Ageing</a>{% endif %}</nav>
{% for part in parts %}<section id="{{ part.slug }}"><h2>{{ part.title }}</h2>{% if part.figure %}{{ part.figure }}{% endif %}
{% if part.rows %}<div class="wide"><table><tr>{% for name in part.head %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in part.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</table></div>{% endif %}
<p class="note">{{ part.note }}</p></section>{% endfor %}
{% if c.ageing %}<h2>Ageing</h2><p><a href="aging/aging.html">Curves and stages of {{ c.ageing.table.name }}</a></p>{% endif %}
<p class="note">lumbar {{ version }}. The z-scores of every study are in zscores.parquet.</p></body></html>"""


@dataclass(frozen=True)
class _Part:
    """One section of the page."""

    slug: str
    title: str
    note: str
    figure: Markup | None = None
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def write_cohort(folder: Path, cohort: Cohort) -> None:
    """Write the tables, cohort.json, cohort.html and, on request, aging/ into `folder`."""
    write_cohort_tables(folder, cohort)
    if cohort.ageing is not None:
        (folder / "aging").mkdir()
        write_population(folder / "aging", cohort.ageing, adjusted=True)
    page = Environment(autoescape=True, trim_blocks=True).from_string(_PAGE)
    text = page.render(c=cohort, parts=_parts(cohort), ages=_ages(cohort), statement=RESEARCH_USE, version=__version__)
    (folder / "cohort.html").write_text(text, encoding="utf-8")


def _parts(cohort: Cohort) -> list[_Part]:
    makers = (_distributions, _over_age, _prevalence, _correlations, _sites, _comparison, _agreement)
    return [part for make in makers if (part := make(cohort)) is not None]


def _image(svg: str | None) -> Markup | None:
    return Markup(svg) if svg else None  # noqa: S704  (matplotlib escapes what it writes)


def _ages(cohort: Cohort) -> str:
    known = cohort.people.age_years[cohort.people.age_years == cohort.people.age_years]
    women, men = int((cohort.people.sex == "F").sum()), int((cohort.people.sex == "M").sum())
    sexes = f"{women} women, {men} men" if women or men else ""
    ages = f"{known.min():.0f} to {known.max():.0f} years old (known of {len(known)})" if len(known) else ""
    return ", ".join(filter(None, (sexes, ages)))


def _distributions(cohort: Cohort) -> _Part | None:
    figure = distribution_figure(cohort)
    note = "Thin lines: central 95 %; thick: quartiles; tick: median. All values, by sex, decade and site, are in distributions.csv."
    return _Part("distributions", "Distributions", note, _image(figure)) if figure else None


def _over_age(cohort: Cohort) -> _Part | None:
    figure = age_figure(cohort)
    return _Part("age", "Over age", "Medians by decade; a cross-section, not the course of individuals.", _image(figure)) if figure else None


def _prevalence(cohort: Cohort) -> _Part | None:
    figure = prevalence_figure(cohort)
    if figure is None:
        return None
    note = (
        "Shares of people with 95 % intervals (Wilson). They count model output: false negatives and false positives of a model bias the"
        " shares, which the intervals do not include. By sex, decade and site in prevalence.csv."
    )
    rows = [
        (one.title, f"{one.cases} of {one.n}", f"{100 * one.share:.1f} %", f"{100 * one.low:.1f} – {100 * one.high:.1f} %")
        for one in cohort.prevalences
        if one.by == "all" and one.level == ANY
    ]
    return _Part("prevalence", "Prevalence", note, _image(figure), ("at any level", "people", "share", "95 %"), rows)


def _correlations(cohort: Cohort) -> _Part | None:
    figure = correlation_figure(cohort)
    note = "Spearman's ρ of one value per person: the mean over levels and sides, or the worst grade. Many depend on age. Corrected p are in correlations.csv."
    return _Part("correlations", "Correlations", note, _image(figure)) if figure else None


def _sites(cohort: Cohort) -> _Part | None:
    figure = site_figure(cohort)
    held = " and ".join(cohort.covariates.names) or "nothing"
    note = (
        f"Share of variance between sites, adjusted for {held}; red: p below 0.05 after correction for the number of values."
        " Sites can differ in people as well as in scanners: harmonization (--harmonize) removes both. sites.csv also tests differences in variance."
    )
    return _Part("sites", "Sites", note, _image(figure)) if figure else None


def _comparison(cohort: Cohort) -> _Part | None:
    if not cohort.comparisons:
        return None
    ones = sorted(cohort.comparisons, key=lambda one: one.p_model)[:_MOST_ROWS]
    head = ("value", "people", "means", "Hedges' g (95 %)", "partial η²", "p", "p, corrected")
    rows = [
        (
            one.column.title.replace("_", " "),
            " / ".join(map(str, one.n)),
            " / ".join(f"{mean:.3g}" for mean in one.means),
            f"{one.hedges_g:+.2f} ({one.low:+.2f} … {one.high:+.2f})" if one.hedges_g == one.hedges_g else "",
            f"{one.partial_eta_squared:.3f}",
            f"{one.p_model:.2g}",
            f"{one.p_model_adjusted:.2g}",
        )
        for one in ones
    ]
    held = " and ".join(cohort.covariates.names) or "nothing"
    count = len(cohort.comparisons)
    note = f"p: F test adjusted for {held}, corrected over {count} values (Benjamini and Hochberg). g is not adjusted. All: comparison.csv."
    return _Part("groups", f"Groups: {' / '.join(ones[0].groups)}", note, _image(comparison_figure(cohort)), head, rows)


def _agreement(cohort: Cohort) -> _Part | None:
    if not cohort.agreement:
        return None
    ones = sorted(cohort.agreement, key=lambda one: one.agreement.icc_2_1 if one.agreement.icc_2_1 == one.agreement.icc_2_1 else 2.0)[:_MOST_ROWS]
    head = ("value, worst first", "people", "bias", "limits of agreement", "ICC(2,1)", "same grade", "weighted κ")
    rows = [
        (
            one.column.title.replace("_", " "),
            str(one.agreement.n),
            f"{one.agreement.bias:+.3g}",
            f"{one.agreement.loa_low:.3g} … {one.agreement.loa_high:.3g}",
            f"{one.agreement.icc_2_1:.3f}",
            f"{100 * one.same_share:.0f} %" if one.same_share is not None else "",
            f"{one.weighted_kappa:.2f}" if one.weighted_kappa is not None else "",
        )
        for one in ones
    ]
    return _Part("agreement", "Agreement of the two tables", "Differences are this table minus the other (--against). All in agreement.csv.", None, head, rows)
