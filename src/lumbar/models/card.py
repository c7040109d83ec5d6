"""The card of a model folder: purpose, training data, measured results, and hashes of its files."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from lumbar.domain.findings import ModelResult
from lumbar.errors import ModelError

CARD_FILE = "card.json"
SIGNATURE_FILE = "card.sig"  # beside the card, see trust.py
SCHEMA = 2
_UNTYPED_RESULTS = 1  # the schema in which a figure was a sentence and a value


Result = ModelResult  # one measured figure


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of the network."""

    name: str
    shape: tuple[int | str, ...]  # a word is the name of an axis of any length
    meaning: str  # meaning of axes and values, with units


@dataclass(frozen=True)
class TrainingData:
    """One data set that the weights were trained on."""

    name: str
    licence: str
    note: str = ""  # amount, subset, and how it was made


@dataclass(frozen=True)
class Card:
    """The description of a model; `files` is filled in when the folder is written."""

    name: str
    version: str
    task: str  # the task that uses it
    description: str
    intended_use: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    classes: tuple[str, ...]
    training_data: tuple[TrainingData, ...]
    results: tuple[Result, ...]
    research_only: bool = False  # the licence of some training data excludes other use
    export_difference: float | None = None  # largest |ONNX − PyTorch| over the check's outputs
    parameters: dict[str, Any] = field(default_factory=dict)  # parameters beside the network: pixel size, calibration, cut-offs
    files: dict[str, str] = field(default_factory=dict)  # name → sha256, without the card itself

    @property
    def trained_on(self) -> str:
        """The training data in one line."""
        return "; ".join(f"{data.name} ({data.licence})" for data in self.training_data) or "nothing"


def card_to_json(card: Card) -> str:
    """The text of `card.json`."""
    return json.dumps({"schema": SCHEMA, **asdict(card)}, indent=2, ensure_ascii=False) + "\n"


def read_card(folder: Path) -> Card:
    """The card of `folder`.

    Raises:
        ModelError: the card is missing, or of an unsupported version.
    """
    path = folder / CARD_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder} is not a model folder: it has no {CARD_FILE}; give the folder that holds one") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON ({error}); fetch or export the model again") from error
    if not isinstance(document, dict) or document.get("schema") not in (_UNTYPED_RESULTS, SCHEMA):
        found = document.get("schema") if isinstance(document, dict) else type(document).__name__
        raise ModelError(f"{path} has schema {found!r}, this version of lumbar reads schema {SCHEMA}; update lumbar or export the model again")
    try:
        return _card(document)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} lacks a field or has one of the wrong kind ({error}); export the model again") from error


def _card(document: dict[str, Any]) -> Card:
    known = {f.name for f in fields(Card)}
    values = {key: value for key, value in document.items() if key in known}
    for key in ("inputs", "outputs"):
        values[key] = tuple(TensorSpec(spec["name"], tuple(spec["shape"]), spec["meaning"]) for spec in document[key])
    values["classes"] = tuple(document["classes"])
    values["training_data"] = tuple(TrainingData(**data) for data in document["training_data"])
    values["results"] = tuple(_result(result) for result in document["results"])
    for name in values["files"]:
        if Path(name).name != name or name in {"", ".", "..", CARD_FILE}:
            raise ValueError(f"{name!r} is not the plain name of a model file")
    return Card(**values)


def _result(document: dict[str, Any]) -> Result:
    if "name" in document:  # a card of schema 1
        return Result("", document["name"], document["value"], document["data"])
    interval = document.get("interval")
    return Result(**{**document, "interval": tuple(interval) if interval else None})
