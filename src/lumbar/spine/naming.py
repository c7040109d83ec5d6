"""Level names: counted upwards from the sacrum, or estimated from disc tilt where the sacrum is out of view; doubtful names are marked."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lumbar.domain.anatomy import Level, Vertebra
from lumbar.domain.findings import Numbering
from lumbar.spine.chain import Chain
from lumbar.spine.lordosis import USUAL_TILT_DEGREES, NameProbabilities, name_probabilities
from lumbar.spine.lowest_shape import UNKNOWN_SHAPE, LowestShape

# Vertebrae from foot to head that a lumbar study can show.
_UPWARDS = (Vertebra.S1, Vertebra.L5, Vertebra.L4, Vertebra.L3, Vertebra.L2, Vertebra.L1, Vertebra.T12, Vertebra.T11, Vertebra.T10, Vertebra.T9, Vertebra.T8)

_LEAST_TILT_DEGREES = 10.0  # of L5/S1
# Of 27 SPIDER patients about a third have a disc as thin at L5/S1, one of them a parallel one (recipes/spine/norms.py).
_THIN, _PARALLEL_MM = 0.66, 0.5
_LEAST_PROBABILITY = 0.955  # of the names; lower is marked as doubtful (recipes/spine/numbering.py)
_MOST_LUMBARISED = 0.015  # probability of a free S1; stricter, as its depths and tilt are assumed, not measured, and plain spines hardly ever reach it


@dataclass(frozen=True)
class Names:
    """Names of the discs of a chain and of the bodies above them, from head to foot; None beyond the named vertebrae."""

    discs: tuple[Level | None, ...]
    bodies: tuple[Vertebra | None, ...]  # one more than discs: the last is the body below the last disc
    numbering: Numbering


def name_chain(chain: Chain, tilts_degrees: Sequence[float | None], lowest_level: Level | None = None, shape: LowestShape = UNKNOWN_SHAPE) -> Names:
    """Names counted upwards from the lowest disc: L5/S1 above a sacrum, `lowest_level` if given, otherwise an estimate from disc tilt."""
    count = len(chain.discs)
    probabilities = name_probabilities(tilts_degrees, shape)
    probability: float | None = None
    if lowest_level is not None:
        lowest, note, sure = _steps_up(lowest_level), f"the lowest disc in view was named {lowest_level.value} by the user", True
    elif chain.sacrum_mm is not None:
        doubts = [*chain.doubts, *_flat_bottom(tilts_degrees), *_rudimentary(shape), *_shifted(probabilities)]
        probability = probabilities.l5_s1
        lowest, sure = 0, not doubts
        note = "; ".join(doubts) or "counted upwards from the sacrum, assuming five lumbar vertebrae"
    else:
        lowest, sure = _guess(tilts_degrees), False
        guessed = f"{_UPWARDS[lowest + 1].value}/{_UPWARDS[lowest].value}"
        note = "; ".join(
            [f"the sacrum is out of view, so the level names were estimated from the tilt of the discs (lowest disc: {guessed}); check them, "
             "and give the correct name of the lowest disc with --lowest-level", *chain.doubts]
        )  # fmt: skip
    bodies = [_vertebra(lowest + count - i) for i in range(count + 1)]
    discs = [_level(bodies[i], bodies[i + 1]) for i in range(count)]
    return Names(tuple(discs), tuple(bodies), Numbering(sure, note, probability))


def is_lowest_by_tilt(tilt_degrees: float) -> bool:
    """Whether a disc is as steep as L5/S1 rather than L4/L5."""
    return tilt_degrees > (USUAL_TILT_DEGREES[0] + USUAL_TILT_DEGREES[1]) / 2


def _flat_bottom(tilts: Sequence[float | None]) -> list[str]:
    """Doubt where the lowest disc is flatter than L5/S1: the image may be cropped or upside down, or show transitional anatomy."""
    if not tilts or tilts[-1] is None or tilts[-1] >= _LEAST_TILT_DEGREES:
        return []
    return [f"the lowest disc is tilted by {tilts[-1]:.0f}°, where L5/S1 usually has {USUAL_TILT_DEGREES[0]:.0f}°"]


def _rudimentary(shape: LowestShape) -> list[str]:
    """Doubt where the lowest disc is a rest, as below a sacralised L5: thin like a worn one, but parallel, while a worn L5/S1 keeps its wedge."""
    if shape.height is None or shape.wedge_mm is None or shape.height > _THIN or shape.wedge_mm > _PARALLEL_MM:
        return []
    return [
        f"the lowest disc has {100 * shape.height:.0f} % of the height of those above and is not higher in front, as below a sacralised L5: "
        "transitional anatomy is possible; count from C2 or from the lowest rib"
    ]


def _shifted(probabilities: NameProbabilities) -> list[str]:
    """Doubt where lordosis and depths fit names shifted by one level."""
    if probabilities.l5_s1 >= _LEAST_PROBABILITY and probabilities.s1_s2 <= _MOST_LUMBARISED:
        return []
    if probabilities.l5_s1 >= _LEAST_PROBABILITY:
        return [
            f"a lumbarised S1 has a probability of {100 * probabilities.s1_s2:.0f} %, given the tilts of the discs and the depth of the lowest ones, more than "
            "plain spines show; each disc would have the name of the next lower one: transitional anatomy is possible; count from C2 or from the lowest rib"
        ]
    if probabilities.s1_s2 >= probabilities.l4_l5:
        other = "a lumbarised S1, in which case each disc has the name of the next lower one"
    else:
        other = "a sacralised L5, in which case each disc has the name of the next higher one"
    return [
        f"given the tilts of the discs and the depth of the lowest ones, these names have a probability of {100 * probabilities.l5_s1:.0f} %; "
        f"the alternative is {other}: transitional anatomy is possible; count from C2 or from the lowest rib"
    ]


def _steps_up(level: Level) -> int:
    return _UPWARDS.index(level.lower)


def _vertebra(steps: int) -> Vertebra | None:
    return _UPWARDS[steps] if steps < len(_UPWARDS) else None


def _level(upper: Vertebra | None, lower: Vertebra | None) -> Level | None:
    if upper is None or lower is None:
        return None
    return next((level for level in Level if level.upper is upper and level.lower is lower), None)


def _guess(tilts: Sequence[float | None]) -> int:
    """Most likely number of levels between L5/S1 and the lowest disc, from the tilts of the lowest four discs."""
    lowest_first = list(reversed(tilts))[:4]
    best, least = 0, np.inf
    for offset in range(3):
        pairs = [(t, USUAL_TILT_DEGREES[min(k + offset, 4)]) for k, t in enumerate(lowest_first) if t is not None]
        cost = float(np.mean([(t - usual) ** 2 for t, usual in pairs])) if pairs else np.inf
        if cost < least:
            best, least = offset, cost
    return best
