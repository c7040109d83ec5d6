"""Options of the commands that run the studies of a data set or the folds of a training side by side."""

from collections.abc import Callable
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


def workers_option(*names: str, what: str) -> Callable[[F], F]:
    """How many local processes run `what`; one means this process."""
    return click.option(*names, type=click.IntRange(1), default=1, show_default=True, help=f"Local processes that each run one {what} at a time.")


scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", help="A running Dask scheduler (tcp://host:8786), or its JSON file, in place of local workers."
)
