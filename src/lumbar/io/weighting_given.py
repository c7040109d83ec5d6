"""Weightings given by the user, for images without it in their headers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lumbar.domain.study import Role, Series, Study, Weighting
from lumbar.errors import UsageError
from lumbar.io.roles import UNKNOWN_WEIGHTING, role_of

NAMES = {one.name: one for one in Weighting if one not in (Weighting.UNKNOWN, Weighting.FAT_FRACTION)}
_SUFFIXES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class GivenWeighting:
    """The weighting of one image, or of all images of unknown weighting."""

    weighting: Weighting
    file: str | None = None  # as the user wrote it


def parse(text: str) -> GivenWeighting:
    """`[FILE=]WEIGHTING` in parts.

    Raises:
        UsageError: the weighting is none of `NAMES`.
    """
    file, _, name = text.rpartition("=")
    if name.upper() not in NAMES:
        raise UsageError(f"--weighting {text}: unknown weighting {name or '(empty)'}; choose from {', '.join(NAMES)}, or write FILE=WEIGHTING")
    return GivenWeighting(NAMES[name.upper()], file or None)


def with_weightings(study: Study, given: Sequence[GivenWeighting]) -> Study:
    """The study with the given weightings and the resulting roles; a weighting without a file applies to all series of unknown weighting.

    Raises:
        UsageError: no series is that of a given file, or none leaves its contrast open.
    """
    series = list(study.series)
    for one in given:
        matching = [k for k, other in enumerate(series) if (_is_file(other, one.file) if one.file else _open(other))]
        if not matching:
            names = ", ".join(other.series_uid for other in series)
            what = f"no series is that of {one.file}" if one.file else "the weighting of every series is known; name the file, as in FILE=T2"
            raise UsageError(f"--weighting {one.weighting.name}: {what} (series: {names})")
        for k in matching:
            series[k] = _with(series[k], one.weighting)
    return replace(study, series=tuple(series))


def _is_file(series: Series, file: str) -> bool:
    name = Path(file).name
    stem = next((name[: -len(suffix)] for suffix in _SUFFIXES if name.lower().endswith(suffix)), name)
    return series.series_uid in (stem, file)


def _open(series: Series) -> bool:
    return series.weighting is Weighting.UNKNOWN or UNKNOWN_WEIGHTING in series.reason or "decided from the image" in series.reason


def _with(series: Series, weighting: Weighting) -> Series:
    role = role_of(series.plane, weighting)
    reason = f"{series.reason.split('; not used: ')[0]}; {weighting.value.replace('_', ' ')} as given by the user"
    return replace(series, weighting=weighting, role=role, reason=reason, usable=role is not Role.OTHER)
