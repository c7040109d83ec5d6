"""`lumbar serve`: the node beside an Orthanc."""

import os
import time
from pathlib import Path

import click

from lumbar.errors import UsageError

_PAUSE_SECONDS = 2.0


@click.command()
@click.option("--orthanc", "address", metavar="URL", default="http://127.0.0.1:8042", show_default=True, help="Orthanc with its DICOMweb plug-in.")
@click.option("--user", default="", help="User of Orthanc.")
@click.option("--password-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="File with the user's password.")
@click.option("--state", "state_file", required=True, type=click.Path(path_type=Path, dir_okay=False), help="SQLite file that remembers what was done.")
@click.option("--once", is_flag=True, help="Stop after one pass in which at least one study was finished.")
def serve(address: str, user: str, password_file: Path | None, state_file: Path, once: bool) -> None:
    """Follow an Orthanc: analyze every study that arrives and send SEG, SR, PDF and key images back.

    \b
    lumbar serve --orthanc http://127.0.0.1:8042 --user node --password-file password --state node.sqlite

    A study is analyzed once for a set of MR images, also after a restart. Needs lumbar[service]. Research use only, not a medical device.
    """
    try:
        from lumbar.service.ledger import Ledger  # noqa: PLC0415  (an optional dependency)
        from lumbar.service.node import Node  # noqa: PLC0415
        from lumbar.service.orthanc import Orthanc  # noqa: PLC0415
    except ImportError as error:
        raise UsageError("the node needs httpx and highdicom, which are not installed; run: pip install 'lumbar[service]'") from error
    os.umask(0o077)
    orthanc = Orthanc(address, user, password_file.read_text(encoding="utf-8").strip() if password_file else "")
    node = Node(orthanc, Ledger(state_file))
    while True:
        if orthanc.alive() and node.run_once() and once:
            return
        time.sleep(_PAUSE_SECONDS)
