"""Stores the weights of a packed severity model as 8-bit whole numbers, and measures the loss of accuracy out of fold on axial crops.

python recipes/severity/small_weights.py store MODEL --version VERSION                   # rewrites the networks and the card of a model folder
python recipes/severity/small_weights.py compare MODEL OTHER ../shared/data/rsna2024     # two folders of axial-crop networks, crop by crop
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from lumbar.datasets.axial_crops import read_crop_table, read_image
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.metrics.classification import weighted_log_loss
from lumbar.models.card import read_card
from lumbar.models.folder import write_card
from lumbar.models.runtime import Network
from lumbar.severity.axial.data import targets
from lumbar.severity.axial.grader import raw_probabilities
from lumbar.severity.learn.axial.ensemble import FoldOptions, split
from lumbar.severity.learn.axial.out_of_fold import PARTS
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.training.eight_bit import store_eight_bit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    store = verbs.add_parser("store")
    store.add_argument("model", type=Path)
    store.add_argument("--version", required=True, help="of the rewritten model")
    compare = verbs.add_parser("compare")
    for name in ("model", "other", "data"):
        compare.add_argument(name, type=Path)
    arguments = parser.parse_args()
    if arguments.verb == "store":
        rewrite(arguments.model, arguments.version)
        return
    labels, first = held_out(arguments.model, arguments.data)
    _, second = held_out(arguments.other, arguments.data)
    for part, places in PARTS.items():
        y = np.concatenate([labels[:, place] for place in places])
        losses = [weighted_log_loss(np.concatenate([raw[:, place] for place in places])[y >= 0], y[y >= 0], np.array(GRADE_WEIGHTS)) for raw in (first, second)]
        print(f"{part:<14} uncalibrated weighted log loss {losses[0]:.4f} and {losses[1]:.4f}")
    print(f"probabilities differ by {np.abs(first - second).mean():.4f} on average, {np.abs(first - second).max():.3f} at most")


def rewrite(folder: Path, version: str) -> None:
    before = sum(path.stat().st_size for path in folder.glob("*.onnx"))
    for path in sorted(folder.glob("*.onnx")):
        store_eight_bit(path)
    write_card(folder, replace(read_card(folder), version=version))
    print(f"{folder}: {before / 1e6:.1f} MB become {sum(path.stat().st_size for path in folder.glob('*.onnx')) / 1e6:.1f} MB")


def held_out(folder: Path, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n, 5) and raw probabilities (n, 5, 3) of all crops, out of fold; one view."""
    images = data / "axial_crops"
    crops = [crop for crop in read_crop_table(data / "axial_crops.csv") if (images / crop.file).is_file()]
    labels = targets(crops, read_grades(data / "train.csv"))
    fold_of = split(crops, labels, FoldOptions())
    folds = np.array([fold_of[crop.study_id] for crop in crops])
    raw = np.zeros((len(crops), 5, 3))
    for fold in np.unique(folds).tolist():
        network, own = Network((folder / f"fold{fold}.onnx").read_bytes(), str(folder), 1), np.flatnonzero(folds == fold)
        part = [crops[row] for row in own]
        raw[own] = raw_probabilities((network,), [read_image(images / c.file) for c in part], [c.level for c in part], [c.study_id for c in part], views=1)
    return labels, raw


if __name__ == "__main__":
    main()
