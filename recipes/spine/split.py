"""SPIDER patients left out of training of the spine model, with all their series; chosen before the first run, without viewing images."""

TEST_PATIENTS = frozenset({"7", "57", "107", "162", "234"})

# Validation patients of the first stage; training patients of the second.
HELD_BACK_IN_STAGE_1 = TEST_PATIENTS | {"22", "118", "220"}
