"""How many decimals a value is written with, in findings.json as in every object that is made of the findings."""

_DECIMALS = 4
_DECIMALS_OF = (("_mm2", 1), ("_mm", 2), ("_ml", 2), ("_degrees", 1), ("_percent", 1), ("_years", 2), ("_error", 2),
                ("_asymmetry", 3), ("_body_ratio", 3), ("_agreement", 3), ("_dice", 3))  # fmt: skip
_DECIMALS_BY_NAME = {"x": 2, "y": 2, "z_mm": 1}  # pixels of an image, and the place of a slice
_AREA_OF_MUSCLE = "csa_"  # in mm², whose decimals are far below the error of an outline


def decimals(name: str) -> int:
    """Decimals of a field: more than any of its digits mean, and no more than that."""
    if name.startswith(_AREA_OF_MUSCLE) and name.endswith("_mm2"):
        return 0
    return _DECIMALS_BY_NAME.get(name) or next((digits for ending, digits in _DECIMALS_OF if name.endswith(ending)), _DECIMALS)


def rounded(value: float, digits: int) -> float:
    """`value` with so many decimals; a whole number without a decimal point where there are none."""
    return round(value, digits) if digits else round(value)
