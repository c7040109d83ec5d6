"""Choice of the images for muscle measurement: stacks of axial slices with their fat images or maps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lumbar.domain.findings import MuscleFinding
from lumbar.domain.geometry import Grid
from lumbar.domain.stack_choice import PlacedStack, choose_stacks, partner, within
from lumbar.domain.study import Role, Series, Study
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError, NoUsableSeries
from lumbar.imaging.components import voxels_by_label
from lumbar.muscle.fat.dixon import fraction_of, pair, scale_in_sum
from lumbar.muscle.labels import LABELS

_SAME_SCALE = 1.1  # between water and fat in their sum: the signal decays between echoes
_UNCHECKED = (
    "whether water and fat have the same scale could not be checked, as the air in them has no noise and no in-phase image is there; "
    "if one of them was rescaled, fat fractions are biased"
)
_AXIAL = (Role.AXIAL_T2, Role.AXIAL_T1, Role.DIXON_WATER, Role.DIXON_FAT)


@dataclass(frozen=True, eq=False)
class MuscleSource:
    """One stack of axial slices."""

    placed: PlacedStack
    fat: Volume | None = None  # the fat image, if the stack is the water image of a Dixon pair
    fraction: Volume | None = None  # fat fractions in [0, 1] of the scanner, on the grid of the stack

    @property
    def image(self) -> Volume:
        """The segmented image."""
        return self.placed.stack.volume


@dataclass(frozen=True, eq=False)
class MuscleSources:
    """The chosen stacks, and warnings about the choice."""

    stacks: tuple[MuscleSource, ...]
    warnings: tuple[str, ...]


def muscle_sources(study: Study) -> MuscleSources:
    """The stacks of the Dixon pair, or else of the axial T2 or T1, each position once.

    Raises:
        NoUsableSeries: the study has none of them.
    """
    water, fat = study.with_role(Role.DIXON_WATER), study.with_role(Role.DIXON_FAT)
    series = water if water and fat else study.with_role(*_AXIAL)
    if not series:
        raise NoUsableSeries("muscles need an axial T2, an axial T1 or a Dixon pair; " + _what_there_is(study))
    choice = choose_stacks(series)
    warnings = [choice.note] if choice.note else []
    doubt = next((one.scale_doubt for one in (*water, *fat) if one.scale_doubt), "") if water and fat else ""
    if doubt:
        warnings.append(f"fat fractions were withheld: {doubt}")
    maps = study.with_role(Role.FAT_FRACTION)
    stacks = []
    for placed in choice.used:
        fraction = _fraction(placed, maps, warnings)
        fat_image = _fat(placed, series, fat, warnings) if water and fat and not doubt and fraction is None else None
        if fat_image is not None and (wrong := _scale_by_sum(placed, fat_image, study, warnings)):
            warnings.append(f"fat fractions were withheld: {wrong}")
            fat_image = None
        stacks.append(MuscleSource(placed, fat_image, fraction))
    return MuscleSources(tuple(stacks), tuple(dict.fromkeys(warnings)))


def counted_once(findings: Sequence[MuscleFinding], mask: Volume, earlier: Sequence[Grid]) -> tuple[MuscleFinding, ...]:
    """The findings of a stack, with volumes reduced by the parts that `earlier` stacks cover."""
    shares = _new_shares(mask, earlier)
    found = []
    for finding in findings:
        share = next(shares[label] for label, named in LABELS.items() if named == (finding.muscle, finding.side))
        volume, lean = finding.volume_ml, finding.lean_volume_ml
        scaled = {"volume_ml": None if volume is None else volume * share, "lean_volume_ml": None if lean is None else lean * share}
        found.append(replace(finding, **scaled))  # type: ignore[arg-type]
    return tuple(found)


def _new_shares(mask: Volume, earlier: Sequence[Grid]) -> dict[int, float]:
    """By label, the fraction of voxels outside all `earlier` stacks."""
    shares = dict.fromkeys(LABELS, 1.0)
    voxels = voxels_by_label(np.asarray(mask.array)) if earlier else {}
    for label in LABELS.keys() & voxels:
        index = voxels[label]
        index = index[:: max(1, len(index) // 20_000)]
        shares[label] = 1.0 - float(within(mask.grid.points_mm(index), earlier).mean())
    return shares


def _fat(placed: PlacedStack, water: Sequence[Series], fat: Sequence[Series], warnings: list[str]) -> Volume | None:
    """The fat image of a water stack: that at its position, or else that with the same number."""
    found = partner(placed.grid, fat)
    if found is None:
        number = water.index(placed.series)
        other = fat[number].stacks if number < len(fat) else ()
        found = PlacedStack(fat[number], placed.number) if placed.number < len(other) and other[placed.number].volume.grid.shape == placed.grid.shape else None
    if found is None:
        warnings.append("no fat image has the position of one of the water images, so its fat fractions were withheld")
        return None
    try:
        paired = pair(placed.stack.volume, found.stack.volume)
    except GeometryError as error:
        warnings.append(f"fat fractions were withheld: {error}")
        return None
    if paired.mismatch:
        warnings.append(f"fat fractions were withheld: {paired.mismatch}")
        return None
    if paired.doubt:
        warnings.append(f"fat fractions are doubtful: {paired.doubt}")
    elif not paired.checked:
        warnings.append(_UNCHECKED)
    return found.stack.volume


def _scale_by_sum(placed: PlacedStack, fat: Volume, study: Study, warnings: list[str]) -> str:
    """What an in-phase image of the same place says against the scale of water and fat, or ""; if it agrees, earlier doubts are settled."""
    known = (Role.DIXON_WATER, Role.DIXON_FAT, Role.FAT_FRACTION)
    for one in study.series:
        found = None if one.role in known else partner(placed.grid, [one])
        if found is None or fat.array.shape != placed.grid.shape:
            continue
        ratio = scale_in_sum(*(np.asarray(volume.array, np.float32) for volume in (placed.stack.volume, fat, found.stack.volume)))
        if ratio is None:
            continue
        if not 1 / _SAME_SCALE <= ratio <= _SAME_SCALE:
            return f"water and fat add up to the in-phase image only if fat is divided by {ratio:.2f}, so one of them was rescaled"
        if _UNCHECKED in warnings:
            warnings.remove(_UNCHECKED)
        return ""
    return ""


def _fraction(placed: PlacedStack, maps: Sequence[Series], warnings: list[str]) -> Volume | None:
    found = partner(placed.grid, maps)
    if found is None:
        return None
    values = fraction_of(np.asarray(found.stack.volume.array, np.float32))
    if values is None:
        warnings.append("the values of the fat-fraction map are neither fractions nor per cent nor per mille, so it was not used")
        return None
    return Volume(values, placed.grid)


def _what_there_is(study: Study) -> str:
    """The axial series of the study and why they are unusable, or that there are none."""
    reasons = [one.reason.split("not used: ")[-1] for one in study.series if not one.usable and one.plane.value == "axial"]
    return f"the study has axial series, but none of them can be used ({'; '.join(dict.fromkeys(reasons))})" if reasons else "the study has none"
