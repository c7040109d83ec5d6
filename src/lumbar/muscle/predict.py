"""Muscles of a study: the right series, the right slices, masks and measurements."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding, MuscleFinding, MuscleLevel
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Study
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError, InputError, UnreadableInput
from lumbar.imaging.same_grid import on_grid
from lumbar.models.folder import Model, load_folder
from lumbar.muscle.agreement import DOUBTFUL
from lumbar.muscle.axial import to_axial
from lumbar.muscle.engine import run_model
from lumbar.muscle.labels import MASK_LABELS
from lumbar.muscle.measure import Measurement, measure, with_asymmetry
from lumbar.muscle.scene import MeasureOptions, slice_at
from lumbar.muscle.segment import Segmentation
from lumbar.muscle.sources import MuscleSource, counted_once, muscle_sources

TASK = "muscle"  # task on the model card


@dataclass(frozen=True, eq=False)
class StackMask:
    """Labels of one stack of slices, on its own grid."""

    series_uid: str
    stack: int  # index of the stack in its series
    image: Volume
    mask: Volume
    fat: Volume | None = None  # fat fraction of each muscle voxel, 0 elsewhere, on the grid of the mask
    moved_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)  # shift from the header position that aligns the stack with the other series

    @property
    def as_stored(self) -> Volume:
        """The mask at the header positions of its images."""
        x, y, z = self.moved_mm
        return self.mask.moved((-x, -y, -z)) if any(self.moved_mm) else self.mask


@dataclass(frozen=True, eq=False)
class MuscleResult:
    """Muscles of a study."""

    findings: tuple[MuscleFinding, ...]
    masks: tuple[StackMask, ...]
    warnings: tuple[str, ...]


def load(folder: Path, threads: int = 0) -> "Predictor":
    """The predictor of a model folder.

    Raises:
        ModelError: the folder is damaged or contains a model for another task.
    """
    return Predictor(load_folder(folder, threads, TASK))


class Predictor:
    """A loaded muscle model."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def predict(self, study: Study, levels: Sequence[LevelFinding], given: Sequence[Volume] = ()) -> MuscleResult:
        """Masks and measurements on the study's Dixon pair, or else its axial T2 or T1, between L1/L2 and L5/S1 where `levels` has them.

        Args:
            study: the study.
            levels: the levels of its spine.
            given: masks of a reader, which replace those of the model on the stacks whose grids they have.

        Raises:
            NoUsableSeries: the study has neither.
            InputError: a given mask fits no stack, or holds other values.
        """
        sources = muscle_sources(study)
        found: list[tuple[StackMask, Measurement]] = []
        warnings = list(sources.warnings)
        outlined = _given_masks(sources.stacks, given)
        assigned = _assigned([source.image for source in sources.stacks], levels)
        for source, measured_here, drawn in zip(sources.stacks, assigned, outlined, strict=True):
            placed = source.placed
            try:
                mask, measured = self._stack(source, levels, measured_here, drawn)
            except (GeometryError, InputError) as error:
                warnings.append(f"stack {placed.number + 1} of the axial series {placed.series.series_uid} was left out: {error}")
                continue
            warnings += measured.warnings
            if measured.findings:
                once = counted_once(measured.findings, mask, [earlier.mask.grid for earlier, _ in found])
                kept = StackMask(placed.series.series_uid, placed.number, source.image, mask, measured.fat, placed.stack.moved_mm)
                found.append((kept, replace(measured, findings=once)))
        if not found:
            return MuscleResult((), (), (*warnings, "no muscle was found on the axial series"))
        if len(found) > 1:
            warnings.append(f"volumes add up {len(found)} stacks of slices; gaps between them are not filled, and overlaps count once")
        return MuscleResult(_merged([m.findings for _, m in found]), tuple(mask for mask, _ in found), tuple(dict.fromkeys(warnings)))

    def _stack(
        self, source: MuscleSource, levels: Sequence[LevelFinding], measured_here: Sequence[LevelFinding], drawn: Volume | None
    ) -> tuple[Volume, Measurement]:
        image, fat = source.image, source.fat
        if drawn is None:
            segmentation = run_model(self.model, image, fat, lumbar_slices(to_axial(image).grid, levels))
        else:
            uids = f"stack {source.placed.number + 1} of series {source.placed.series.series_uid}"
            segmentation = Segmentation(drawn, (f"the outlines of the muscles in {uids} are those of a reader",))
        if not segmentation.mask.array.any():
            return segmentation.mask, Measurement((), ())
        if source.fraction is not None:  # a map is equivalent to a pair with a sum of 1 everywhere
            image, fat = Volume(1 - source.fraction.array, image.grid), source.fraction
        measured = measure(
            image, segmentation.mask, fat, MeasureOptions(tuple(measured_here), agreement=segmentation.agreement, one_scale=source.fraction is not None)
        )
        if source.fraction is not None:
            of_map = tuple(replace(f, fat_fraction_ratio=None, method="fat-fraction map of the scanner") for f in measured.findings)
            measured = replace(measured, findings=of_map)
        return segmentation.mask, replace(measured, warnings=tuple(dict.fromkeys((*segmentation.warnings, *measured.warnings))))


