"""Depths of the lowest disc and body, from front to back, against those above: a free S1 tapers like the sacrum, L5 does not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import SpineClass
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.midplane import Midplane
from lumbar.spine.shape import Outline, outline


@dataclass(frozen=True)
class LowestDepths:
    """Depth of the lowest disc, and of the body above it, as a share of the median of the next two above; None where there is no outline."""

    disc: float | None
    body: float | None


UNKNOWN_DEPTHS = LowestDepths(None, None)


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


def lowest_depths(discs: Sequence[Outline | None], bodies: Sequence[Outline | None]) -> LowestDepths:
    """The shares of depth, from the outlines of `body_outlines` and of the discs."""
    return LowestDepths(_share(discs), _share(bodies[:-1]))


def _share(outlines: Sequence[Outline | None]) -> float | None:
    lowest, *above = (found.depth_mm if found else None for found in [*reversed(outlines)][:3] or [None])
    known = [depth for depth in above if depth is not None]
    return lowest / float(np.median(known)) if lowest is not None and known else None
