"""`lumbar serve`: the web page, the interface for programs, and the node beside an archive."""

import os
import re
import secrets
from pathlib import Path
from typing import Any

import click

from lumbar.cli.options import models_option
from lumbar.errors import UsageError

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.option("--config", "config_file", type=_FILE, metavar="FILE", help="TOML file of settings; command-line options take precedence.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder for all data of the service, on a local disk.")
@click.option("--host", metavar="ADDRESS", help="Address to listen on  [default: 127.0.0.1]; others need --certificate and --key.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on  [default: 8080].")
@click.option("--certificate", type=_FILE, help="PEM file of the HTTPS certificate.")
@click.option("--key", type=_FILE, help="PEM file of its key.")
@click.option("--workers", type=click.IntRange(0, 64), help="Number of worker processes  [default: 1].")
@models_option
@click.option("--orthanc", "archive_url", metavar="URL", help="Orthanc with its DICOMweb plug-in, whose studies are analyzed.")
@click.option("--orthanc-user", "archive_user", metavar="NAME", help="User of Orthanc.")
@click.option("--orthanc-password-file", "archive_password", type=_FILE, help="File with that user's password.")
@click.option("--receive", "receive_port", type=click.IntRange(1, 65535), metavar="PORT", help="Also receive studies by C-STORE on this port.")
@click.option("--send-results", metavar="TITLE@HOST:PORT", help="Send the results of studies that came by C-STORE to this DICOM node.")
@click.option("--demo", is_flag=True, help="Start with synthetic studies in a temporary folder.")
def serve(config_file: Path | None, **given: Any) -> None:
    """Run a worklist and a viewer; receive studies from browsers, Orthanc or scanners, and return the results.

    \b
    lumbar serve --demo
    lumbar users set anna --role admin --data /srv/lumbar
    lumbar serve --data /srv/lumbar --orthanc http://127.0.0.1:8042 --orthanc-user node --orthanc-password-file password
    lumbar serve --config lumbar.toml

    It listens on 127.0.0.1 by default. Needs lumbar[service]. Research use only, not a medical device.
    """
    try:
        from lumbar.service.config import config_from, read_config  # noqa: PLC0415  (optional dependencies)
        from lumbar.service.demo import demo_folder  # noqa: PLC0415
        from lumbar.service.serve import serve as run  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"the service needs {error.name}, which is not installed; run: pip install 'lumbar[service]'") from error
    os.umask(0o077)
    tables = with_options(read_config(config_file) if config_file else {}, given)
    if not tables.get("demo"):
        if "data" not in tables:
            raise UsageError("the service needs a folder for its data; give --data, or --demo for synthetic studies")
        config = config_from(tables)
        first_user(config.data)
        run(config)
        return
    with demo_folder() as folder:
        config = config_from({**tables, "data": str(folder)})
        first_user(config.data)
        run(config)


def with_options(tables: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a file, overridden by options of the command line."""
    own = {name: given[name] for name in ("data", "host", "port", "certificate", "key", "workers", "models") if given[name] is not None}
    archive = {"url": given["archive_url"], "user": given["archive_user"], "password_file": given["archive_password"]}
    archive = {name: value for name, value in archive.items() if value is not None}
    results = node_of(given["send_results"]) if given["send_results"] else {}
    receiver = {"port": given["receive_port"]} if given["receive_port"] else {}
    return {
        **tables,
        **own,
        **({"demo": True} if given["demo"] else {}),
        **({"archive": {**tables.get("archive", {}), **archive}} if archive else {}),
        **({"receiver": {**tables.get("receiver", {}), **receiver}} if receiver else {}),
        **({"results": {**tables.get("results", {}), **results}} if results else {}),
    }


def node_of(text: str) -> dict[str, Any]:
    """Title, host and port of a DICOM node.

    Raises:
        UsageError: it is written otherwise.
    """
    found = re.fullmatch(r"([^@]{1,16})@(.+):(\d{1,5})", text)
    if found is None:
        raise UsageError(f"--send-results {text} is no DICOM node; write its title, host and port as in PACS@192.0.2.7:104")
    return {"title": found[1], "host": found[2], "port": int(found[3])}


def first_user(data: Path) -> None:
    """If there are no accounts yet, create an administrator and print the password once."""
    from lumbar.service.folders import DataFolder  # noqa: PLC0415
    from lumbar.service.users import Role, UserFile  # noqa: PLC0415

    users = UserFile(DataFolder(data).users)
    if next(iter(users), None) is None:
        password = secrets.token_urlsafe(12)
        users.set("admin", Role.ADMIN, password)
        click.echo(f"user admin, password {password} (shown once; change it with `lumbar users set admin --role admin --data {data}`)", err=True)
