"""Options that several commands share, so that they read and behave the same everywhere."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from lumbar.domain.anatomy import Level
from lumbar.io.weighting_given import NAMES, GivenWeighting
from lumbar.io.weighting_given import parse as parse_weighting

F = TypeVar("F", bound=Callable[..., object])


C = TypeVar("C")


def output_option(help_text: str, required: bool = True) -> Callable[[F], F]:
    """`-o`, `--output`: the destination of the results (the parameter `out`)."""
    return click.option("-o", "--output", "out", required=required, type=click.Path(path_type=Path), help=help_text)


overwrite_option = click.option("--overwrite", is_flag=True, help="Replace an earlier result as a whole.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress bar and no summary.")
threads_option = click.option("--threads", type=click.IntRange(0), default=0, show_default=True, help="Processor threads of the networks; 0 means all cores.")
training_threads_option = click.option(
    "--threads", type=click.IntRange(0), default=0, show_default=True, help="Processor threads of the training; 0: as PyTorch chooses."
)
models_option = click.option(
    "--models", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR", help="A model folder, or a folder of them, used first."
)


def _weightings(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[GivenWeighting, ...]:
    return tuple(parse_weighting(value) for value in values)


weighting_option = click.option(
    "--weighting", "weightings", multiple=True, callback=_weightings, metavar="[FILE=]" + "|".join(NAMES),
    help="Weighting of a NIfTI image (FILE), or of all images of unknown weighting. Can be given several times.",
)  # fmt: skip


def _level(_: click.Context, __: click.Parameter, value: str | None) -> Level | None:
    return Level(value) if value else None


lowest_level_option = click.option(
    "--lowest-level",
    type=click.Choice([level.value for level in Level]),
    callback=_level,
    help="Name of the lowest disc in view, overriding the automatic names.",
)


def tasks_of(names: tuple[str, ...]) -> Callable[[click.Context, click.Parameter, str | None], tuple[str, ...] | None]:
    """A callback that splits `--tasks` and rejects words that are not in `names`."""

    def parse(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
        if value is None:
            return None
        tasks = tuple(word.strip() for word in value.split(",") if word.strip())
        unknown = [word for word in tasks if word not in names]
        if unknown or not tasks:
            raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} is not a task; choose from {', '.join(names)}")
        return tasks

    return parse


def grouped(parameter: str, options: type[C]) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Pass the options that are fields of the dataclass `options` to a command as one `parameter`, so that no command takes a dozen.

    It stands directly above the function; fields that no option fills keep their defaults.
    """
    names = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]

    def decorate(command: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(command)
        def call(**values: object) -> object:
            group = options(**{name: values.pop(name) for name in names if name in values})
            return command(**values, **{parameter: group})

        return call

    return decorate
