"""A plausible chain of discs from candidates along the column; records every correction and doubt."""

from dataclasses import dataclass, replace

import numpy as np

from lumbar.domain.anatomy import SpineClass
from lumbar.spine.column import Column, DiscPeak, disc_peaks, sacrum_start_mm
from lumbar.spine.midplane import Midplane

_SHORTEST_MM = 17.0  # between neighbouring discs: an adult's lowest thoracic levels are about 25 mm apart, collapsed bodies less
_GAP_RATIO = 1.6  # a gap this much longer than its neighbours indicates a missed disc
_SACRUM_REACH_MM = 14.0  # largest distance between the lowest disc and the upper end of the sacrum
_FEWEST_DISCS = 4
_USUAL_GAP_MM = (20.0, 52.0)  # disc to disc: a small T12 with a thin disc, a tall L4 with a high one
_FAINT = 0.4


@dataclass(frozen=True)
class ChainDisc:
    """One disc of the chain."""

    along_mm: float
    strength: float
    inferred: bool = False  # placed by spacing, not detected


@dataclass(frozen=True)
class Chain:
    """Discs from head to foot, and reasons to doubt them."""

    discs: tuple[ChainDisc, ...]
    sacrum_mm: float | None  # upper end of the sacrum along the column
    doubts: tuple[str, ...]


def find_chain(column: Column, midplane: Midplane) -> Chain:
    """The chain of discs down to the sacrum, or to the lower end of the field of view."""
    sacrum = sacrum_start_mm(column, midplane)
    doubts: list[str] = []
    peaks = disc_peaks(column)
    if sacrum is not None:
        below = [p for p in peaks if p.along_mm > sacrum + 8.0]
        peaks = [p for p in peaks if p.along_mm <= sacrum + 8.0]
        if any(p.strength > 0.6 for p in below):
            doubts.append("a disc was detected below the lowest one: transitional anatomy is possible")
    discs = [ChainDisc(p.along_mm, p.strength) for p in _without_crowding(peaks)]
    discs, repairs = _with_missing(discs, column)
    doubts += repairs
    if sacrum is not None and discs and sacrum - discs[-1].along_mm > _SACRUM_REACH_MM:
        if sacrum - discs[-1].along_mm > 0.75 * _typical_gap(discs):
            discs.append(ChainDisc(sacrum - 3.0, 0.0, inferred=True))
            doubts.append("the disc above the sacrum was not detected and was placed at the sacrum's edge")
        else:
            doubts.append("the lowest disc and the sacrum do not meet")
    doubts += _implausible(discs)
    return Chain(tuple(discs), sacrum, tuple(doubts))


def _implausible(discs: list[ChainDisc]) -> list[str]:
    """Findings that do not occur in adult lumbar spines but often in failed segmentations."""
    gaps = np.diff([d.along_mm for d in discs])
    doubts = []
    if len(discs) < _FEWEST_DISCS:
        doubts.append(f"only {len(discs)} discs were found")
    if gaps.size and (gaps.min() < _USUAL_GAP_MM[0] or gaps.max() > _USUAL_GAP_MM[1]):
        doubts.append(
            f"neighbouring discs lie {gaps.min():.0f} to {gaps.max():.0f} mm apart, where {_USUAL_GAP_MM[0]:.0f} to {_USUAL_GAP_MM[1]:.0f} mm are usual"
        )
    if any(d.strength < _FAINT and not d.inferred for d in discs[-5:]):
        doubts.append("a lumbar disc was detected with low probability")
    return doubts


def without_inferred_bottom(chain: Chain) -> Chain:
    """The chain that ends at the last detected disc: the body below is taken for S1, not for another lumbar vertebra."""
    seen = chain.discs[:-1]
    doubt = "the lowest body looks like a lumbar one but lies below a disc as steep as L5/S1, and was taken for S1: transitional anatomy is possible"
    return replace(chain, discs=seen, sacrum_mm=seen[-1].along_mm + 3.0, doubts=(*chain.doubts, doubt))


def _without_crowding(peaks: list[DiscPeak]) -> list[DiscPeak]:
    """Peaks without the weaker of any two that are closer than the least height of a vertebra."""
    kept: list[DiscPeak] = []
    for peak in peaks:
        if kept and peak.along_mm - kept[-1].along_mm < _SHORTEST_MM:
            if peak.strength > kept[-1].strength:
                kept[-1] = peak
        else:
            kept.append(peak)
    return kept


def _typical_gap(discs: list[ChainDisc]) -> float:
    gaps = np.diff([d.along_mm for d in discs])
    return float(np.median(gaps)) if gaps.size else 36.0


def _with_missing(discs: list[ChainDisc], column: Column) -> tuple[list[ChainDisc], list[str]]:
    """The discs, with discs inserted where a gap is far longer than its neighbours (a fused or collapsed level)."""
    out: list[ChainDisc] = []
    doubts: list[str] = []
    gaps = np.diff([d.along_mm for d in discs])
    for i, disc in enumerate(discs):
        out.append(disc)
        if i == len(gaps):
            break
        others = [gaps[k] for k in (i - 2, i - 1, i + 1, i + 2) if 0 <= k < len(gaps)]
        if others and gaps[i] > _GAP_RATIO * float(np.median(others)):
            out.append(_strongest_between(disc.along_mm, discs[i + 1].along_mm, column))
            doubts.append("two neighbouring discs lie unusually far apart: a fused or collapsed level was assumed between them")
    return out, doubts


def _strongest_between(start_mm: float, end_mm: float, column: Column) -> ChainDisc:
    third = (end_mm - start_mm) / 3
    steps = np.arange(start_mm + third, end_mm - third, 0.5)
    profile = column.profiles[SpineClass.DISC][np.clip((steps / 0.5).astype(int), 0, column.profiles.shape[1] - 1)]
    best = int(np.argmax(profile))
    if profile[best] < 0.05:
        best = len(steps) // 2
    return ChainDisc(float(steps[best]), float(profile[best]), inferred=True)
