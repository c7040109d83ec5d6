"""± of each measurement of the spine: 95 % of differences between the measurement and the truth lie within it.

The farther limit of agreement, bias included, of two comparisons that `recipes/spine/measurements.py` prints for the shipped network: its masks against those
of readers, in five SPIDER patients not trained on, and against the geometry of phantoms of all nine sites. For segmental lordosis and the wedge of bodies it is
the first alone: the true angles of phantoms leave out the hollow of the endplates. For foramina, the coronal curve and the dural sac
(`recipes/spine/dural_sac.py`) it is the second alone. The error of a slip is that of its level: `SLIP_ERROR_MM` of
`spine/morphometry.py`.
"""

_FORAMEN = (("height", "mm", 5.7), ("width", "mm", 3.9), ("area", "mm2", 109.3))

ERRORS: dict[str, float] = {
    "canal_ap_mm": 3.1,
    "canal_area_mm2": 39.8,
    "bony_canal_ap_mm": 2.9,
    "dural_sac_mm2": 13.8,
    "disc_height_mm": 1.6,
    "disc_height_anterior_mm": 2.1,
    "disc_height_middle_mm": 1.7,
    "disc_height_posterior_mm": 1.7,
    "disc_height_index": 0.07,
    "disc_signal_ratio": 0.04,
    "segmental_lordosis_degrees": 4.1,
    "wedge_degrees": 2.8,
    "total_lordosis_degrees": 6.4,
    "sacral_slope_degrees": 4.9,
    "coronal_cobb_degrees": 1.5,
    **{f"foramen_{name}_{side}_{unit}": error for side in ("left", "right") for name, unit, error in _FORAMEN},
}


def within_error(canal_mm: float | None) -> bool:
    """Whether a diameter of the canal is smaller than its own error: the mask may break off in a narrow canal, and how narrow it is cannot be told."""
    return canal_mm is not None and canal_mm < ERRORS["canal_ap_mm"]
