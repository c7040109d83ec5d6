"""± of each measurement of the spine: 95 % of differences between the measurement and the truth lie within it.

The larger of the two half widths of the limits of agreement that `recipes/spine/measurements.py` prints: on phantoms of all sites against their geometry,
and on patients not trained on, from the network's masks against readers' masks.
"""

ERRORS: dict[str, float] = {}
