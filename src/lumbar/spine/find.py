"""Choice of the series in which the spine is segmented, and the resulting spine map."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lumbar.domain.anatomy import Level
from lumbar.domain.stack_choice import PlacedStack
from lumbar.domain.study import Plane, Role, Series, Stack, Study, Weighting
from lumbar.errors import InputError, NoUsableSeries
from lumbar.imaging.stations import joined
from lumbar.spine.network import Network
from lumbar.spine.spine_map import SpineMap, map_spine

# Best first: bright CSF outlines the canal, and sagittal slices show all levels at once.
_ROLES = (Role.SAGITTAL_T2, Role.SAGITTAL_T1, Role.DIXON_WATER, Role.AXIAL_T2, Role.AXIAL_T1, Role.DIXON_FAT)
_PLANES = (Plane.SAGITTAL, Plane.AXIAL, Plane.CORONAL)  # of series of unknown weighting, which come last
_MOST_RIVALS = 4  # stacks of one role that are segmented


@dataclass(frozen=True, eq=False)
class FoundSpine:
    """The spine of a study and where it was found."""

    spine: SpineMap
    series: Series
    stack: Stack
    failures: tuple[str, ...]  # reasons why preferred series could not be used


def candidates(study: Study) -> list[Series]:
    """Series that may show the levels of the spine, best first.

    Raises:
        NoUsableSeries: there is none.
    """
    known = [s for role in _ROLES for s in study.with_role(role)]
    unknown = sorted((s for s in study.with_role(Role.OTHER) if s.usable and s.weighting is Weighting.UNKNOWN), key=lambda s: _PLANES.index(s.plane))
    found = known + unknown
    if not found:
        kinds = [f"{s.plane.value} {s.weighting.value}{_unused(s)}" for s in study.series]
        seen = "; ".join(sorted(dict.fromkeys(kinds))) or "nothing"
        raise NoUsableSeries(f"no series can show the levels of the lumbar spine (found: {seen}); a sagittal T2 or T1 series is needed")
    return found


def find_spine(study: Study, network: Network, lowest_level: Level | None = None, progress: Callable[[int, int], None] | None = None) -> FoundSpine:
    """The spine in the best series that shows one.

    Several stacks of one role (stations of a whole spine, a repeat, a second field of view) are ranked by confident level names, then by the number
    of levels in view, then by resolution.

    Raises:
        NoUsableSeries: no series shows a lumbar spine.
    """
    failures: list[str] = []
    found = candidates(study)
    for role in dict.fromkeys(series.role for series in found):
        rivals = [PlacedStack(series, number) for series in found if series.role is role for number in _candidate_stacks(series)][:_MOST_RIVALS]
        spines: list[FoundSpine] = []
        if (union := _stations(rivals)) is not None:
            try:
                spine = map_spine(union.stack.volume, union.series.plane, union.series.weighting, network, lowest_level, progress)
                return FoundSpine(spine, union.series, union.stack, (*failures, _union_note(rivals)))
            except InputError as error:
                failures.append(f"{role.value} stations together: {error}")
        for placed in rivals:
            try:
                spine = map_spine(placed.stack.volume, placed.series.plane, placed.series.weighting, network, lowest_level, progress)
                spines.append(FoundSpine(spine, placed.series, placed.stack, ()))
            except InputError as error:
                failures.append(f"{role.value} series: {error}")
        if spines:
            best = max(spines, key=_merit)
            return replace(best, failures=(*failures, *_left_out(best, spines)))
    raise NoUsableSeries("no series shows a lumbar spine: " + "; ".join(failures))


def _stations(rivals: Sequence[PlacedStack]) -> PlacedStack | None:
    """Stations of one sagittal examination joined into one stack; None where the stacks are not stations."""
    if len(rivals) < 2 or any(placed.series.plane is not Plane.SAGITTAL for placed in rivals):
        return None
    volume = joined([placed.stack.volume for placed in rivals])
    if volume is None:
        return None
    lowest = min(rivals, key=lambda placed: float(placed.grid.center_mm[2]))
    return PlacedStack(replace(lowest.series, stacks=(Stack(volume, lowest.stack.instance_numbers),)), 0)


def _union_note(rivals: Sequence[PlacedStack]) -> str:
    uids = ", ".join(dict.fromkeys(placed.series.series_uid for placed in rivals))
    return f"the spine was found in {len(rivals)} {rivals[0].series.role.value} stations joined into one image (series {uids})"


def _unused(series: Series) -> str:
    return "" if series.usable else ", " + series.reason.split("not used: ")[-1]


def _candidate_stacks(series: Series) -> list[int]:
    """Indices of the stacks to segment: all long stacks of a sagittal series, the longest of any other."""
    lengths = [len(stack.instance_numbers) for stack in series.stacks]
    if series.plane is not Plane.SAGITTAL:
        return [lengths.index(max(lengths))]
    return [number for number, length in enumerate(lengths) if length >= max(lengths) / 2]


def _merit(found: FoundSpine) -> tuple[bool, int, float, int]:
    finding, grid = found.spine.finding, found.stack.volume.grid
    return finding.numbering.confident, len(finding.levels), -round(grid.spacing_mm[1], 2), grid.shape[0]


def _left_out(best: FoundSpine, spines: Sequence[FoundSpine]) -> list[str]:
    """Names of the levels in the other fields of view."""
    sentences = []
    for other in spines:
        if other is best:
            continue
        shown = ", ".join(level.level.value for level in other.spine.finding.levels)
        sure = "" if other.spine.finding.numbering.confident else " (names uncertain)"
        chosen = ", ".join(level.level.value for level in best.spine.finding.levels)
        sentences.append(
            f"several {best.series.role.value} stacks show a spine: levels were taken from series {best.series.series_uid} ({chosen}); "
            f"series {other.series.series_uid}, which shows {shown}{sure}, was left out"
        )
    return sentences
