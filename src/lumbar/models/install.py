"""Models that a user installs lie in a store, versions side by side: ~/.lumbar/models/<name>/<version>/."""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lumbar.errors import ModelError
from lumbar.models.card import CARD_FILE, SIGNATURE_FILE, Card
from lumbar.models.folder import check_folder
from lumbar.models.trust import trust_of


@dataclass(frozen=True)
class Installed:
    """One model in the store."""

    folder: Path
    card: Card
    trusted_by: str  # "" where it was let in unsigned
    new: bool  # False: the same model was there already


def default_store() -> Path:
    """The user's own models; `registry.py` prefers them to those of the package."""
    return Path.home() / ".lumbar" / "models"


def install_all(source: Path, store: Path, trust_list: Path | None = None, allow_unsigned: bool = False) -> list[Installed]:
    """Install the model in `source`, or each of those below it.

    Raises:
        ModelError: there is none; one is damaged or not trusted; or another model of the same name and version is installed.
    """
    folders = [source] if (source / CARD_FILE).is_file() else sorted(path.parent for path in source.rglob(CARD_FILE))
    if not folders:
        raise ModelError(f"no model was found: none of its folders holds a {CARD_FILE}; give the folder or zip of a model")
    return _install(folders, store, trust_list, allow_unsigned)


def _install(folders: Sequence[Path], store: Path, trust_list: Path | None, allow_unsigned: bool) -> list[Installed]:
    checked = []
    for folder in folders:  # all are checked before the first is copied
        card, verdict = check_folder(folder), trust_of(folder, trust_list)
        if not verdict.trusted and not allow_unsigned:
            raise ModelError(
                f"the model {card.name} {card.version} is not trusted: {verdict.reason}; trust its key (lumbar models trust) or add --allow-unsigned"
            )
        for word in (card.name, card.version):
            if not re.fullmatch(r"[\w.\-]+", word) or word.startswith("."):
                raise ModelError(f"{word!r} cannot be the name or version of an installed model; use letters, digits, dot, dash and underscore")
        checked.append((folder, card, verdict.by))
    installed = []
    for folder, card, by in checked:
        target, new = _copied(folder, card, store)
        installed.append(Installed(target, card, by, new))
    return installed


def _copied(folder: Path, card: Card, store: Path) -> tuple[Path, bool]:
    target = store / card.name / card.version
    if (target / CARD_FILE).is_file():
        if _digest(target) != _digest(folder):
            raise ModelError(f"{target} is another model of that name and version; remove it, or give the new one another version")
        return target, False
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=".install-", dir=store))
    try:
        for name in (*card.files, CARD_FILE, SIGNATURE_FILE):  # files that the card does not name are not copied
            if (folder / name).is_file():
                shutil.copyfile(folder / name, stage / name)
        stage.chmod(0o755)
        stage.rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return target, True


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / CARD_FILE).read_bytes()).hexdigest()
