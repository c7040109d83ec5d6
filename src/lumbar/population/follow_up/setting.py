"""In which setting two values are compared, and whether they can be compared at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lumbar.domain.values import ValueRow
from lumbar.population.follow_up.examination import Examination, SpineSeries
from lumbar.population.follow_up.measurement_error import MUSCLES, Setting

_SAME_SPACING = 0.1  # relative difference of pixel sizes and of slice distances
_COARSEST_MM = 1.0  # in-plane pixels of the examinations in which errors were measured: at most 0.9 mm; at 1.4 mm twice as many unchanged values exceed them
SPINE_STRUCTURES = ("spine", "vertebra", "segment", "disc", "canal")
_SIGNAL_FINDINGS = ("disc_signal_ratio",)  # defined in one contrast only
# Findings of the T2 disc grader; on other contrasts it has not been checked.
_GRADED_ON_T2 = ("pfirrmann", "disc_narrowing_p", "disc_bulging_p", "disc_herniation_p", "disc_spondylolisthesis_p", "disc_modic_p", "disc_endplate_p")
_TOO_COARSE = f"pixels are larger than {_COARSEST_MM:g} mm, for which the measurement error is unknown"
_FAT = ("fat_", "lean_", "csa_lean")


@dataclass(frozen=True)
class Settings:
    """The setting of each group of findings, or why the group cannot be compared."""

    spine: Setting | None  # None: the series in which the spine was measured is unknown
    axial: Setting
    spine_contrasts: tuple[str, str] | None  # of the earlier and the later series
    fat_methods: tuple[frozenset[str], frozenset[str]]
    coarse: tuple[bool, bool]  # whether pixels of the spine series, and of the axial series, are coarser than those in which errors were measured
    same_heights: bool  # whether disc heights were measured between the same borders
    notes: tuple[str, ...]

    def of(self, row: ValueRow) -> tuple[Setting | None, str]:
        """The setting in which a value is compared, and an empty text; or None and the reason why it is not."""
        if row.structure in MUSCLES:
            if row.finding.startswith(_FAT) and self.fat_methods[0] != self.fat_methods[1]:
                return None, "fat was measured by different methods"
            return self.axial, ""
        return self._of_spine(row) if _on_spine(row) else (self.axial, "")

    def _of_spine(self, row: ValueRow) -> tuple[Setting | None, str]:
        if row.finding.startswith("disc_height") and not self.same_heights:
            return None, "one of the results is of an earlier version, which left out the endplates; analyze both studies with one version"
        if self.spine is None:
            return None, "the series in which the spine was measured is not named in both results"
        contrast_bound = row.finding.startswith((*_SIGNAL_FINDINGS, *_GRADED_ON_T2)) or "age" in row.finding.split("_")
        if contrast_bound and self.spine is Setting.OTHER_CONTRAST:
            return None, "it depends on the contrast, and the contrasts differ"
        return self.spine, ""

    def doubt(self, row: ValueRow) -> str:
        """Why the measurement error of a value may be larger than its limit; empty if there is no reason."""
        return _TOO_COARSE if self.coarse[0 if _on_spine(row) else 1] else ""


def _on_spine(row: ValueRow) -> bool:
    """Whether a value was measured in the series of the spine, not in the axial series."""
    return row.structure in SPINE_STRUCTURES and not row.finding.startswith(("spinal_canal_stenosis", "subarticular", "neural"))


def settings_of(earlier: Examination, later: Examination) -> Settings:
    """Compare the series of two examinations."""
    a, b = earlier.spine_series, later.spine_series
    notes = []
    contrasts = (a.weighting, b.weighting) if a and b else None
    spine = None if a is None or b is None else _setting(a, b)
    if contrasts and contrasts[0] != contrasts[1]:
        notes.append(f"the spine was measured in {contrasts[0]} and later in {contrasts[1]}: signals, disc grades and age are not compared")
    elif spine is Setting.OTHER_PROTOCOL:
        notes.append("the protocols differ: the larger errors of different scanners apply")
    axial = _axial_setting(earlier, later)
    methods = _fat_methods(earlier), _fat_methods(later)
    if methods[0] and methods[1] and methods[0] != methods[1]:
        notes.append(f"muscle fat was measured by {_words(methods[0])} and later by {_words(methods[1])}: it is not compared")
    changed = sorted(name for name, sha in earlier.models.items() if later.models.get(name, sha) != sha)
    if changed:
        notes.append(f"models differ between the results ({', '.join(changed)}): a change may come from the software; analyze both studies with one version")
    spines = [series.spacing_mm for series in (a, b) if series]
    coarse = _coarse(spines), _coarse([spacing for spacing in (_axial(earlier), _axial(later)) if spacing])
    if any(coarse):
        which = " and ".join(name for name, one in zip(("spine", "axial series"), coarse, strict=True) if one)
        notes.append(f"{which}: {_TOO_COARSE}; changes there may be measurement error")
    same_heights = earlier.disc_heights_between == later.disc_heights_between
    return Settings(spine, axial, contrasts, methods, coarse, same_heights, tuple(notes))


def _setting(a: SpineSeries, b: SpineSeries) -> Setting:
    if a.weighting != b.weighting:
        return Setting.OTHER_CONTRAST
    return Setting.SAME_PROTOCOL if a.plane == b.plane and _alike(a.spacing_mm, b.spacing_mm) else Setting.OTHER_PROTOCOL


def _axial_setting(earlier: Examination, later: Examination) -> Setting:
    first, second = (_axial(examination) for examination in (earlier, later))
    return Setting.SAME_PROTOCOL if first and second and _alike(first, second) else Setting.OTHER_PROTOCOL


def _axial(examination: Examination) -> tuple[float, ...] | None:
    series: list[dict[str, Any]] = [one for one in examination.document["input"]["series"] if one["role"] == "axial_t2"]
    return tuple(series[0]["spacing_mm"]) if series else None


def _coarse(spacings_mm: Sequence[tuple[float, ...]]) -> bool:
    return any(max(spacing[1:]) > _COARSEST_MM for spacing in spacings_mm)


def _alike(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(abs(x - y) <= _SAME_SPACING * max(x, y) for x, y in zip(a, b, strict=True))


def _fat_methods(examination: Examination) -> frozenset[str]:
    return frozenset(str(entry["method"]) for entry in examination.document.get("muscles") or ())


def _words(methods: frozenset[str]) -> str:
    return " and ".join(sorted(methods))
