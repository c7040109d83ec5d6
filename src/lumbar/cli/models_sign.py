"""`lumbar models keygen`, `models sign` and `models trust`."""

from pathlib import Path

import click

from lumbar.models.folder import check_folder
from lumbar.models.trust import default_trust_list, fingerprint, make_key, sign, trust_key


@click.command("keygen")
@click.argument("key", type=click.Path(path_type=Path))
def keygen(key: Path) -> None:
    """Generate an Ed25519 key for signing models and write it to KEY. Keep that file secret; give the printed public key to users of your models.

    Example: lumbar models keygen our-models.pem
    """
    public = make_key(key)
    click.echo(f"{key}\npublic key: {public}\nfingerprint: {fingerprint(public)}")


@click.command("sign")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), required=True, help="Private key of `lumbar models keygen`.")
def sign_model(folder: Path, key: Path) -> None:
    """Sign the model in FOLDER: its card, which holds the hash of every file. The hashes are checked first.

    Example: lumbar models sign my-model --key our-models.pem
    """
    card = check_folder(folder)
    public = sign(folder, key)
    click.echo(f"{card.name} {card.version} signed\npublic key: {public}\nfingerprint: {fingerprint(public)}")


@click.command("trust")
@click.argument("public_key")
@click.option("--name", required=True, help="Name of the owner of the key.")
@click.option("--trust", "path", type=click.Path(path_type=Path), help="Trust list  [default: ~/.lumbar/trust.json]")
def trust_public_key(public_key: str, name: str, path: Path | None) -> None:
    """Add PUBLIC_KEY to the trust list: models signed with it may be installed and used in batches.

    Example: lumbar models trust 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= --name "Our department"
    """
    trust_key(name, public_key, path)
    click.echo(f"{path or default_trust_list()}: {name} ({fingerprint(public_key)})")
