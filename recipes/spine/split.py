"""SPIDER patients left out of training of the spine model, with all their series; chosen before the first run, without viewing images."""

TEST_PATIENTS = frozenset({"7", "57", "107", "162", "234"})

# Validation patients of the first stage; training patients of the second.
HELD_BACK_IN_STAGE_1 = TEST_PATIENTS | {"22", "118", "220"}

# MyoSegmenTUM subjects (files VB3_… of shared/data/sagittal) whose bodies refine.py trains on; evaluate.py names the others apart.
TRAINING_SUBJECTS = frozenset({f"VB3_{number:02d}" for number in (1, 3, 5, 7, 9, 11, 13, 15, 17, 21, 23, 51)})
