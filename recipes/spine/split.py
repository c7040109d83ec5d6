"""SPIDER patients that the spine model never sees in training, in none of their series; chosen before the first run, without looking at images."""

TEST_PATIENTS = frozenset({"7", "57", "107", "162", "234"})

# Kept out of the first stage as well, to watch it; they joined the second.
HELD_BACK_IN_STAGE_1 = TEST_PATIENTS | {"22", "118", "220"}
