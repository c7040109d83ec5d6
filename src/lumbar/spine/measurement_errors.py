"""± of each measurement of the spine: 95 % of differences between the measurement and the truth lie within it.

The 95th percentile of the absolute difference, bias included, that `recipes/spine/measurements.py` prints. It is the largest of three comparisons: masks of
networks that had not seen the people against those of readers, in 16 SPIDER patients (`--folds`) and in five (the network that the shipped one was trained
further from), and masks of the shipped network against the geometry of phantoms of all nine sites. For segmental lordosis and the wedge of bodies it is that of
readers alone: the true angles of phantoms leave out the hollow of the endplates. For foramina, the coronal curve and the dural sac (limits of agreement of
`recipes/spine/dural_sac.py`) it is that of phantoms alone. The error of a slip is that of its level: `SLIP_ERROR_MM` of `spine/morphometry.py`.
"""

from collections.abc import Sequence

from lumbar.domain.findings import LevelFinding

_FORAMEN = (("height", "mm", 2.1), ("width", "mm", 1.7), ("area", "mm2", 30.8))

ERRORS: dict[str, float] = {
    "canal_ap_mm": 2.5,
    "canal_area_mm2": 45.3,
    "bony_canal_ap_mm": 2.5,
    "dural_sac_mm2": 13.8,
    "disc_height_mm": 1.5,
    "disc_height_anterior_mm": 2.0,
    "disc_height_middle_mm": 1.6,
    "disc_height_posterior_mm": 1.7,
    "disc_height_index": 0.07,
    "disc_signal_ratio": 0.03,
    "segmental_lordosis_degrees": 6.0,
    "wedge_degrees": 5.4,
    "total_lordosis_degrees": 5.2,
    "sacral_slope_degrees": 4.5,
    "coronal_cobb_degrees": 1.2,
    **{f"foramen_{name}_{side}_{unit}": error for side in ("left", "right") for name, unit, error in _FORAMEN},
}


def errors_of(levels: Sequence[LevelFinding]) -> dict[str, float]:
    """± of all measurements; of foramina only where one was measured."""
    return {name: error for name, error in ERRORS.items() if not name.startswith("foramen") or any(getattr(level, name) is not None for level in levels)}


def within_error(canal_mm: float | None) -> bool:
    """Whether a diameter of the canal is smaller than its own error: the mask may break off in a narrow canal, and how narrow it is cannot be told."""
    return canal_mm is not None and canal_mm < ERRORS["canal_ap_mm"]
