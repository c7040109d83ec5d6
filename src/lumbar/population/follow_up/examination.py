"""One examination of a person, from its `findings.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lumbar.domain.anatomy import Level
from lumbar.domain.geometry import Points
from lumbar.domain.values import ValueRow, value_rows
from lumbar.errors import UnreadableInput

_T2 = ("sagittal_t2_stir", "sagittal_t1", "dixon_water", "axial_t2", "axial_t1", "dixon_fat")  # roles in the order in which the spine is looked for


@dataclass(frozen=True, eq=False)
class SpineSeries:
    """The series in which the spine was measured."""

    weighting: str
    plane: str
    spacing_mm: tuple[float, float, float]  # between slices, rows, columns


@dataclass(frozen=True, eq=False)
class Examination:
    """Findings of one examination."""

    name: str  # shown in messages
    document: Mapping[str, Any]  # findings.json

    @property
    def study_uid(self) -> str:
        """Identifier of the study."""
        return str(self.document["input"]["study_uid"])

    @property
    def rows(self) -> list[ValueRow]:
        """All values, one row each, and the expected Pfirrmann grade of each disc."""
        return [*value_rows(self.name, self.document), *self._expected_grades()]

    @property
    def levels(self) -> dict[Level, Points]:
        """LPS centers (3,) of the discs."""
        entries = (self.document.get("spine") or {}).get("levels") or ()
        return {Level(entry["level"]): np.array(entry["center_mm"], dtype=np.float64) for entry in entries}

    @property
    def numbering_confident(self) -> bool:
        """Whether the level names were certain."""
        return bool(((self.document.get("spine") or {}).get("numbering") or {}).get("confident"))

    @property
    def disc_heights_between(self) -> str:
        """The borders between which heights of discs were measured; empty in results of earlier versions."""
        return str((self.document.get("spine") or {}).get("disc_heights_between") or "")

    @property
    def spine_series(self) -> SpineSeries | None:
        """The series in which the spine was measured, None if unknown."""
        series = list(self.document["input"]["series"])
        measured_in = (self.document.get("spine") or {}).get("measured_in")
        own = [one for one in series if one["series_uid"] == measured_in]
        if not own:  # results of earlier versions do not name it: the role that comes first, if one series alone has it
            ranked = [[one for one in series if one["role"] == role] for role in _T2]
            own = next((group for group in ranked if group), [])
        if len(own) != 1:
            return None
        row, column, between = own[0]["spacing_mm"][1], own[0]["spacing_mm"][2], own[0]["spacing_mm"][0]
        return SpineSeries(own[0]["weighting"], own[0]["plane"], (float(between), float(row), float(column)))

    @property
    def models(self) -> dict[str, str]:
        """sha256 by name of the models that were used."""
        return {f"{use['task']} {use['name']}": str(use["sha256"]) for use in self.document.get("models") or ()}

    def _expected_grades(self) -> list[ValueRow]:
        entries = self.document.get("disc_grades") or ()
        whole = (self.document.get("quality") or {}).get("status") or ""
        return [
            ValueRow(self.name, entry["level"], "", "disc", "pfirrmann_expected", _mean_grade(entry["probabilities"]), "", None, entry.get("quality") or whole)
            for entry in entries
            if entry.get("probabilities")
        ]


def read_examination(folder: Path) -> Examination:
    """The examination in a folder of results.

    Raises:
        UnreadableInput: there is no `findings.json`, or it is not one.
    """
    path = folder / "findings.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UnreadableInput(f"{folder} holds no findings.json; give a folder that `lumbar analyze` has written, or a study") from error
    except (OSError, ValueError) as error:
        raise UnreadableInput(f"{path} cannot be read as findings ({error}); analyze the study again") from error
    if not isinstance(document, dict) or "series" not in (document.get("input") or {}) or "spine" not in document:
        raise UnreadableInput(f"{path} is not a findings.json of lumbar; analyze the study again")
    return Examination(folder.name, document)


def _mean_grade(probabilities: Mapping[str, float]) -> float:
    return sum(int(grade) * p for grade, p in probabilities.items()) / max(sum(probabilities.values()), 1e-9)
