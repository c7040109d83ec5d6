"""A folder of prepared crops: one memory-mapped array per view, and an index with the source of each crop.

plan.json            studies in the order of the arrays, and options; a store can only be resumed with the same plan
canal.npy …          (studies, 5 levels, crops per level, slices, rows, columns) uint8, zeros where there is no crop
canal_mask.npy …     classes of the spine model at the same pixels, if it was run
measures.npy         (studies, 5 levels, measures) float32, NaN where not measured, if it was run
records/<study>.json written when a study is finished, so that an interrupted preparation resumes
index.csv            study, view, level, side, series, instance, transform of every crop
failures.csv         studies without crops and crops that could not be cut, with the reason
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.errors import UnreadableInput, UsageError
from lumbar.severity.studies.views import LEVELS, MEASURES, SHAPES, SLOTS, CropRecord, StudyCrops, View

_PLAN, _RECORDS, INDEX, FAILURES, _MEASURES = "plan.json", "records", "index.csv", "failures.csv", "measures.npy"


@dataclass(frozen=True)
class Store:
    """A store of `studies`, prepared in part or in full."""

    folder: Path
    studies: tuple[str, ...]  # in the order of the arrays
    options: dict[str, object]  # options of the preparation
    masks: bool  # whether there are masks and measures

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """(studies, 5 levels, 4 slots) mask of existing crops."""
        result = np.zeros((len(self.studies), len(LEVELS), len(SLOTS)), bool)
        names = [level.value for level in LEVELS]
        slots = [(view.value, side.value if side else "") for view, side in SLOTS]
        for number, study in enumerate(self.studies):
            for record in (self.record(study) or {}).get("crops", []):
                result[number, names.index(record["level"]), slots.index((record["view"], record["side"]))] = True
        return result

    def images(self, view: View) -> NDArray[np.uint8]:
        """(studies, *SHAPES[view]), mapped from disk."""
        array: NDArray[np.uint8] = np.load(self.folder / _array(view), mmap_mode="r")
        return array

    def mask_images(self, view: View) -> NDArray[np.uint8]:
        """The same shape: 0 nothing, 1 vertebra, 2 disc, 3 canal."""
        array: NDArray[np.uint8] = np.load(self.folder / _array(view, mask=True), mmap_mode="r")
        return array

    def measures(self) -> NDArray[np.float32]:
        """(studies, 5 levels, measures), NaN where not measured."""
        array: NDArray[np.float32] = np.load(self.folder / _MEASURES, mmap_mode="r")
        return array

    def record(self, study: str) -> dict[str, list[dict[str, str]]] | None:
        """Record of a finished study: its crops, and the problems of others; None if it is not finished."""
        path = self.folder / _RECORDS / f"{study}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def write(self, study: str, crops: StudyCrops, problems: Sequence[str]) -> None:
        """Write the crops of `study` to the arrays, and last the record, which marks it as finished."""
        number = self.studies.index(study)
        parts: dict[str, NDArray[Any]] = {_array(view): image for view, image in crops.images.items()}
        if self.masks and crops.masks is not None and crops.measures is not None:
            parts |= {_array(view, mask=True): mask for view, mask in crops.masks.items()} | {_MEASURES: crops.measures}
        for name, values in parts.items():
            array = np.load(self.folder / name, mmap_mode="r+")
            array[number] = values
            array.flush()
        text = json.dumps({"crops": [asdict(record) for record in crops.records], "problems": list(problems)})
        draft = self.folder / _RECORDS / f".{study}"
        draft.write_text(text, encoding="utf-8")
        draft.replace(self.folder / _RECORDS / f"{study}.json")

    def finish(self, failures: dict[str, str]) -> None:
        """Write the index and the list of failures."""
        names = [field.name for field in fields(CropRecord)]
        with (self.folder / INDEX).open("w", newline="", encoding="utf-8") as index, (self.folder / FAILURES).open("w", newline="", encoding="utf-8") as broken:
            rows, lines = csv.writer(index, lineterminator="\n"), csv.writer(broken, lineterminator="\n")
            rows.writerow(("study_id", *names))
            lines.writerow(("study_id", "reason"))
            for study in self.studies:
                done = self.record(study)
                if done is None:
                    lines.writerow((study, failures.get(study, "not prepared yet")))
                    continue
                for crop in done["crops"]:
                    rows.writerow((study, *(_cell(crop[name]) for name in names)))
                lines.writerows((study, problem) for problem in done["problems"])


def create_store(folder: Path, studies: Sequence[str], options: dict[str, object], masks: bool) -> Store:
    """An empty store in `folder`, or the existing one with the same plan.

    Raises:
        UsageError: `folder` contains other files.
    """
    plan = {"studies": list(studies), "options": options, "masks": masks}
    if (folder / _PLAN).is_file():
        if json.loads((folder / _PLAN).read_text(encoding="utf-8")) != plan:
            raise UsageError(f"{folder} contains a store of other studies or options; choose another folder, or the same ones to resume")
        return open_store(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty and contains no store; choose another folder")
    (folder / _RECORDS).mkdir(parents=True)
    for view, shape in SHAPES.items():
        for mask in (False, True)[: 2 if masks else 1]:
            np.lib.format.open_memmap(folder / _array(view, mask), "w+", np.uint8, (len(studies), *shape)).flush()
    if masks:
        values = np.lib.format.open_memmap(folder / _MEASURES, "w+", np.float32, (len(studies), len(LEVELS), len(MEASURES)))
        values[:] = np.nan
        values.flush()
    draft = folder / f".{_PLAN}"
    draft.write_text(json.dumps(plan), encoding="utf-8")
    draft.replace(folder / _PLAN)
    return open_store(folder)


def open_store(folder: Path) -> Store:
    """The store in `folder`.

    Raises:
        UnreadableInput: `folder` contains none.
    """
    try:
        plan = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
        return Store(folder, tuple(plan["studies"]), plan["options"], bool(plan["masks"]))
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableInput(f"{folder} is not a store of prepared crops ({error}); make one with lumbar prepare rsna2024") from error


def _array(view: View, mask: bool = False) -> str:
    return f"{view.value}{'_mask' if mask else ''}.npy"


def _cell(value: object) -> object:
    return " ".join(f"{number:.4f}" for number in value) if isinstance(value, list) else value
