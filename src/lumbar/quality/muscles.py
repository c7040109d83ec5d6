"""Checks of muscles: as large as muscles are, alike on both sides, counted once and along all levels."""

from collections.abc import Iterator, Sequence

from lumbar.domain.anatomy import Muscle, Side
from lumbar.domain.findings import MuscleFinding, SpineFinding
from lumbar.domain.quality import Check, Status

# Largest cross-section in mm²: beyond these a label has more likely failed than met a person (adults: 500–3000, 150–1300, 300–2500, 150–1000).
_AREA_MM2 = {
    Muscle.ERECTOR_SPINAE: (250.0, 5500.0), Muscle.MULTIFIDUS: (80.0, 2500.0), Muscle.PSOAS: (80.0, 4500.0), Muscle.QUADRATUS_LUMBORUM: (30.0, 2500.0),
}  # fmt: skip
_ASYMMETRY = 0.7  # (left − right) / mean of the volumes
# `mask_doubtful` marks masks to look at, from an expected Dice of 0.86 down; plain phantoms have 0.84 at least. Only poor masks make an analysis doubtful.
_LEAST_DICE = 0.80
_COUNTED_TWICE = 1.25  # volume relative to the largest cross-section times the length of the levels
_FAT = (0.0, 0.95)


def check_muscles(muscles: Sequence[MuscleFinding], spine: SpineFinding | None) -> Iterator[Check]:
    """Entries of `volumes_plausible` and `left_right_consistent`, where muscles were measured."""
    if not muscles:
        return
    volumes = [Check("volumes_plausible", status, note) for muscle in muscles for status, note in _volume(muscle)]
    if (part := _coverage(muscles, spine)) is not None:
        volumes.append(part)
    yield from volumes or [Check("volumes_plausible", "passed", "every muscle is as large as muscles are and was counted once")]
    uneven = [m for m in muscles if m.side is Side.LEFT and m.volume_asymmetry is not None and abs(m.volume_asymmetry) > _ASYMMETRY]
    for muscle in uneven:
        name = muscle.muscle.value.replace("_", " ")
        yield Check(
            "left_right_consistent", "doubtful", f"the volumes of the left and right {name} differ by {abs(muscle.volume_asymmetry or 0):.0%} of their mean"
        )
    if not uneven:
        yield Check("left_right_consistent", "passed", "the muscles of both sides are of like size")


def _volume(muscle: MuscleFinding) -> Iterator[tuple[Status, str]]:
    name = f"{muscle.side.value} {muscle.muscle.value.replace('_', ' ')}"
    low, high = _AREA_MM2[muscle.muscle]
    if not low <= muscle.csa_max_mm2 <= high:
        yield "doubtful", f"the largest section of the {name} is {muscle.csa_max_mm2:.0f} mm², which no muscle of that name has"
    heights = [one.z_mm for one in muscle.per_slice]
    if len(heights) > 2:
        gap = (max(heights) - min(heights)) / (len(heights) - 1)
        most = muscle.csa_max_mm2 * (max(heights) - min(heights) + 2 * max(gap, 5.0)) / 1000
        if muscle.volume_ml is not None and muscle.volume_ml > _COUNTED_TWICE * most:
            yield "failed", f"the {name} has {muscle.volume_ml:.0f} ml, more than its largest section would fill ({most:.0f} ml): slices were counted twice"
    if muscle.mask_expected_dice is not None and muscle.mask_expected_dice < _LEAST_DICE:
        yield "doubtful", f"the model is unsure of the {name} (it expects a Dice of {muscle.mask_expected_dice:.2f} against a reader): look at its mask"
    for fraction in (muscle.fat_fraction_mean, muscle.fat_infiltration):
        if fraction is not None and not _FAT[0] <= fraction <= _FAT[1]:
            yield "doubtful", f"a fat share of {fraction:.0%} in the {name} is hardly possible"


def _coverage(muscles: Sequence[MuscleFinding], spine: SpineFinding | None) -> Check | None:
    """Checks of incomplete volumes: axial slices often start below L1/L2 or end above L5/S1, which does not give the volume of the muscles."""
    levels = [level.level for level in spine.levels] if spine else []
    seen = {one.level for one in max(muscles, key=lambda m: len(m.per_level)).per_level}
    left_out = [level.value for level in levels if level not in seen]
    inner = any(level not in seen for level in levels[1:-1])
    if not left_out or not inner:
        return None
    return Check("volumes_plausible", "doubtful", f"the axial slices do not show {', '.join(left_out)}: volumes are those of a part of the muscles")
