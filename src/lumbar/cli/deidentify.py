"""`lumbar deidentify`: a copy of a study without identity."""

from collections import Counter
from pathlib import Path

import click

from lumbar.cli.options import output_option, overwrite_option
from lumbar.errors import UsageError
from lumbar.exchange.deidentify.study import deidentify as run
from lumbar.exchange.deidentify.study import read_secret, write_map
from lumbar.io.staging import staged_folder


@click.command()
@click.argument("study", metavar="INPUT", type=click.Path(path_type=Path))
@output_option("Folder for the copy.")
@click.option(
    "--secret", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="File with the secret from which identifiers and date shifts are derived; created if missing. Keep it, and keep it secret.",
)  # fmt: skip
@click.option("--map", "map_file", type=click.Path(path_type=Path, dir_okay=False), help="Also write the map of original to new identifiers; keep it secret.")
@overwrite_option
def deidentify(study: Path, out: Path, secret: Path, map_file: Path | None, overwrite: bool) -> int:
    """Copy the MR images of a study without identity.

    \b
    lumbar deidentify study/ -o copy/ --secret ~/lumbar.secret

    Only attributes on an allow-list are copied; descriptions keep known words only; identifiers follow from the secret; dates move by the same number
    of days for one patient; private elements but a few numbers, times and overlays go. Images with text burnt into them, and objects other than MR
    images, are left out. Exit code 4: some files were left out.
    """
    inside = [path for path in (secret, map_file) if path is not None and path.resolve().is_relative_to(out.resolve())]
    if inside:
        raise UsageError(f"{inside[0]} lies in {out}, which is to be passed on; keep it elsewhere")
    key = read_secret(secret)
    with staged_folder(out, overwrite, study) as stage:
        outcome = run(study, stage, key)
    if map_file is not None:
        write_map(outcome, map_file)
    click.echo(f"{outcome.written} images written to {out}")
    for why, count in Counter(outcome.refused).most_common():
        click.echo(f"left out, {count} files: {why}", err=True)
    return 4 if outcome.refused else 0
