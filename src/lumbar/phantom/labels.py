"""Values of the ground-truth label volumes: discs 1 to 8, bodies 11 to 19, posterior elements 31 to 39, canal 50, muscles 61 to 68."""

from lumbar.phantom.anatomy import DISCS, VERTEBRAE

DISC = dict(zip(DISCS, (8, 7, 6, 1, 2, 3, 4, 5), strict=False))  # L1/L2 … L5/S1 are 1 … 5
BODY = dict(zip(VERTEBRAE, (19, 18, 17, 11, 12, 13, 14, 15, 16), strict=False))  # L1 … L5 are 11 … 15, S1 is 16
POSTERIOR = {name: number + 20 for name, number in BODY.items()}
CANAL = 50  # the dural sac with its contents
MUSCLE = {
    ("erector_spinae", "right"): 61,
    ("multifidus", "right"): 62,
    ("multifidus", "left"): 63,
    ("erector_spinae", "left"): 64,
    ("psoas", "right"): 65,
    ("psoas", "left"): 66,
    ("quadratus_lumborum", "right"): 67,
    ("quadratus_lumborum", "left"): 68,
}


def codebook() -> dict[str, str]:
    """Name of each label value."""
    names = {number: f"disc {name}" for name, number in DISC.items()}
    names |= {number: f"vertebral body {name}" for name, number in BODY.items()}
    names |= {number: f"posterior elements {name}" for name, number in POSTERIOR.items()}
    names[CANAL] = "dural sac"
    names |= {number: f"{side} {muscle.replace('_', ' ')}" for (muscle, side), number in MUSCLE.items()}
    return {str(number): names[number] for number in sorted(names)}
