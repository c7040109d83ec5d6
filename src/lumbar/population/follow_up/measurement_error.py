"""Measurement error of a change: the spread of differences between two examinations of one person in whom nothing had changed.

The figures are those of `measurement_error.json`, which `recipes/follow_up/measurement_error.py` writes. A change is *reliable* (Jacobson and Truax,
J Consult Clin Psychol 1991;59:12) where it exceeds the 97.5 % point of Student's t times the standard deviation of these differences; the degrees of freedom
are the people that it was measured on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any

MUSCLES = ("multifidus", "erector_spinae", "psoas", "quadratus_lumborum")  # structures that share the errors of kind "muscle"


class Setting(Enum):
    """Similarity of the protocols of two examinations."""

    SAME_PROTOCOL = "same_protocol"  # same contrast and resolution
    OTHER_PROTOCOL = "other_protocol"  # same contrast, another scanner or resolution
    OTHER_CONTRAST = "other_contrast"  # the spine was measured in another contrast


@dataclass(frozen=True)
class MeasurementError:
    """Spread of differences of one finding between two examinations of an unchanged person."""

    sd: float  # of differences, in the finding's unit, or as a share of the mean of both values
    factor: float  # that makes it the 95 % limit: 1.96 for many people, more for few
    relative: bool
    pairs: int  # values that it was measured on

    def limit(self, first: float, second: float) -> float:
        """The smallest reliable change between two values."""
        scale = (abs(first) + abs(second)) / 2 if self.relative else 1.0
        return self.factor * self.sd * scale


def error_of(structure: str, finding: str, setting: Setting) -> MeasurementError | None:
    """The error of a finding in a setting; None where it was not measured."""
    kind = "muscle" if structure in MUSCLES else structure
    entry = (_table()["errors"].get(f"{kind}.{finding}") or {}).get(setting.value)
    return MeasurementError(float(entry["sd"]), float(entry["factor"]), bool(entry["relative"]), int(entry["pairs"])) if entry else None


def source() -> str:
    """One sentence: what the errors were measured on."""
    return str(_table()["source"])


@cache
def _table() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = json.loads(resources.files("lumbar.population.follow_up").joinpath("measurement_error.json").read_text(encoding="utf-8"))
    return loaded
