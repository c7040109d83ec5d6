"""`lumbar inspect`: the series of a study, and the reason for each role."""

from pathlib import Path

import click

from lumbar.cli.options import json_option, weighting_option
from lumbar.cli.stdout import print_json
from lumbar.domain.study import Role, Series, Study
from lumbar.io.read import read_study
from lumbar.io.weighting_given import GivenWeighting

_COLUMNS = ("#", "plane", "weighting", "role", "slices", "stacks", "pixels", "spacing mm", "description")


@click.command()
@click.argument("input", type=click.Path(path_type=Path))
@json_option
@weighting_option
def inspect(input: Path, as_json: bool, weightings: tuple[GivenWeighting, ...]) -> None:
    """List the series found in INPUT with plane, weighting, role and the reason for it. Nothing is written.

    With --json, descriptions are left out, because they can hold names.

    INPUT is a DICOM folder (nested, with other files in it), a zip of one, a DICOM file, or NIfTI.

    \b
    Example:
        lumbar inspect my_study/
    """
    study = read_study(input, weightings=weightings)
    if as_json:
        print_json(_document(study))
    else:
        click.echo(_table(study))


def _document(study: Study) -> dict[str, object]:
    return {
        "study_uid": study.study_uid,
        "age_years": study.patient.age_years,
        "sex": study.patient.sex,
        "series": [_entry(series) for series in study.series],
        "warnings": list(study.warnings),
    }


def _entry(series: Series) -> dict[str, object]:
    grid = series.largest_stack.volume.grid
    return {
        "series_uid": series.series_uid,
        "plane": series.plane.value,
        "weighting": series.weighting.value,
        "role": series.role.value,
        "instances": series.instances,
        "stacks": [len(stack.instance_numbers) for stack in series.stacks],
        "rows": grid.rows,
        "columns": grid.columns,
        "spacing_mm": list(grid.spacing_mm),
        "reason": series.reason,
        "warnings": list(series.warnings),
    }


def _table(study: Study) -> str:
    rows = [_row(number, series) for number, series in enumerate(study.series, start=1)]
    widths = [max(len(row[column]) for row in [_COLUMNS, *rows]) for column in range(len(_COLUMNS))]
    lines = [_study_line(study), "", _padded(_COLUMNS, widths)]
    for row, series in zip(rows, study.series, strict=True):
        lines.append(_padded(row, widths))
        indent = " " * (widths[0] + 2)
        lines.append(f"{indent}why: {series.reason}")
        lines += [f"{indent}warning: {text}" for text in series.warnings]
    lines += ["", *(f"warning: {text}" for text in study.warnings)] if study.warnings else []
    return "\n".join(lines)


def _study_line(study: Study) -> str:
    usable = sum(series.role is not Role.OTHER for series in study.series)
    facts = [f"{len(study.series)} series, {usable} of use"]
    if study.patient.age_years is not None:
        facts.append(f"{study.patient.age_years:.0f} years")
    if study.patient.sex is not None:
        facts.append(study.patient.sex)
    return f"study {study.study_uid}: {', '.join(facts)}"


def _row(number: int, series: Series) -> tuple[str, ...]:
    grid = series.largest_stack.volume.grid
    spacing = " × ".join(f"{value:.2f}" if value else "–" for value in grid.spacing_mm)
    size = f"{grid.rows}×{grid.columns}"
    count, stacks = str(series.instances), str(len(series.stacks))
    return (str(number), series.plane.value, series.weighting.value, series.role.value, count, stacks, size, spacing, _printable(series.description[:40]))


def _printable(text: str) -> str:
    """Without characters that would change a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _padded(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
