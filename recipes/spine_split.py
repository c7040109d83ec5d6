"""SPIDER patients that the spine model never sees in training, in none of their series; chosen before the first run, without looking at pictures."""

TEST_PATIENTS = frozenset({"7", "57", "107", "162", "234"})
