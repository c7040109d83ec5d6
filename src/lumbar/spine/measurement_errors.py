"""± of each measurement of the spine: 95 % of differences between the measurement and the truth lie within it.

The farther limit of agreement, bias included, of two comparisons that `recipes/spine/measurements.py` prints for the shipped network: its masks against those
of readers, in five SPIDER patients not trained on, and against the geometry of phantoms of all nine sites. For segmental lordosis and the wedge of bodies it is
the first alone: the true angles of phantoms leave out the hollow of the endplates. The error of a slip is that of its level: `SLIP_ERROR_MM` of
`spine/morphometry.py`.
"""

ERRORS: dict[str, float] = {
    "canal_ap_mm": 4.2,
    "canal_area_mm2": 37.8,
    "disc_height_mm": 1.6,
    "disc_height_anterior_mm": 2.0,
    "disc_height_middle_mm": 1.8,
    "disc_height_posterior_mm": 1.8,
    "disc_height_index": 0.07,
    "disc_signal_ratio": 0.04,
    "segmental_lordosis_degrees": 5.0,
    "wedge_degrees": 3.5,
    "total_lordosis_degrees": 8.0,
    "sacral_slope_degrees": 6.9,
    "coronal_cobb_degrees": 3.1,
}