def _given_masks(stacks: Sequence[MuscleSource], given: Sequence[Volume]) -> list[Volume | None]:
    """The reader's mask of each stack, on its slices, or None.

    Raises:
        GeometryError: a mask lies on none of the stacks.
        UnreadableInput: it holds values that are no muscle.
    """
    outlined: list[Volume | None] = [None] * len(stacks)
    for mask in given:
        odd = sorted(set(np.unique(mask.array).tolist()) - {0, *MASK_LABELS})
        if odd:
            raise UnreadableInput(f"the mask of the muscles holds the value {odd[0]:g}; allowed are 0 to {max(MASK_LABELS)}")
        fits = 0
        for number, source in enumerate(stacks):
            x, y, z = source.placed.stack.moved_mm
            placed = on_grid(mask, source.image.moved((-x, -y, -z)).grid)
            if placed is not None:
                outlined[number], fits = Volume(placed.array.astype(np.uint8), source.image.grid), fits + 1
        if not fits:
            raise GeometryError("the mask of the muscles lies on the grid of none of the axial stacks; change a mask of the result itself")
    return outlined


def lumbar_slices(grid: Grid, levels: Sequence[LevelFinding]) -> NDArray[np.bool_]:
    """(slices,) mask of the slices from L1/L2 to L5/S1; open at an end whose disc is missing."""
    up = grid.normal * np.sign(grid.normal[2])
    half = max(grid.spacing_mm[0], 1.0) / 2
    wanted = np.ones(grid.shape[0], bool)
    for level in levels:
        above = (np.array(level.center_mm) - grid.origins_mm) @ up  # (slices,) height of the disc above each slice
        if level.level is Level.L1_L2:
            wanted &= above >= -half
        if level.level is Level.L5_S1:
            wanted &= above <= half
    return wanted


def _merged(stacks: Sequence[Sequence[MuscleFinding]]) -> tuple[MuscleFinding, ...]:
    """One finding per muscle and side from those of several stacks; fat fractions are weighted by volume."""
    groups: dict[tuple[object, object], list[MuscleFinding]] = {}
    for finding in (f for findings in stacks for f in findings):
        groups.setdefault((finding.muscle, finding.side), []).append(finding)
    return with_asymmetry([_together(group) for group in groups.values()])


def _together(group: Sequence[MuscleFinding]) -> MuscleFinding:
    volumes = [f.volume_ml for f in group if f.volume_ml is not None]
    weights = np.array([f.volume_ml or 0.0 for f in group]) if volumes else np.array([f.csa_max_mm2 for f in group])

    def share(name: str) -> float | None:
        values = [getattr(f, name) for f in group]
        return None if any(v is None for v in values) else float(np.average(values, weights=weights))

    expected = share("mask_expected_dice")
    return replace(
        group[0],
        volume_ml=sum(volumes) if volumes else None,
        lean_volume_ml=_all(sum, [f.lean_volume_ml for f in group if f.volume_ml is not None]),
        csa_max_mm2=max(f.csa_max_mm2 for f in group),
        csa_lean_max_mm2=_all(max, [f.csa_lean_max_mm2 for f in group]),
        fat_fraction_mean=share("fat_fraction_mean"),
        fat_fraction_ratio=share("fat_fraction_ratio"),
        fat_fraction_corrected=share("fat_fraction_corrected"),
        fat_infiltration=share("fat_infiltration"),
        mask_agreement=share("mask_agreement"),
        mask_expected_dice=expected,
        mask_doubtful=None if expected is None else expected < DOUBTFUL,
        per_level=_by_level(group),
        per_slice=tuple(sorted((s for f in group for s in f.per_slice), key=lambda s: s.z_mm)),
    )


def _all(combine: Callable[[list[float]], float], values: Sequence[float | None]) -> float | None:
    """`combine` of the values; None where one of them is unknown, or there is none."""
    known = [value for value in values if value is not None]
    return combine(known) if known and len(known) == len(values) else None


def _assigned(stacks: Sequence[Volume], levels: Sequence[LevelFinding]) -> list[list[LevelFinding]]:
    """For each stack, the levels measured on it: each level is assigned to the stack whose middle is nearest to the disc along the slice normal."""
    assigned: list[list[LevelFinding]] = [[] for _ in stacks]
    for level in levels:
        point = np.array(level.center_mm)
        off = [abs(float((point - s.grid.center_mm) @ s.grid.normal)) if slice_at(s.grid, level) is not None else np.inf for s in stacks]
        if np.isfinite(off).any():
            assigned[int(np.argmin(off))].append(level)
    return assigned


def _by_level(group: Sequence[MuscleFinding]) -> tuple[MuscleLevel, ...]:
    found = {level.level: level for finding in group for level in finding.per_level}
    return tuple(found[level] for level in Level if level in found)
