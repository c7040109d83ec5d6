"""The lowest disc and body against those above: a free S1 tapers like the sacrum, and the disc below a sacralised L5 is thin and parallel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import SpineClass
from lumbar.spine.endplates import SHARES
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.midplane import Midplane
from lumbar.spine.morphometry import mask_heights
from lumbar.spine.shape import Outline, outline


@dataclass(frozen=True)
class LowestShape:
    """Shares of the median of the next two structures above, and the wedge of the lowest disc; None where there is no outline."""

    disc: float | None  # depth of the lowest disc, from front to back
    body: float | None  # depth of the body above it
    height: float | None = None  # of the lowest disc, the mean of front, middle and back
    wedge_mm: float | None = None  # by which the lowest disc is higher in front than behind


UNKNOWN_SHAPE = LowestShape(None, None)


def body_outlines(midplane: Midplane, flat: NDArray[np.uint8], discs: Sequence[Outline | None]) -> tuple[Outline | None, ...]:
    """Outlines of the bodies from head to foot, aligned with the adjacent discs; None for a body cut off by the image border.

    Args:
        midplane: of the spine.
        flat: (rows, columns) instance numbers in it.
        discs: outlines of the discs from head to foot, one fewer than bodies.
    """
    probability = midplane.probabilities[SpineClass.BODY]
    out: list[Outline | None] = []
    for i in range(len(discs) + 1):
        mask = flat == FIRST_BODY + i
        beside = [disc.across for disc in discs[max(i - 1, 0) : i + 1] if disc is not None]
        across = np.sum(beside, axis=0) / np.linalg.norm(np.sum(beside, axis=0)) if beside else None
        out.append(None if mask[0].any() or mask[-1].any() else outline(mask, probability, across))
    return tuple(out)


def lowest_shape(discs: Sequence[Outline | None], bodies: Sequence[Outline | None]) -> LowestShape:
    """The shape at the lower end, from the outlines of `body_outlines` and of the discs."""
    lowest = discs[-1] if discs else None
    heights = [mask_heights(disc) if disc else None for disc in discs]
    return LowestShape(
        disc=_share([disc.depth_mm if disc else None for disc in discs]),
        body=_share([body.depth_mm if body else None for body in bodies[:-1]]),
        height=_share([float(np.mean(three)) if three else None for three in heights]),
        wedge_mm=lowest.height_at_mm(SHARES[0]) - lowest.height_at_mm(SHARES[-1]) if lowest else None,
    )


def _share(sizes: Sequence[float | None]) -> float | None:
    """The last size as a share of the median of the two before."""
    lowest, *above = [*reversed(sizes)][:3] or [None]
    known = [size for size in above if size is not None]
    return lowest / float(np.median(known)) if lowest is not None and known else None
