"""Which models a batch will use, and whether they may be trusted."""

import hashlib
from pathlib import Path

from lumbar.batch.work import JobOptions
from lumbar.errors import ModelError
from lumbar.models.card import CARD_FILE, read_card
from lumbar.models.folder import check_folder
from lumbar.models.registry import model_folders


def models_used(job: JobOptions, trust: Path | None, allow_unsigned: bool) -> dict[str, str]:
    """sha256 of the card by name of every model that the batch may use: the preferred one of each task. Every file's hash is checked.

    Raises:
        ModelError: a model is damaged, or not trusted and `allow_unsigned` is off.
    """
    from lumbar.models.trust import trust_of  # noqa: PLC0415  (cryptography is part of lumbar[cluster])

    models = Path(job.models) if job.models else None
    digests = card_digests(models)
    for folder in _preferred(models):
        card, verdict = read_card(folder), trust_of(folder, trust)
        if not verdict.trusted and not allow_unsigned:
            raise ModelError(
                f"{folder}: the model {card.name} {card.version} is not trusted ({verdict.reason}); a batch uses signed models only: "
                "have it signed (lumbar models sign), trust its key (lumbar models trust), or add --allow-unsigned"
            )
    return digests


def card_digests(models: Path | None) -> dict[str, str]:
    """sha256 of the card by name and version of the preferred model of each task, those in `models` first.

    Raises:
        ModelError: a model is damaged: every file's hash is checked.
    """
    digests = {}
    for folder in _preferred(models):
        card = check_folder(folder)
        digests[f"{card.name} {card.version}"] = hashlib.sha256((folder / CARD_FILE).read_bytes()).hexdigest()
    return digests


def _preferred(models: Path | None) -> list[Path]:
    used: dict[str, Path] = {}
    for folder in model_folders(models):
        used.setdefault(read_card(folder).task, folder)
    return list(used.values())
