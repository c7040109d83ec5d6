"""The masks of an analysis as they are stored: one file per stack, since grids differ."""

from dataclasses import dataclass

from lumbar.domain.volume import Volume
from lumbar.pipeline import Analysis
from lumbar.spine.spine_map import level_mask, structure_mask, tissue_mask

DERIVED = ("levels", "structures")  # masks that follow from the outlines of "spine"; readers correct those


@dataclass(frozen=True, eq=False)
class StoredMask:
    """One file of `masks/`."""

    name: str  # of the file, without its ending
    series_uid: str
    stack: int | None  # number of the stack in its series; None: stations joined into one image
    volume: Volume  # at the positions that the headers give


def stored_masks(analysis: Analysis) -> list[StoredMask]:
    """Tissues, levels and structures of the spine, then the muscles of each axial stack, largest stack first."""
    series = analysis.spine_series
    stacks = [number for number, stack in enumerate(series.stacks) if stack is analysis.spine_stack]
    number = stacks[0] if stacks and any(one.series_uid == series.series_uid and len(one.stacks) > stacks[0] for one in analysis.study.series) else None
    masks = [
        StoredMask("spine", series.series_uid, number, tissue_mask(analysis.spine)),
        StoredMask("levels", series.series_uid, number, level_mask(analysis.spine)),
        StoredMask("structures", series.series_uid, number, structure_mask(analysis.spine)),
    ]
    for order, found in enumerate(sorted(analysis.muscle_masks, key=lambda one: -one.mask.grid.shape[0]), start=1):
        masks.append(StoredMask("muscle" if order == 1 else f"muscle_{order}", found.series_uid, found.stack, found.as_stored))
    return masks
