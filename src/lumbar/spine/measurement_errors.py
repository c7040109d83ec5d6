"""± of each measurement of the spine: 95 % of differences between the measurement and the truth lie within it.

The farther of the two limits of agreement, bias included, that `recipes/spine/measurements.py --only phantoms` prints for the shipped network on phantoms of
all nine sites, against their geometry. The error of a slip is that of its level: `SLIP_ERROR_MM` of `spine/morphometry.py`. What is off by more than can be
told apart between people (segmental lordosis, wedge of a body: beyond 11 degrees) is not shown in the report.
"""

ERRORS: dict[str, float] = {
    "canal_ap_mm": 4.2,
    "disc_height_mm": 2.8,
    "total_lordosis_degrees": 2.7,
    "sacral_slope_degrees": 2.2,
    "coronal_cobb_degrees": 3.1,
}
