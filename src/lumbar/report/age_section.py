"""The age section of the report: the estimate on a population curve, levels as bars, and a sentence for delta and Selta each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lumbar.age.task import Age
from lumbar.domain.findings import AgeFeature, AgeFinding
from lumbar.pipeline import Analysis
from lumbar.report.images import ReportImage
from lumbar.report.numbers import shown, signed

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 460, 330, 46, 40, 14, 14  # of the curve, in units of its drawing
_TITLES = {
    "disc_to_marrow": "disc signal / marrow signal (logarithm)",
    "csf_to_marrow": "CSF signal / marrow signal (logarithm)",
    "disc_height_to_depth": "disc height / disc depth",
    "canal_to_depth": "canal depth / disc depth",
    "body_flatness": "short / long axis of the vertebral bodies",
    "dorsal_tissue": "signal of the tissue behind the canal",
    "network_l1_l3": "network age of L1–L3, years",
    "network_l3_l4": "network age of L3/L4, years",
    "network_l4_l5": "network age of L4/L5, years",
    "network_l5_s1": "network age of L5/S1, years",
}
_BAND = 1.96  # standard deviations: 95 % of people


@dataclass(frozen=True)
class Curve:
    """The population curve as paths of a drawing."""

    width: int
    height: int
    identity: str
    expected: str
    band: str
    ticks_x: tuple[tuple[float, str], ...]
    ticks_y: tuple[tuple[float, str], ...]
    frame: tuple[float, float, float, float]  # left, top, right, bottom
    point: tuple[float, float] | None  # the person
    low: float  # of the interval, on the vertical axis
    high: float
    middle: float


@dataclass(frozen=True)
class Bar:
    """One age of a segment, or the importance of a structure."""

    title: str
    text: str
    start: float  # per cent of the width
    width: float
    flagged: bool = False


@dataclass(frozen=True)
class FeatureRow:
    """One measured feature."""

    title: str
    value: str
    typical: str
    years: str


@dataclass(frozen=True, eq=False)
class AgeSection:
    """The section."""

    headline: str
    sentences: tuple[str, ...]
    synthetic: bool
    supported: bool
    curve: Curve | None  # None where no age is given
    features: tuple[FeatureRow, ...]
    people: int
    bars: tuple[Bar, ...]
    importance: tuple[Bar, ...]
    heat: ReportImage | None


def age_section(analysis: Analysis, images: Mapping[str, ReportImage]) -> AgeSection | None:
    """The section, or None where no age was predicted."""
    age, finding = analysis.age, analysis.findings.age
    if age is None or finding is None:
        return None
    return AgeSection(
        headline=_headline(finding),
        sentences=tuple(_sentences(finding, age.chronological_age_years)) if finding.supported else age.result.warnings,
        synthetic=age.result.synthetic_only,
        supported=finding.supported,
        curve=_curve(age, finding),
        features=tuple(_feature(one) for one in finding.features),
        people=age.calibration.people,
        bars=_level_bars(finding),
        importance=_importance_bars(finding),
        heat=images.get("age_map"),
    )


def _headline(finding: AgeFinding) -> str:
    if finding.predicted_age_years is None or finding.interval_years is None:
        return "Age not supported"
    low, high = finding.interval_years
    return f"{shown(finding.predicted_age_years, 0)} years ({100 * finding.coverage:.0f} % interval {shown(low, 0)} to {shown(high, 0)})"


def _feature(one: AgeFeature) -> FeatureRow:
    return FeatureRow(_TITLES.get(one.name, one.name.replace("_", " ")), shown(one.value, 2), shown(one.typical, 2), signed(one.years, 1))


def _sentences(finding: AgeFinding, known: float | None) -> list[str]:
    if known is None or finding.age_delta_years is None:
        return ["No chronological age was given (--age), so no delta can be computed."]
    looks = "older" if finding.age_delta_years > 0 else "younger"
    corrected = signed(finding.age_delta_corrected_years, 1)
    lines = [
        f"Delta {signed(finding.age_delta_years, 1)} years: the spine appears {looks} than the person's {shown(known, 0)} years; "
        f"{corrected} after correction for regression to the mean."
    ]
    if finding.age_delta_percentile is not None:
        lines.append(f"Among people of that age this is percentile {shown(finding.age_delta_percentile, 0)} (z {signed(finding.age_delta_z, 1)}).")
    for selta in finding.age_selta:
        runs = "ahead of" if selta.value > 0 else "behind"
        verdict = "outside" if selta.flagged else "within"
        value = signed(selta.value, 1)
        lines.append(f"Selta {selta.level} {value}: this segment is {runs} L1–L3 by that many standard deviations, {verdict} the 95 % range of healthy people.")
    return lines


def _curve(age: Age, finding: AgeFinding) -> Curve | None:
    if finding.predicted_age_years is None or finding.interval_years is None:
        return None
    calibration, predicted, interval = age.calibration, finding.predicted_age_years, finding.interval_years
    youngest, oldest = calibration.ages_years
    ages = np.linspace(youngest, oldest, 60)
    expected = calibration.bias.expected(ages)
    spread = _BAND * calibration.spread.at(ages)
    known = age.chronological_age_years
    everything = [*(expected - spread), *(expected + spread), *interval, youngest, oldest]
    low, high = 5 * np.floor(min(everything) / 5), 5 * np.ceil(max(everything) / 5)
    first, last = min(youngest, known or youngest), max(oldest, known or oldest)

    def x(years: float) -> float:
        return float(round(_LEFT + (years - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT), 1))

    def y(years: float) -> float:
        return float(round(_HEIGHT - _BOTTOM - (years - low) / (high - low) * (_HEIGHT - _BOTTOM - _TOP), 1))

    def path(pairs: list[tuple[float, float]]) -> str:
        return "M" + " L".join(f"{x(a)} {y(b)}" for a, b in pairs)

    upper, lower = list(zip(ages, expected + spread, strict=True)), list(zip(ages, expected - spread, strict=True))
    shared = max(first, low), min(last, high)
    return Curve(
        width=_WIDTH,
        height=_HEIGHT,
        identity=path([(shared[0], shared[0]), (shared[1], shared[1])]),
        expected=path(list(zip(ages, expected, strict=True))),
        band=path([*upper, *lower[::-1]]) + " Z",
        ticks_x=tuple((x(v), f"{v:.0f}") for v in np.arange(10 * np.ceil(first / 10), last + 0.1, 10)),
        ticks_y=tuple((y(v), f"{v:.0f}") for v in np.arange(10 * np.ceil(low / 10), high + 0.1, 10)),
        frame=(_LEFT, _TOP, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM),
        point=None if known is None else (x(known), y(predicted)),
        low=y(interval[0]),
        high=y(interval[1]),
        middle=y(predicted),
    )


def _level_bars(finding: AgeFinding) -> tuple[Bar, ...]:
    if not finding.level_ages:
        return ()
    flagged = {s.level for s in finding.age_selta if s.flagged}
    most = max([one.predicted_age_years for one in finding.level_ages] + [100.0])
    return tuple(
        Bar(
            one.level.replace("-", "–"), f"{shown(one.predicted_age_years, 0)} years", 0.0, round(100 * one.predicted_age_years / most, 1), one.level in flagged
        )
        for one in finding.level_ages
    )


def _importance_bars(finding: AgeFinding) -> tuple[Bar, ...]:
    """Bars to the right of the middle: the region makes the spine look older than average; to the left: younger."""
    largest = max((abs(one.delta_years) for one in finding.importance), default=0.0) or 1.0
    bars = []
    for one in finding.importance:
        width = round(50 * abs(one.delta_years) / largest, 1)
        bars.append(Bar(one.level, f"{signed(one.delta_years, 1)} years", 50.0 if one.delta_years >= 0 else 50 - width, width))
    return tuple(bars)
