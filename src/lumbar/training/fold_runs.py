"""The folds of a cross-validation on disk: training, resuming, out-of-fold predictions, and packing into an ensemble. Needs no PyTorch itself.

RUNS/splits.json          study → the fold in which it is held out
RUNS/[KIND_]fold0/ …      checkpoints, then model.onnx, export.json (record of the training) and held_out.npy (out-of-fold predictions)
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.errors import ModelError, UsageError

Array = NDArray[np.float64]
NETWORK, SPLITS, EXPORT, PREDICTIONS = "model.onnx", "splits.json", "export.json", "held_out.npy"


@dataclass(frozen=True)
class FoldRuns:
    """The folders of one cross-validation."""

    folder: Path
    kind: str = ""  # of the networks, where folds of several kinds share the folder

    def path(self, fold: int) -> Path:
        """Folder of one fold."""
        return self.folder / (f"{self.kind}_fold{fold}" if self.kind else f"fold{fold}")

    def is_trained(self, fold: int) -> bool:
        """Whether the network of the fold was exported."""
        return (self.path(fold) / NETWORK).is_file() and (self.path(fold) / EXPORT).is_file()

    def record(self, fold: int) -> dict[str, Any]:
        """What was recorded when the fold was exported."""
        return read_record(self.path(fold))

    def splits(self) -> dict[str, int]:
        """Study → the fold in which it is held out.

        Raises:
            ModelError: there are no splits.
        """
        try:
            splits: dict[str, int] = json.loads((self.folder / SPLITS).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.folder} has no readable {SPLITS} ({error}); train there first") from error
        return splits

    def folds_of(self, studies: Iterable[str]) -> NDArray[np.int64]:
        """(n,) the fold in which each of `studies` is held out.

        Raises:
            ModelError: there are no splits.
        """
        splits = self.splits()
        return np.array([splits[study] for study in studies])

    def keep_splits(self, fold_of: Mapping[str, int]) -> None:
        """Write the splits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / SPLITS).write_text(json.dumps(fold_of, indent=1), encoding="utf-8")

    def check_splits(self, fold_of: Mapping[str, int]) -> None:
        """Check that the networks of these runs may initialise those of a cross-validation split as `fold_of`.

        Raises:
            UsageError: they were trained on studies that must be held out.
        """
        if self.splits() != fold_of:
            raise UsageError(f"{self.folder} was split into other folds than these data: its networks were trained on studies that must be held out here")

    def train(self, fold: int, training: Callable[[Path], Mapping[str, object] | None], steps: int = 0) -> Path:
        """Train one fold in its folder, which is returned; a finished fold is kept, and an interrupted one resumes from its checkpoints.

        Args:
            fold: number of the fold.
            training: trains in the given folder, exports the network to `NETWORK` there, and returns its record: `difference` (largest |ONNX − PyTorch|)
                and whatever else is worth keeping. None in the worker processes of distributed training, which export nothing.
            steps: length of the training; a fold that was trained for fewer steps is trained further.
        """
        folder = self.path(fold)
        if self.is_trained(fold) and self.record(fold).get("steps", steps) >= steps:
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PREDICTIONS).unlink(missing_ok=True)
        record = training(folder)
        if record is not None:
            write_record(folder, {**({"steps": steps} if steps else {}), **record})
        return folder

    def out_of_fold(self, folds: NDArray[np.int64], predict: Callable[[Path, NDArray[np.bool_]], Array], cached: bool = True) -> Array:
        """Predictions of each row by the network of its fold as one array (n, …); NaN where the fold is not trained.

        Args:
            folds: (n,) fold of each row; rows with a negative fold are skipped.
            predict: predictions of the network in a file for the chosen (n,) rows.
            cached: keep the predictions beside the network, and use those kept there.

        Raises:
            ModelError: no fold is trained.
        """
        result: Array | None = None
        for fold in np.unique(folds[folds >= 0]).tolist():
            if not self.is_trained(fold):
                continue
            folder, own = self.path(fold), folds == fold
            if cached and (folder / PREDICTIONS).is_file():
                known = np.load(folder / PREDICTIONS)
            else:
                known = predict(folder / NETWORK, own)
                if cached:
                    np.save(folder / PREDICTIONS, known)
            result = np.full((len(folds), *known.shape[1:]), np.nan) if result is None else result
            result[own] = known
        if result is None:
            raise ModelError(f"{self.folder} has no trained fold{f' of the kind {self.kind!r}' if self.kind else ''}; train there first")
        return result

    def pack(self, folds: Iterable[int], folder: Path, compress: Callable[[Path], object] | None = None) -> float:
        """Copy the networks of `folds` to the model folder as fold0.onnx, …; the largest difference between ONNX and PyTorch on export."""
        return copy_networks({f"fold{fold}.onnx": self.path(fold) for fold in folds}, folder, compress)


def copy_networks(sources: Mapping[str, Path], folder: Path, compress: Callable[[Path], object] | None = None) -> float:
    """Copy the networks of training folders to the model folder, by file name; the largest difference between ONNX and PyTorch on export.

    `compress` changes each copy in place, as `eight_bit.store_eight_bit` does.
    """
    for name, source in sources.items():
        copy = Path(shutil.copyfile(source / NETWORK, folder / name))
        if compress is not None:
            compress(copy)
    return max(float(read_record(source)["difference"]) for source in sources.values())


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the training whose network was exported to `folder`."""
    record: dict[str, Any] = json.loads((folder / EXPORT).read_text(encoding="utf-8"))
    return record


def write_record(folder: Path, record: Mapping[str, object]) -> None:
    """Write the record of a training beside its network."""
    (folder / EXPORT).write_text(json.dumps(record), encoding="utf-8")
