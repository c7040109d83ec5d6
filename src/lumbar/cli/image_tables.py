"""Shared parts of the commands that grade images listed in a table: their options, and the check that the images exist."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import click

from lumbar.cli.options import json_option, models_option, output_option, overwrite_option, quiet_option, threads_option
from lumbar.errors import InputError

F = TypeVar("F", bound=Callable[..., object])


class NamesImage(Protocol):
    """A row of a table that names an image file."""

    @property
    def file(self) -> str:
        """Path below the folder of images."""
        ...


Row = TypeVar("Row", bound=NamesImage)


@dataclass(frozen=True)
class SubmissionOptions:
    """Options of the commands that write a submission for RSNA 2024 from a table of images."""

    out: Path
    models: Path | None
    threads: int
    allow_missing: bool
    clinical: bool
    as_json: bool
    quiet: bool
    overwrite: bool


def image_table_options(command: F) -> F:
    """Add the arguments TABLE and IMAGES and the options that these commands share."""
    options = (
        click.argument("table", type=click.Path(path_type=Path)),
        click.argument("images", type=click.Path(path_type=Path)),
        output_option("CSV file to write."),
        models_option,
        threads_option,
        click.option("--allow-missing", is_flag=True, help="Leave out rows whose image is missing, instead of stopping."),
        json_option,
        quiet_option,
        overwrite_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


clinical_option = click.option(
    "--clinical", is_flag=True, help="Write probabilities calibrated to the prevalence of the grades, not those for the official score."
)


def with_images(rows: Sequence[Row], images: Path, table: Path, what: str, allow_missing: bool) -> list[Row]:
    """The rows of `table` whose image exists in the folder `images`; `what` names rows in messages, such as "crops".

    Raises:
        InputError: `images` is not a folder, an image is missing and `allow_missing` is off, or all are missing.
    """
    if not images.is_dir():
        raise InputError(f"{images} is not a folder; give the folder that holds the images which {table} names")
    found = {name: (images / name).is_file() for name in {row.file for row in rows}}
    missing = [row.file for row in rows if not found[row.file]]
    if missing and not allow_missing:
        raise InputError(
            f"{len(missing)} of {len(rows)} {what} of {table} have no image in {images}, the first missing one is {missing[0]}; add the images, or leave"
            f" these {what} out with --allow-missing"
        )
    if len(missing) == len(rows):
        raise InputError(f"none of the {len(rows)} {what} of {table} has an image in {images}; is it the right folder?")
    return [row for row in rows if found[row.file]]
