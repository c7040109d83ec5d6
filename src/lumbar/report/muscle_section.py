"""The muscle section of the report: size and fat by side and level, and asymmetry."""

from collections.abc import Mapping
from dataclasses import dataclass

from lumbar.domain.anatomy import Level, Muscle, Side
from lumbar.domain.findings import Findings, MuscleFinding, MuscleLevel, NormPlace
from lumbar.muscle.agreement import DOUBTFUL
from lumbar.report.images import ReportImage
from lumbar.report.numbers import percent, shown


@dataclass(frozen=True)
class MuscleRow:
    """One muscle on one side."""

    muscle: str
    side: str
    volume: str
    lean: str
    area: str
    fat: str  # mean of voxel fractions, or fat infiltration
    fat_ratio: str  # ratio of sums, of a Dixon pair
    fat_corrected: str  # mean after correction for partial volume
    levels: tuple[tuple[str, str, str], ...]  # area, lean area, and area over that of the vertebral body or disc, by level
    doubtful: bool  # the networks disagree on the mask


@dataclass(frozen=True)
class NormRow:
    """Percentile of the fat fraction in each reference group."""

    muscle: str
    side: str
    fat: str
    places: tuple[str, ...]


@dataclass(frozen=True)
class Asymmetry:
    """Asymmetry of one muscle."""

    muscle: str
    text: str
    left_percent: float  # of the mean of both; negative: the left is smaller
    bar_percent: float  # of the half width of the chart


@dataclass(frozen=True, eq=False)
class Muscles:
    """The section."""

    levels: tuple[str, ...]
    rows: tuple[MuscleRow, ...]
    asymmetries: tuple[Asymmetry, ...]
    methods: str
    dixon: bool
    norm_groups: tuple[str, ...]
    norms: tuple[NormRow, ...]
    outlines: tuple[ReportImage, ...]
    fat_maps: tuple[ReportImage, ...]
    psoas: bool
    doubtful: bool
    least_dice: float


_END = 95
_FULL_BAR = 50.0  # per cent of difference that fill half of the chart


def muscles(findings: Findings, images: Mapping[str, ReportImage]) -> Muscles | None:
    """The section, or None where no muscle was measured."""
    if not findings.muscles:
        return None
    levels = [level for level in Level if any(one.level is level for m in findings.muscles for one in m.per_level)]
    ordered = sorted(findings.muscles, key=lambda m: (list(Muscle).index(m.muscle), m.side is Side.LEFT))
    fat_maps = tuple(images[f"fat_{level.slug}"] for level in Level if f"fat_{level.slug}" in images)
    groups = tuple(dict.fromkeys(_group(n) for m in ordered for n in m.fat_norms))
    shown_levels = [level for level in Level if f"axial_{level.slug}" in images]
    return Muscles(
        levels=tuple(level.value for level in levels),
        rows=tuple(_row(m, levels) for m in ordered),
        asymmetries=tuple(_asymmetry(m) for m in ordered if m.side is Side.LEFT and m.volume_asymmetry is not None),
        methods="; ".join(dict.fromkeys(m.method for m in ordered)),
        dixon=any(m.fat_fraction_mean is not None for m in ordered),
        norm_groups=groups,
        norms=tuple(_norms(m, groups) for m in ordered) if groups else (),
        outlines=tuple(images[f"axial_{level.slug}"] for level in shown_levels),
        fat_maps=fat_maps,
        psoas=any(m.muscle is Muscle.PSOAS for m in ordered),
        doubtful=any(m.mask_doubtful for m in ordered),
        least_dice=DOUBTFUL,
    )


def _row(m: MuscleFinding, levels: list[Level]) -> MuscleRow:
    at = {one.level: one for one in m.per_level}
    return MuscleRow(
        muscle=_name(m),
        side=m.side.value,
        volume=shown(m.volume_ml, 1),
        lean=shown(m.lean_volume_ml, 1),
        area=shown(m.csa_max_mm2, 0),
        fat=percent(m.fat_infiltration if m.fat_fraction_mean is None else m.fat_fraction_mean),
        fat_ratio=percent(m.fat_fraction_ratio),
        fat_corrected=percent(m.fat_fraction_corrected),
        levels=tuple(_level(at[v]) if v in at else ("–", "–", "–") for v in levels),
        doubtful=bool(m.mask_doubtful),
    )


def _level(at: MuscleLevel) -> tuple[str, str, str]:
    return shown(at.csa_mm2, 0), shown(at.csa_lean_mm2, 0), shown(at.muscle_body_ratio, 2)


def _norms(m: MuscleFinding, groups: tuple[str, ...]) -> NormRow:
    at = {_group(n): n.percentile for n in m.fat_norms}
    return NormRow(_name(m), m.side.value, percent(m.fat_fraction_mean), tuple(_place(at.get(group)) for group in groups))


def _group(place: NormPlace) -> str:
    return f"{place.group} ({place.source})"


def _place(percentile: float | None) -> str:
    """Whole per cent; the tails, where a normal distribution is not reliable, are cut off."""
    if percentile is None:
        return "–"
    return f"over {_END} %" if percentile > _END else f"under {100 - _END} %" if percentile < 100 - _END else percent(percentile / 100)


def _asymmetry(left: MuscleFinding) -> Asymmetry:
    assert left.volume_asymmetry is not None
    difference = 100 * left.volume_asymmetry
    side = "larger" if difference > 0 else "smaller"
    text = f"left {side} by {shown(abs(difference), 0)} %"
    return Asymmetry(_name(left), text, round(difference, 1), round(min(abs(difference) / _FULL_BAR, 1) * 50, 1))


def _name(m: MuscleFinding) -> str:
    return m.muscle.value.replace("_", " ")
