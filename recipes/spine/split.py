"""SPIDER patients left out of training of the spine models, with all their series; chosen before the first run, without viewing images."""

from collections.abc import Iterable

import numpy as np

TEST_PATIENTS = frozenset({"7", "57", "107", "162", "234"})

# Validation patients of the first stage; training patients of the second.
HELD_BACK_IN_STAGE_1 = TEST_PATIENTS | {"22", "118", "220"}

# MyoSegmenTUM subjects (files VB3_… of shared/data/sagittal) whose bodies refine.py trains on; evaluate.py names the others apart.
TRAINING_SUBJECTS = frozenset({f"VB3_{number:02d}" for number in (1, 3, 5, 7, 9, 11, 13, 15, 17, 21, 23, 51)})

FOLDS = 3  # of people.py
_FOLD_SEED = 20261201


def patients_of_fold(patients: Iterable[str], fold: int) -> frozenset[str]:
    """The patients that the network of `fold` has not seen: every third one of a random order of the patient numbers."""
    names = sorted(set(patients), key=int)
    order = np.random.default_rng(_FOLD_SEED).permutation(len(names))
    return frozenset(names[k] for k in order[fold::FOLDS])
