"""Folds on disk: kept, resumed and trained further, predicted out of fold, and packed."""

import json
from pathlib import Path

import numpy as np
import pytest

from lumbar.errors import ModelError, UsageError
from lumbar.training.fold_runs import EXPORT, NETWORK, FoldRuns


class Trainings:
    """Trainings that write a network of one byte, and count."""

    def __init__(self, interrupted: bool = False) -> None:
        self.folders: list[str] = []
        self.interrupted = interrupted

    def __call__(self, folder: Path) -> dict[str, object]:
        self.folders.append(folder.name)
        (folder / "last.ckpt").touch()
        if self.interrupted:
            raise KeyboardInterrupt
        number = int(folder.name[-1])
        (folder / NETWORK).write_bytes(bytes([number]))
        return {"difference": 0.01 * (number + 1)}


def test_a_finished_fold_is_kept_until_more_steps_are_wanted(tmp_path):
    runs, trainings = FoldRuns(tmp_path, "hybrid"), Trainings()
    assert runs.train(0, trainings, steps=100) == tmp_path / "hybrid_fold0"
    runs.train(0, trainings, steps=100)
    runs.train(0, trainings, steps=50)
    assert trainings.folders == ["hybrid_fold0"]
    (runs.path(0) / "held_out.npy").touch()
    runs.train(0, trainings, steps=200)
    assert trainings.folders == ["hybrid_fold0"] * 2
    assert runs.record(0) == {"steps": 200, "difference": 0.01}
    assert not (runs.path(0) / "held_out.npy").exists()  # predictions of the network that was replaced


def test_an_interrupted_fold_is_not_trained_and_resumes_in_its_folder(tmp_path):
    runs = FoldRuns(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        runs.train(1, Trainings(interrupted=True))
    assert not runs.is_trained(1)
    checkpoints = []
    runs.train(1, lambda folder: (checkpoints.append((folder / "last.ckpt").is_file()), Trainings()(folder))[1])
    assert checkpoints == [True]
    assert runs.is_trained(1)


def test_worker_processes_record_nothing(tmp_path):
    runs = FoldRuns(tmp_path)
    runs.train(0, lambda folder: None)
    assert not runs.is_trained(0)


def test_each_row_is_predicted_by_the_network_of_its_fold(tmp_path):
    runs = FoldRuns(tmp_path)
    folds = np.array([1, 0, 2, 1, -1])
    with pytest.raises(ModelError, match="train there first"):
        runs.out_of_fold(folds, lambda path, own: np.zeros((own.sum(), 2)))
    for fold in (0, 1):
        runs.train(fold, Trainings())
    calls = []

    def predict(path, own):
        calls.append(path.parent.name)
        return np.column_stack([np.full(own.sum(), path.read_bytes()[0]), np.flatnonzero(own)]).astype(float)

    expected = [[1, 0], [0, 1], [np.nan, np.nan], [1, 3], [np.nan, np.nan]]
    np.testing.assert_array_equal(runs.out_of_fold(folds, predict), expected)
    np.testing.assert_array_equal(runs.out_of_fold(folds, predict), expected)
    assert calls == ["fold0", "fold1"]
    runs.out_of_fold(folds, predict, cached=False)
    assert calls == ["fold0", "fold1"] * 2


def test_networks_are_packed_with_their_largest_difference(tmp_path):
    runs, model = FoldRuns(tmp_path / "runs"), tmp_path / "model"
    model.mkdir()
    for fold in (0, 2):
        runs.train(fold, Trainings())
    assert runs.pack([0, 2], model, lambda path: path.write_bytes(path.read_bytes() * 2)) == pytest.approx(0.03)
    assert {path.name: path.read_bytes() for path in model.iterdir()} == {"fold0.onnx": b"\0\0", "fold2.onnx": b"\2\2"}


def test_networks_of_other_splits_are_not_used_as_a_start(tmp_path):
    runs = FoldRuns(tmp_path)
    with pytest.raises(ModelError, match=r"splits\.json"):
        runs.splits()
    runs.keep_splits({"a": 0, "b": 1})
    assert runs.splits() == {"a": 0, "b": 1}
    runs.check_splits({"a": 0, "b": 1})
    with pytest.raises(UsageError, match="must be held out"):
        runs.check_splits({"a": 1, "b": 0})
    assert json.loads((tmp_path / "splits.json").read_text()) == {"a": 0, "b": 1}
    assert not list(tmp_path.glob(f"*/{EXPORT}"))


def test_folds_of_studies_follow_the_order_given(tmp_path):
    runs = FoldRuns(tmp_path)
    with pytest.raises(ModelError, match="train there first"):
        runs.folds_of(["b"])
    runs.keep_splits({"a": 2, "b": 0})
    np.testing.assert_array_equal(runs.folds_of(["b", "a", "b"]), [0, 2, 0])
