"""`lumbar models verify`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from lumbar.cli.options import json_option, models_option
from lumbar.errors import LumbarError, ModelError
from lumbar.models.folder import load_folder
from lumbar.models.registry import model_folders
from lumbar.models.trust import trust_of


@click.command("verify")
@models_option
@click.option("--trust", type=click.Path(path_type=Path), help="Trust list  [default: ~/.lumbar/trust.json]")
@click.option("--require-trust", is_flag=True, help="A model that is not trusted counts as failed.")
@json_option
def verify_models(models: Path | None, trust: Path | None, require_trust: bool, as_json: bool) -> None:
    """Check the hash of every model file, load every network, and check whether it is trusted; the exit code is 3 if any fails.

    Example: lumbar models verify --models my-model --require-trust
    """
    checks = [_check(folder, trust) for folder in model_folders(models)]
    if as_json:
        click.echo(json.dumps([asdict(check) | {"folder": str(check.folder), "ok": check.problem is None} for check in checks]))
    for check in () if as_json else checks:
        vouched = f"trusted: {check.trusted_by}" if check.trusted_by else f"not trusted: {check.doubt}"
        click.echo(f"{'FAILED ' if check.problem else 'ok     '} {check.folder}  {vouched}")
    broken = [check.problem for check in checks if check.problem]
    if require_trust:
        broken += [f"{check.folder}: {check.doubt}" for check in checks if check.doubt and not check.problem]
    if broken:
        raise ModelError("; ".join(broken))


@dataclass(frozen=True)
class _Check:
    """The result of checking one folder."""

    folder: Path
    problem: str | None  # the reason why it cannot be used
    trusted_by: str
    doubt: str | None  # the reason why it is not trusted


def _check(folder: Path, trust: Path | None) -> _Check:
    try:
        load_folder(folder)
        verdict = trust_of(folder, trust)
    except LumbarError as error:
        return _Check(folder, str(error), "", "it was not checked")
    return _Check(folder, None, verdict.by, verdict.reason or None)
