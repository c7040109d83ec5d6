"""Spatial alignment of the series of a study, checked by image registration; frames of reference alone do not prove it.

If a patient moves or gets up between two series, the levels in the second would be misnamed without notice. The series in which the spine was found is
the reference, and each other series is compared with it where they overlap. A certain shift is corrected and reported; a series that cannot be
aligned with certainty is not used, which is reported too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lumbar.domain.geometry import Grid
from lumbar.domain.quality import Check
from lumbar.domain.study import Plane, Role, Series, Study
from lumbar.domain.volume import Volume
from lumbar.imaging.fit import Comparison, Fit
from lumbar.imaging.raster import Placed, Raster
from lumbar.spine.find import FoundSpine
from lumbar.spine.planes import with_planes_by_spine

CHECK = "levels_consistent"

# Measured on the real RSNA study and phantoms of all sites: the correlation of aligned series peaks within 3 mm and gains
# less than 0.02 by a shift; that of single axial blocks, in which the levels look alike, gains up to 0.11.
TOLERATED_MM = 6.0
GAIN = 0.13  # of correlation by a shift, above which two series are misaligned
CERTAIN_LEAD = 0.04  # lead of the best shift over the best one more than 12 mm away
CERTAIN_CORRELATION = 0.3
_FLIP_GAIN = 0.15
# Gain of correlation by exchanging left and right, above which one of two series is mirrored. Series that are not lose 0.06 to 0.26 by it (T1 and
# axial series of the RSNA study and of 13 phantoms of all sites); single blocks gain up to 0.02, so all blocks of a role are compared together.
MIRROR_GAIN = 0.03
_AT_THE_EDGE_MM = (21.0, 42.0, 81.0)  # beyond these shifts the optimum may lie outside the search range
_GROUPS = ((Role.AXIAL_T2,), (Role.AXIAL_T1,), (Role.DIXON_WATER, Role.DIXON_FAT, Role.FAT_FRACTION), (Role.SAGITTAL_T1,), (Role.SAGITTAL_T2,))


@dataclass(frozen=True, eq=False)
class FittedStudy:
    """A study with aligned series, and the checks made."""

    study: Study
    warnings: tuple[str, ...]
    checks: tuple[Check, ...]


@dataclass(frozen=True, eq=False)
class _Reference:
    """A series that others are compared with; it is put on the common grid once, and only if something is compared with it."""

    series: Series

    @cached_property
    def placed(self) -> Placed:
        return Placed(_volumes([self.series]))

    @cached_property
    def raster(self) -> Raster | None:
        return self.placed.raster()


def seen_from(study: Study, found: FoundSpine) -> FittedStudy:
    """The study with planes of oblique series decided relative to the spine, and all series aligned with the one in which it was found."""
    finding = found.spine.finding
    return fit_series(with_planes_by_spine(study, finding.levels), found.series, sure=finding.numbering.confident)


def fit_series(study: Study, reference: Series, sure: bool = True) -> FittedStudy:
    """The study with all series aligned with `reference`, without those that cannot be aligned.

    Args:
        study: the study.
        reference: series in which the spine was found.
        sure: whether the spine in it was named with confidence; if not, `reference` may hold its images upside down, which is then checked, too.
    """
    others = [one for role in (Role.SAGITTAL_T2, Role.SAGITTAL_T1) for one in study.with_role(role) if one is not reference]
    references = [_Reference(one) for one in (reference, *others)]
    replaced: dict[int, Series] = {}
    checks: list[Check] = []
    if not sure and (turned := _turned_reference(references[0], study)):
        checks.append(Check(CHECK, "failed", turned))
    for roles in _GROUPS:
        group = [series for series in study.series if series.role in roles and series is not reference]
        if group:
            _fit_group(references if group[0].plane is not Plane.SAGITTAL else references[:1], group, replaced, checks)
    if not any(check.status != "passed" for check in checks) and checks:
        checks = [Check(CHECK, "passed", "all comparable series show the same anatomy at the same position")]
    series = tuple(replaced.get(id(one), one) for one in study.series)
    warnings = tuple(check.note for check in checks if check.status != "passed")
    return FittedStudy(replace(study, series=series), warnings, tuple(checks))


def _fit_group(references: Sequence[_Reference], group: Sequence[Series], replaced: dict[int, Series], checks: list[Check]) -> None:
    """Check the series of one role: together first, as blocks of one examination, then one by one."""
    whole = Comparison(references[0].raster, _volumes(group))
    if mirrored := _mirrored(whole, group):
        for series in group:
            replaced[id(series)] = _withheld(series, mirrored)
        checks.append(Check(CHECK, "failed", mirrored))  # of no single series: which of the two is mirrored is unknown
        return
    together = _fit(whole, references, group) if len(group) > 1 else None
    if together is not None and _misfit(together) and _certain(together):
        for series in group:
            replaced[id(series)] = _moved(series, together)
            checks.append(_corrected(series, together))
        return
    joint = together is not None and not _misfit(together) and together.best >= CERTAIN_CORRELATION
    for series in group:
        single = whole if len(group) == 1 else Comparison(references[0].raster, _volumes([series]))
        found = _fit(single, references, [series])
        if found is None:
            continue
        if not _misfit(found):
            flipped = _flipped(single, series, found) if found.best < CERTAIN_CORRELATION else ""
            if flipped:
                replaced[id(series)] = _withheld(series, flipped)
            checks.append(Check(CHECK, "failed" if flipped else "passed", flipped, series.series_uid))
        elif _certain(found, 2 * CERTAIN_LEAD if joint else CERTAIN_LEAD):
            replaced[id(series)] = _moved(series, found)
            checks.append(_corrected(series, found))
        elif not joint:  # a single block of several that fit together proves little: levels look alike
            why = _flipped(single, series, found) or (
                f"the {_name(series)} series does not show the same anatomy at the same position as the series in which the spine was found (did "
                "the patient move between them?), and the shift could not be determined with certainty "
                f"(correlation {found.here:.2f} as acquired, up to {found.best:.2f} after a shift); it was not used"
            )
            replaced[id(series)] = _withheld(series, why)
            checks.append(Check(CHECK, "failed", why, series.series_uid))


def _fit(compared: Comparison, references: Sequence[_Reference], group: Sequence[Series]) -> Fit | None:
    """The fit to the first reference, with which `group` is compared, or, if it does not fit, to the reference with the highest correlation."""
    first = compared.fit
    if first is None or not _misfit(first):
        return first
    others = [one for fixed in references[1:] if (one := Comparison(fixed.raster, _volumes(group)).fit) is not None]
    return max((first, *others), key=lambda one: one.best)


def _volumes(group: Sequence[Series]) -> list[Volume]:
    return [stack.volume for series in group for stack in series.stacks]


def _misfit(found: Fit) -> bool:
    return float(np.linalg.norm(found.offset_mm)) > TOLERATED_MM and found.best - found.here >= GAIN


def _certain(found: Fit, lead: float = CERTAIN_LEAD) -> bool:
    inside = all(abs(offset) <= edge for offset, edge in zip(found.offset_mm, _AT_THE_EDGE_MM, strict=True))
    return inside and found.best >= CERTAIN_CORRELATION and found.best - found.second >= lead


def _flipped(compared: Comparison, series: Series, found: Fit) -> str:
    """Message if the series fits far better with one axis flipped, otherwise ""."""
    for axis, words in ((1, "upside down (its rows run against its header)"), (2, "mirrored (its columns run against its header)"), (0, "in reverse order")):
        other = compared.flipped(axis)
        if other is not None and other.best >= CERTAIN_CORRELATION and other.best - found.best >= _FLIP_GAIN:
            return f"the images of the {_name(series)} series match those in which the spine was found only {words}; it was not used"
    return ""


def _turned_reference(reference: _Reference, study: Study) -> str:
    """Message if another series fits far better with the images of the reference upside down or front to back, otherwise ""."""
    groups = ([one for one in study.series if one.role in roles and one is not reference.series] for roles in _GROUPS)
    group = next((one for one in groups if one), [])
    own = Comparison(reference.raster, _volumes(group)).fit
    if own is None:
        return ""
    for axis, words in ((1, "upside down"), (2, "with front and back exchanged")):
        other = Comparison(reference.placed.raster(axis), _volumes(group)).fit
        if other is not None and other.best >= CERTAIN_CORRELATION and other.best - own.best >= _FLIP_GAIN:
            return (
                f"the series in which the spine was found holds its images {words} against its header: the {_name(group[0])} series fits it only so "
                f"(correlation {other.best:.2f} instead of {own.best:.2f}); its levels and sides are wrong"
            )
    return ""


def _mirrored(compared: Comparison, group: Sequence[Series]) -> str:
    """Message if the series of one role fit clearly better with left and right exchanged, otherwise ""."""
    if compared.loses_by_flipping(_sideways):
        return ""
    other = compared.flipped(_sideways)
    if other is None or other.best < CERTAIN_CORRELATION:
        return ""
    own = compared.fit
    if own is None or other.best - own.best < MIRROR_GAIN:
        return ""
    return (
        f"the {_name(group[0])} series and the series in which the spine was found are mirror images of each other: the images of one of them run against "
        f"their header, so left and right are uncertain in both; the {_name(group[0])} series was not used"
    )


def _sideways(grid: Grid) -> int:
    """The axis that runs most from right to left."""
    directions = (grid.normal, grid.row_step_mm / np.linalg.norm(grid.row_step_mm), grid.column_step_mm / np.linalg.norm(grid.column_step_mm))
    return int(np.argmax([abs(float(direction[0])) for direction in directions]))


def _moved(series: Series, found: Fit) -> Series:
    x, y, z = found.offset_mm
    by = (-x, -y, -z)
    return replace(series, stacks=tuple(replace(stack, volume=stack.volume.moved(by), moved_mm=by) for stack in series.stacks))


def _withheld(series: Series, why: str) -> Series:
    return replace(series, role=Role.OTHER, usable=False, reason=f"{series.reason}; not used: {why}")


def _corrected(series: Series, found: Fit) -> Check:
    x, y, z = found.offset_mm
    far = float(np.linalg.norm(found.offset_mm))
    text = (
        f"the {_name(series)} series is displaced by {far:.0f} mm against the series in which the spine was found "
        f"({_way(x, 'left', 'right')}, {_way(y, 'back', 'front')}, "
        f"{_way(z, 'head', 'feet')}), as if the patient had moved between them; it was aligned by image registration "
        f"(correlation {found.best:.2f} instead of {found.here:.2f})"
    )
    return Check(CHECK, "doubtful", text, series.series_uid)


def _way(value: float, towards: str, away: str) -> str:
    return f"{abs(value):.0f} mm to the {towards if value > 0 else away}"


def _name(series: Series) -> str:
    return f"{series.plane.value} {series.weighting.value.replace('_', ' ')}"
