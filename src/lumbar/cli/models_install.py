"""`lumbar models install`."""

import hashlib
import tempfile
import urllib.request
from pathlib import Path

import click

from lumbar.errors import ModelError, UnreadableInput
from lumbar.io.archive import unpacked
from lumbar.models.install import Installed, default_store, install_all

_CHUNK_BYTES = 1 << 20
_MOST_BYTES = 4 << 30


@click.command("install")
@click.argument("source")
@click.option("--to", "store", type=click.Path(path_type=Path), help="Folder of installed models  [default: ~/.lumbar/models]")
@click.option("--sha256", help="Expected hash of a downloaded zip; any other is rejected.")
@click.option("--trust", type=click.Path(path_type=Path), help="Trust list  [default: ~/.lumbar/trust.json]")
@click.option("--allow-unsigned", is_flag=True, help="Install models that are not signed by a key of the trust list.")
def install_model(source: str, store: Path | None, sha256: str | None, trust: Path | None, allow_unsigned: bool) -> None:
    """Install the model in SOURCE: a folder, a zip, or an https:// address of a zip. Versions lie side by side; the newest is used.

    \b
    lumbar models install my-model/
    lumbar models install https://example.org/muscle-axial-0.4.0.zip --sha256 9f86d0…
    """
    target = store or default_store()
    if source.startswith("https://"):
        with tempfile.TemporaryDirectory(prefix="lumbar-") as folder:
            installed = _from_zip(_download(source, Path(folder), sha256), target, trust, allow_unsigned)
    elif "://" in source:
        raise click.BadParameter(f"{source}: only https:// is fetched; download it yourself and give the file")
    elif Path(source).is_dir():
        installed = install_all(Path(source), target, trust, allow_unsigned)
    else:
        _check(Path(source), sha256)
        installed = _from_zip(Path(source), target, trust, allow_unsigned)
    for one in installed:
        by = f"trusted: {one.trusted_by}" if one.trusted_by else "UNSIGNED"
        click.echo(f"{one.card.name} {one.card.version}  {by}  {'installed in' if one.new else 'was there already:'} {one.folder}")


def _from_zip(path: Path, store: Path, trust: Path | None, allow_unsigned: bool) -> list[Installed]:
    if not path.is_file():
        raise UnreadableInput(f"{path} does not exist; give a model folder, a zip of one, or an https:// address")
    with unpacked(path) as (folder, damaged):
        if damaged:
            raise ModelError(f"{path} is a damaged zip ({damaged[0]}); download it again")
        return install_all(folder, store, trust, allow_unsigned)


def _download(url: str, folder: Path, sha256: str | None) -> Path:
    path = folder / "model.zip"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, path.open("wb") as file:  # noqa: S310  (https only, see above)
            while chunk := answer.read(_CHUNK_BYTES):
                file.write(chunk)
                if file.tell() > _MOST_BYTES:
                    raise ModelError(f"{url} is larger than {_MOST_BYTES >> 30} GiB, which no model of lumbar is; it was not installed")
    except OSError as error:
        raise ModelError(f"{url} cannot be fetched ({error}); check the address, or download it yourself and give the file") from error
    _check(path, sha256, url)
    return path


def _check(path: Path, sha256: str | None, name: str = "") -> None:
    if sha256 is None or not path.is_file():
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        raise ModelError(f"{name or path} has sha256 {found}, expected was {sha256.lower()}; it was not installed")
