"""Percentiles of Dixon fat fractions among healthy people, from published means and standard deviations.

By age: multifidus and erector spinae of 80 healthy volunteers, L1 to L5, two-point Dixon at 3 T, 20 people per decade (Crawford et al., AJNR 37:742, 2016; by
decade in Crawford et al., Scoliosis 11:21, 2016, table 1). By sex: 336 people without symptoms, 20 to 69 years old (Si et al., Quant Imaging Med Surg
13:4526, 2023). No source stratifies by both for these muscles. A normal distribution is assumed, which fat fractions follow only approximately, and scanners
and segmentation protocols differ by percentage points, so that percentiles are rough.
"""

from collections.abc import Sequence
from dataclasses import replace

from scipy.special import ndtr

from lumbar.domain.anatomy import Muscle
from lumbar.domain.findings import MuscleFinding, NormPlace

_CRAWFORD, _SI = "Crawford et al. 2016", "Si et al. 2023"
_DECADES = ((20, 29), (30, 39), (40, 49), (50, 60))
# Per cent, mean and standard deviation.
_BY_DECADE = {
    Muscle.MULTIFIDUS: ((16.3, 5.3), (20.8, 6.4), (21.6, 6.1), (24.1, 8.7)),
    Muscle.ERECTOR_SPINAE: ((10.1, 4.7), (12.9, 4.3), (12.4, 3.4), (14.7, 7.3)),
}
_BY_SEX = {
    (Muscle.MULTIFIDUS, "F"): (21.14, 6.77),
    (Muscle.MULTIFIDUS, "M"): (16.21, 6.26),
    (Muscle.ERECTOR_SPINAE, "F"): (15.97, 5.56),
    (Muscle.ERECTOR_SPINAE, "M"): (12.37, 4.80),
}
_WORDS = {"F": "women", "M": "men"}
_SEX_YEARS = (20, 69)


def with_norms(findings: Sequence[MuscleFinding], age_years: float | None, sex: str | None) -> tuple[MuscleFinding, ...]:
    """The findings with percentiles of their Dixon fractions (raw voxel means) among healthy people of that age and of that sex."""
    return tuple(f if f.fat_fraction_mean is None else replace(f, fat_norms=places(f.muscle, f.fat_fraction_mean, age_years, sex)) for f in findings)


def places(muscle: Muscle, fat_fraction: float, age_years: float | None, sex: str | None) -> tuple[NormPlace, ...]:
    """Percentiles of a fat fraction in [0, 1]; none where the sources lack such people. Without an age, those by sex hold for adults up to 69."""
    found = []
    years = None if age_years is None else int(age_years)
    if years is not None and muscle in _BY_DECADE:
        for (low, high), (mean, deviation) in zip(_DECADES, _BY_DECADE[muscle], strict=True):
            if low <= years <= high:
                found.append(NormPlace(_percentile(fat_fraction, mean, deviation), f"healthy people aged {low} to {high}", _CRAWFORD))
    if sex is not None and (muscle, sex) in _BY_SEX and (years is None or _SEX_YEARS[0] <= years <= _SEX_YEARS[1]):
        group = f"{_WORDS[sex]} without symptoms aged {_SEX_YEARS[0]} to {_SEX_YEARS[1]}"
        found.append(NormPlace(_percentile(fat_fraction, *_BY_SEX[muscle, sex]), group, _SI))
    return tuple(found)


def _percentile(fat_fraction: float, mean: float, deviation: float) -> float:
    return float(100 * ndtr((100 * fat_fraction - mean) / deviation))
