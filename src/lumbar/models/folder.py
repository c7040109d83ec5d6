"""A model is a folder: networks as ONNX, a card, and the hash of every file. Data only: nothing in it is run as Python."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from lumbar.domain.findings import ModelUse
from lumbar.errors import ModelError
from lumbar.models.card import CARD_FILE, SIGNATURE_FILE, Card, card_to_json, read_card
from lumbar.models.runtime import Arrays, Network


@dataclass(frozen=True)
class Model:
    """A checked model folder, its networks ready to run."""

    folder: Path
    card: Card
    networks: tuple[Network, ...]  # in the order of their names; none where the card's parameters are the whole model
    sha256: str  # of the card, which holds the hashes of all other files

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Outputs by name of a model with one network.

        Raises:
            ModelError: the model has no network or several, or the inputs do not fit.
        """
        if len(self.networks) != 1:
            raise ModelError(f"{self.folder} holds {len(self.networks)} networks where the task runs exactly one; it is a model of another kind")
        return self.networks[0].run(inputs)

    @property
    def use(self) -> ModelUse:
        """The entry of this model in the findings."""
        card = self.card
        structures = {result.structure for result in card.results if result.headline}
        results = tuple(result for result in card.results if result.structure in structures)
        return ModelUse(card.task, card.name, card.version, self.sha256, card.trained_on, card.research_only, results)


def check_folder(folder: Path) -> Card:
    """The card of `folder` after every file was found and its hash compared.

    Raises:
        ModelError: the card is unreadable, a file is missing, or a file has another hash than on the card.
    """
    card = read_card(folder)
    for name in card.files:
        _checked_bytes(folder, name, card)
    return card


def load_folder(folder: Path, threads: int = 0, task: str | None = None) -> Model:
    """Check and load the model in `folder`; `threads` 0 means all cores.

    Raises:
        ModelError: as `check_folder`; or the model is for another task than `task`; or a network cannot be loaded.
    """
    card = read_card(folder)
    if task is not None and card.task != task:
        raise ModelError(f"{folder} is a model for the task {card.task!r}, needed is one for {task!r}; give another folder")
    contents = {name: _checked_bytes(folder, name, card) for name in sorted(card.files)}
    networks = tuple(Network(content, f"{folder / name}", threads) for name, content in contents.items() if name.endswith(".onnx"))
    return Model(folder, card, networks, _sha256((folder / CARD_FILE).read_bytes()))


def write_card(folder: Path, card: Card) -> Card:
    """Write `card` beside the model files that already lie in `folder`, with the hash of each; returns the card as written.

    A signature of an earlier card is removed, because it is invalid for this one.
    """
    (folder / SIGNATURE_FILE).unlink(missing_ok=True)
    files = {path.name: _sha256(path.read_bytes()) for path in sorted(folder.iterdir()) if path.is_file() and path.name != CARD_FILE}
    complete = replace(card, files=files)
    (folder / CARD_FILE).write_text(card_to_json(complete), encoding="utf-8")
    return complete


def _checked_bytes(folder: Path, name: str, card: Card) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder / name} is named by the card but cannot be read ({error.strerror}); fetch or export the model again") from error
    found = _sha256(content)
    if found != card.files[name]:
        raise ModelError(
            f"{folder / name} has sha256 {found[:12]}…, but {card.files[name][:12]}… on the card: the file was changed or damaged; download it again"
        )
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
