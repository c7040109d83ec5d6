"""How many decimals a value is written with, in findings.json as in every object that is made of the findings."""

_DECIMALS = 4
_DECIMALS_OF = (("_mm2", 1), ("_mm", 2), ("_ml", 2), ("_degrees", 1), ("_percent", 1), ("_years", 2), ("_error", 2))


def decimals(name: str) -> int:
    """Decimals of a field: more than any of its digits mean, and no more than that."""
    return next((digits for ending, digits in _DECIMALS_OF if name.endswith(ending)), _DECIMALS)
