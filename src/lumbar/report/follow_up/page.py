"""A comparison as one page that opens offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lumbar import __version__
from lumbar.domain.anatomy import Level, Vertebra
from lumbar.domain.values import GRADE_UNIT
from lumbar.population.follow_up.compare import CHANGED, NOT_COMPARABLE, SEEN_ONCE, UNKNOWN_ERROR, WITHIN_ERROR, Change, Comparison
from lumbar.population.follow_up.measurement_error import MUSCLES, source
from lumbar.report.document import RESEARCH_USE
from lumbar.report.numbers import shown, signed
from lumbar.report.templating import environment

VERDICTS = {
    CHANGED: "changed",
    WITHIN_ERROR: "within error",
    UNKNOWN_ERROR: "error not known",
    NOT_COMPARABLE: "not comparable",
    SEEN_ONCE: "in one examination only",
}
_GRADES = ("normal/mild", "moderate", "severe")
_SETTINGS = {
    "same_protocol": "same contrast and resolution",
    "other_protocol": "same contrast, another protocol",
    "other_contrast": "another contrast",
    None: "not known",
}
_PLACES = {place.value: number for number, place in enumerate((*Vertebra, *Level))}


@dataclass(frozen=True)
class ImagePair:
    """The same view of both examinations, as data URLs."""

    title: str
    earlier: str
    later: str


@dataclass(frozen=True)
class Row:
    """One line of a table."""

    place: str
    finding: str
    earlier: str
    later: str
    change: str
    limit: str
    verdict: str  # as in VERDICTS
    words: str


@dataclass(frozen=True)
class Section:
    """The changes of one kind."""

    title: str
    rows: Sequence[Row]


def render_comparison(comparison: Comparison, images: Sequence[ImagePair]) -> str:
    """The page."""
    return (
        environment("lumbar.report")
        .get_template("follow_up.html.j2")
        .render(
            comparison=comparison,
            statement=RESEARCH_USE,
            version=__version__,
            source=source(),
            summary=summary(comparison.reliable),
            sections=sections(comparison.changes),
            images=images,
            settings=(_SETTINGS[comparison.setting_spine], _SETTINGS[comparison.setting_axial]),
        )
    )


def sentence(change: Change) -> str:
    """A reliable change in words: "L4/L5 disc height: 9.1 → 7.2 mm (−1.9)"."""
    row = _row(change)
    return f"{row.place} {row.finding}: {row.earlier} → {row.later}{_unit(change)} ({row.change})".strip()


def summary(changes: Sequence[Change]) -> list[tuple[str, str]]:
    """(place, what changed there) of reliable changes: one entry per level, per muscle and side, and for the whole spine."""
    places: dict[str, list[str]] = {}
    for change in changes:
        muscle = change.structure in MUSCLES
        place = f"{change.side} {change.structure.replace('_', ' ')}" if muscle else change.level or "Whole spine"
        inner = " ".join(part for part in ((change.level if muscle else change.side), _title(change)) if part)
        row = _row(change)
        places.setdefault(place, []).append(f"{inner} {row.earlier} → {row.later}{_unit(change)}")
    return [(place[0].upper() + place[1:], "; ".join(found)) for place, found in sorted(places.items(), key=lambda item: _PLACES.get(item[0], 99))]


def sections(changes: Sequence[Change]) -> list[Section]:
    """Tables by kind, each from cranial to caudal."""
    kinds: Mapping[str, list[Change]] = {
        title: [] for title in ("Stenosis", "Discs", "Measurements of the levels", "Vertebrae and whole spine", "Muscles", "Age")
    }
    for change in changes:
        kinds[_kind(change)].append(change)
    return [Section(title, [_row(change) for change in sorted(own, key=_order)]) for title, own in kinds.items() if own]


def _kind(change: Change) -> str:
    if "age" in change.finding.split("_"):
        return "Age"
    if change.structure in MUSCLES:
        return "Muscles"
    if change.finding.endswith(("_grade_0_2", "_score")):
        return "Stenosis"
    if change.finding.startswith("pfirrmann") or change.finding.endswith("_p"):
        return "Discs"
    return "Measurements of the levels" if "/" in change.level else "Vertebrae and whole spine"


def _order(change: Change) -> tuple[str, str, str, int]:
    return change.structure, change.finding, change.side, _PLACES.get(change.level, -1)


def _row(change: Change) -> Row:
    structure = f"{change.structure.replace('_', ' ')} " if change.structure in MUSCLES else ""
    earlier, later = (_value(change, value) for value in (change.earlier, change.later))
    words = VERDICTS[change.verdict] + (f": {change.note}" if change.note else "")
    place = " ".join(part for part in (change.level, change.side) if part)
    limit = shown(change.least_reliable_change, _digits(change)) if change.least_reliable_change is not None else ""
    return Row(place, structure + _title(change), earlier, later, signed(change.change, _digits(change)), limit, change.verdict, words)


def _title(change: Change) -> str:
    finding = change.finding.removesuffix("_grade_0_2").removesuffix("_p")
    for ending in ("_mm2", "_mm", "_ml", "_degrees", "_years", "_percent"):
        finding = finding.removesuffix(ending)
    return finding.replace("_", " ").replace("csa", "cross-section").replace("canal ap", "canal AP diameter")


def _unit(change: Change) -> str:
    return f" {change.unit}" if change.unit and change.unit != GRADE_UNIT else ""


def _value(change: Change, value: float | None) -> str:
    if value is not None and change.unit == GRADE_UNIT:
        return _GRADES[int(value)]
    return shown(value, _digits(change))


def _digits(change: Change) -> int:
    if change.unit in ("mm²", "ml", "°", "%"):
        return 0 if change.unit == "mm²" else 1
    return 1 if change.unit in ("mm", "years") else 0 if change.finding in ("pfirrmann_grade", "meyerding_grade") or change.unit == GRADE_UNIT else 2
