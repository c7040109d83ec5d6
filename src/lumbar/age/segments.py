"""Segments with an age of their own, and their disc levels."""

from lumbar.domain.anatomy import Level

WHOLE = "whole"
BASELINE = "L1-L3"

# From head to foot; each level is seen in crops that hold its disc and the halves of the vertebrae above and below it.
SEGMENT_LEVELS: dict[str, tuple[Level, ...]] = {
    BASELINE: (Level.L1_L2, Level.L2_L3),
    "L3/L4": (Level.L3_L4,),
    "L4/L5": (Level.L4_L5,),
    "L5/S1": (Level.L5_S1,),
    WHOLE: tuple(Level),
}
SEGMENTS = tuple(SEGMENT_LEVELS)
LOWER_SEGMENTS = tuple(name for name in SEGMENTS if name not in (BASELINE, WHOLE))  # those that Selta compares with the baseline
