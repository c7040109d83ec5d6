"""Which series of a study the spine is looked for in, and the spine there."""

from collections.abc import Callable
from dataclasses import dataclass

from lumbar.domain.anatomy import Level
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.errors import InputError, NoUsableSeries
from lumbar.spine.segment import Network
from lumbar.spine.spine_map import SpineMap, map_spine

# The best first: bright CSF outlines the canal, and sagittal slices show all levels at once.
_ROLES = (Role.SAGITTAL_T2, Role.SAGITTAL_T1, Role.DIXON_WATER, Role.AXIAL_T2, Role.AXIAL_T1, Role.DIXON_FAT)
_PLANES = (Plane.SAGITTAL, Plane.AXIAL, Plane.CORONAL)  # of series of unknown kind, which come last


@dataclass(frozen=True, eq=False)
class FoundSpine:
    """The spine of a study and where it was found."""

    spine: SpineMap
    series: Series
    stack: Stack
    failures: tuple[str, ...]  # why better series could not be used


def candidates(study: Study) -> list[Series]:
    """The series that may show the levels of the spine, the best first.

    Raises:
        NoUsableSeries: there is none.
    """
    known = [s for role in _ROLES for s in study.with_role(role)]
    unknown = sorted(study.with_role(Role.OTHER), key=lambda s: _PLANES.index(s.plane))
    found = known + [s for s in unknown if s.weighting is Weighting.UNKNOWN]
    if not found:
        kinds = ", ".join(sorted({f"{s.plane.value} {s.weighting.value}" for s in study.series})) or "nothing"
        raise NoUsableSeries(f"no series can show the levels of the lumbar spine (found: {kinds}); a sagittal T2 or T1 series is what is needed")
    return found


def find_spine(study: Study, network: Network, lowest_level: Level | None = None, progress: Callable[[int, int], None] | None = None) -> FoundSpine:
    """The spine in the best series that shows one.

    Raises:
        NoUsableSeries: no series does.
    """
    failures: list[str] = []
    for series in candidates(study):
        try:
            stack = largest_stack(series)
            spine = map_spine(stack.volume, series.plane, series.weighting, network, lowest_level, progress)
            return FoundSpine(spine, series, stack, tuple(failures))
        except InputError as error:
            failures.append(f"{series.role.value} series: {error}")
    raise NoUsableSeries("no series shows a lumbar spine: " + "; ".join(failures))


def largest_stack(series: Series) -> Stack:
    """The stack with most slices: a series with several angulations shows the spine best in its longest one."""
    return max(series.stacks, key=lambda stack: stack.volume.grid.shape[0])
