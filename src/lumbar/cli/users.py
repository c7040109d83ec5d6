"""`lumbar users`: who may use the service."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lumbar.service.users import UserFile

_ROLES = ("reader", "reviewer", "admin")
data_option = click.option("--data", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the service's data.")


def _users(data: Path) -> "UserFile":
    from lumbar.service.folders import DataFolder  # noqa: PLC0415
    from lumbar.service.users import UserFile  # noqa: PLC0415

    os.umask(0o077)
    return UserFile(DataFolder(data).users)


@click.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice(_ROLES), required=True, help="reader: look and upload; reviewer: also correct; admin: also delete, and read the audit log."
)
@data_option
def set_user(name: str, role: str, data: Path) -> None:
    """Add a user, or change the role or password of one. The password is read from the terminal, or from standard input.

    \b
    lumbar users set anna --role reviewer --data /srv/lumbar
    """
    from lumbar.service.users import Role  # noqa: PLC0415

    _users(data).set(name, Role(role), _password())


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


@click.command()
@click.argument("name")
@data_option
def remove_user(name: str, data: Path) -> None:
    """Remove a user, whose sessions end at once."""
    _users(data).remove(name)


@click.command()
@data_option
def list_users(data: Path) -> None:
    """List users and their roles."""
    for user in _users(data):
        click.echo(f"{user.name}\t{user.role}")
