"""Follow-up of one person: every value of two examinations side by side, its change, and whether that exceeds the measurement error."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lumbar.domain.anatomy import LUMBAR
from lumbar.domain.values import GRADE_UNIT, ValueRow
from lumbar.errors import InputError
from lumbar.population.follow_up.examination import Examination
from lumbar.population.follow_up.fit import Fit, fit_of
from lumbar.population.follow_up.measurement_error import error_of
from lumbar.population.follow_up.setting import Settings, settings_of

CHANGED, WITHIN_ERROR, UNKNOWN_ERROR, NOT_COMPARABLE, SEEN_ONCE = "changed", "within_error", "unknown_error", "not_comparable", "seen_once"
_GRADE_BEHIND = {"pfirrmann_grade": "pfirrmann_expected", "meyerding_grade": "slip_percent"}  # a grade changes where its continuous score does
_LUMBAR = {vertebra.value for vertebra in LUMBAR}
_LEFT_OUT = ("_p_severe",)  # redundant with the score of the same grade
_NOT_FOLLOWED = ("age_delta", "age_selta", "slip_error")  # derived from others


@dataclass(frozen=True)
class Change:
    """One value of both examinations."""

    level: str  # "L4/L5", a vertebra "L4", or "" for the whole
    side: str
    structure: str
    finding: str
    unit: str
    earlier: float | None
    later: float | None
    change: float | None  # later − earlier
    least_reliable_change: float | None  # the 95 % limit of differences in unchanged people
    verdict: str  # "changed", "within_error", "unknown_error", "not_comparable" or "seen_once"
    note: str = ""  # why it is not comparable, or doubtful


@dataclass(frozen=True)
class Comparison:
    """Two examinations of one person."""

    earlier: str  # study_uid
    later: str
    fit: Fit
    setting_spine: str | None  # "same_protocol", "other_protocol" or "other_contrast"
    setting_axial: str
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]

    @property
    def reliable(self) -> tuple[Change, ...]:
        """The changes beyond measurement error."""
        return tuple(change for change in self.changes if change.verdict == CHANGED)


def compare(earlier: Examination, later: Examination, force: bool = False) -> Comparison:
    """Compare two examinations of one person.

    Args:
        earlier: the first examination.
        later: the second one.
        force: compare even where the persons or the level names do not fit; the comparison notes it.

    Raises:
        InputError: both are the same study, they have too few levels in common, or their geometry does not fit and `force` is off.
    """
    if earlier.study_uid == later.study_uid:
        raise InputError(f"both results are of the study {later.study_uid}; give two different examinations")
    fit = fit_of(earlier, later)
    if len(fit.common_levels) < 2:
        raise InputError(f"the examinations cannot be compared: {fit.notes[0]}; give two studies of the lumbar spine")
    if fit.status == "failed" and not force:
        raise InputError(f"the examinations do not fit each other: {'; '.join(fit.notes)}. If you are sure, add --force")
    settings = settings_of(earlier, later)
    changes = tuple(_changes(earlier.rows, later.rows, settings))
    spine = settings.spine.value if settings.spine else None
    return Comparison(earlier.study_uid, later.study_uid, fit, spine, settings.axial.value, changes, (*fit.notes, *settings.notes))


def _changes(earlier: Iterable[ValueRow], later: Iterable[ValueRow], settings: Settings) -> Iterable[Change]:
    first, second = ({_place(row): row for row in rows if _followed(row)} for rows in (earlier, later))
    found = {place: _change(first.get(place), second.get(place), settings) for place in dict.fromkeys((*first, *second))}
    for place, change in found.items():
        behind = found.get((*place[:3], _behind(change)))
        yield _graded(change, behind) if behind else change


def _followed(row: ValueRow) -> bool:
    thoracic = row.structure == "vertebra" and row.level not in _LUMBAR  # at the border of the image, where heights are not exact
    return not thoracic and not row.finding.endswith(_LEFT_OUT) and not row.finding.startswith(_NOT_FOLLOWED)


def _place(row: ValueRow) -> tuple[str, str, str, str]:
    return row.level, row.side, row.structure, row.finding


def _behind(change: Change) -> str:
    """The finding that decides whether a grade has changed; empty for values other than grades."""
    if change.unit == GRADE_UNIT:
        return change.finding.removesuffix("_grade_0_2") + "_score"
    return _GRADE_BEHIND.get(change.finding, "")


def _change(first: ValueRow | None, second: ValueRow | None, settings: Settings) -> Change:
    row = first or second
    assert row is not None
    place = row.level, row.side, row.structure, row.finding, row.unit
    if first is None or second is None:
        return Change(*place, first and first.value, second and second.value, None, None, SEEN_ONCE)
    setting, reason = settings.of(row)
    difference = second.value - first.value
    if setting is None:
        return Change(*place, first.value, second.value, None, None, NOT_COMPARABLE, reason)
    error = error_of(row.structure, row.finding, setting)
    doubt = "the quality checks doubt one of the values" if "failed" in (first.quality, second.quality) else settings.doubt(row)
    if error is None:
        return Change(*place, first.value, second.value, difference, None, UNKNOWN_ERROR, doubt)
    limit = error.limit(first.value, second.value)
    return Change(*place, first.value, second.value, difference, limit, CHANGED if abs(difference) > limit else WITHIN_ERROR, doubt)


def _graded(change: Change, behind: Change) -> Change:
    """A grade has changed where it differs and its continuous score has changed reliably in the same direction."""
    if change.verdict in (NOT_COMPARABLE, SEEN_ONCE) or change.change is None or behind.change is None:
        return change
    moved = change.change * behind.change > 0 and behind.verdict == CHANGED
    verdict = CHANGED if moved else UNKNOWN_ERROR if behind.verdict == UNKNOWN_ERROR else WITHIN_ERROR
    return replace(change, least_reliable_change=None, verdict=verdict)
