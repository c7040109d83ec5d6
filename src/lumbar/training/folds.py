"""Splits by study, with about the same share of severe studies in each fold."""

from collections.abc import Mapping

import numpy as np


def assign_folds(severity_of: Mapping[str, float], folds: int, seed: int) -> dict[str, int]:
    """Study → fold: studies are ordered by `severity_of` (any measure; ties at random) and assigned to folds in groups of `folds`, each in random order."""
    rng = np.random.default_rng(seed)
    names = sorted(severity_of)
    order = np.lexsort((rng.random(len(names)), np.array([severity_of[name] for name in names])))
    result: dict[str, int] = {}
    for start in range(0, len(order), folds):
        hands = rng.permutation(folds)
        for place, index in enumerate(order[start : start + folds]):
            result[names[index]] = int(hands[place])
    return result
