"""Converts the request of a correction to the form that the library accepts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.reading import ReaderDiscGrade, ReaderGrade, ReaderMark, ReaderMasks, Reading
from lumbar.io.nifti import read_nifti_mask
from lumbar.pipeline import Request


def request_of(given: Mapping[str, Any], masks: Path | None) -> Request:
    """The analysis request for a correction.

    Args:
        given: the request of the job; empty for an analysis without corrections.
        masks: folder of the masks that it names.

    Raises:
        InputError: a mask cannot be read.
    """
    if not given:
        return Request()
    grades = tuple(ReaderGrade(Condition(one["condition"]), Level(one["level"]), Severity(one["severity"]), _mark(one)) for one in given.get("grades", ()))
    discs = tuple(ReaderDiscGrade(Level(one["level"]), one["pfirrmann_grade"], _mark(one)) for one in given.get("disc_grades", ()))
    files = {name: read_nifti_mask(masks / file) for name, file in given.get("masks", {}).items()} if masks else {}
    spine = files.pop("spine", None)
    outlines = ReaderMasks(spine, tuple(files.values())) if spine or files else None
    lowest = given.get("lowest_level")
    return Request(lowest_level=Level(lowest) if lowest else None, reading=Reading(outlines, grades, discs))


def _mark(one: Mapping[str, Any]) -> ReaderMark:
    return ReaderMark(one["user"], one["at"])
