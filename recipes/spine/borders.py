"""How readers of SPIDER T2 SPACE draw the border between disc and body, and what that costs a network that draws it alike in everybody.

    python recipes/spine/borders.py ../shared/data [--model FOLDER] [--patients 7,57,107,162,234] [--masks-only]

* Resampling: Dice of the readers' masks of the test patients against themselves after the way to the network's pixels and back.
* Readers: in every patient, the distance between the masks of disc and body along the columns of the slices, and the share of columns where they touch.
* Network: the same distance in its masks, with Dice and volume ratio of the discs, and Dice of discs and bodies as one structure, in which that border
  does not count; in the slices of `--patients`, without the smoothing across slices and the clean-up of the product. The packaged network has seen the patients
  since 0.4.0: give one that has not with `--model`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from split import TEST_PATIENTS

from lumbar.datasets.spider import PIXEL_MM as SPACE_PIXEL_MM
from lumbar.datasets.spider import ignoring_unlabelled_top, read_space
from lumbar.domain.anatomy import SpineClass
from lumbar.imaging.resample import resize_image
from lumbar.metrics.segmentation import dice
from lumbar.models.registry import find_model
from lumbar.spine.network import TASK, Network, network_of
from lumbar.spine.segment import PIXEL_MM, segment_image
from lumbar.training.examples import IGNORED, LabelledSlice

WIDEST_GAP_MM = 5.0
COLUMN = (SpineClass.BODY, SpineClass.DISC)
STRUCTURES = {"vertebra": (SpineClass.BODY, SpineClass.POSTERIOR), "disc": (SpineClass.DISC,), "canal": (SpineClass.CANAL,)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--patients", default=",".join(sorted(TEST_PATIENTS, key=int)))
    parser.add_argument("--masks-only", action="store_true")
    arguments = parser.parse_args()
    slices = ignoring_unlabelled_top(read_space(arguments.data / "spider" / "t2_space"))
    print_resampling([s for s in slices if s.patient in TEST_PATIENTS])
    patients = {name: [s for s in slices if s.patient == name] for name in sorted({s.patient for s in slices}, key=int)}
    means = []
    for name, own in patients.items():
        gaps = np.concatenate([gaps_mm(s.labels) for s in own])
        means.append(gaps.mean())
        print(f"patient {name}: the reader leaves {means[-1]:.2f} mm between disc and body; they touch in {np.mean(gaps == 0):.0%} of the columns")
    print(f"30 patients: mean {np.mean(means):.2f} mm, from {np.min(means):.2f} to {np.max(means):.2f} mm")
    if not arguments.masks_only:
        network = network_of(find_model(TASK, arguments.model, threads=1))
        for name in arguments.patients.split(","):
            print_network(name, patients[name], network)


def print_resampling(slices: Sequence[LabelledSlice]) -> None:
    there = [tuple(round(n * SPACE_PIXEL_MM / PIXEL_MM) for n in s.labels.shape) for s in slices]
    shares = [
        np.stack([resize_image(resize_image((s.labels == kind).astype(np.float32), shape), s.labels.shape) for kind in SpineClass])
        for s, shape in zip(slices, there, strict=True)
    ]
    again = np.stack([share.argmax(axis=0) for share in shares])
    truth = np.stack([s.labels for s in slices])
    found = {name: dice(np.isin(truth, kinds), np.isin(again, kinds) & (truth != IGNORED)) for name, kinds in STRUCTURES.items()}
    print(f"readers' masks by way of {PIXEL_MM} mm pixels: " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()))


def gaps_mm(labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n,) distances along the columns of a slice between a disc and the next body."""
    found: list[int] = []
    for column in labels.T:
        rows = np.flatnonzero(np.isin(column, COLUMN))
        step = np.diff(rows)
        border = (np.diff(column[rows].astype(int)) != 0) & (step * SPACE_PIXEL_MM <= WIDEST_GAP_MM)
        found += (step[border] - 1).tolist()
    return np.array(found) * SPACE_PIXEL_MM


def print_network(name: str, slices: Sequence[LabelledSlice], network: Network) -> None:
    truth = np.stack([s.labels for s in slices])
    known = truth != IGNORED
    ours = np.stack([labels_of(s, network) for s in slices])
    gap = np.concatenate([gaps_mm(labels) for labels in ours]).mean()
    disc, reference = (ours == SpineClass.DISC) & known, truth == SpineClass.DISC
    column = dice(np.isin(truth, COLUMN), np.isin(ours, COLUMN) & known)
    print(f"patient {name}: the network leaves {gap:.2f} mm; discs: Dice {dice(reference, disc):.3f}, volume {disc.sum() / reference.sum():.2f}; "
          f"discs and bodies as one: Dice {column:.3f}")  # fmt: skip


def labels_of(example: LabelledSlice, network: Network) -> NDArray[np.uint8]:
    """Classes on the pixels of the slice: the probabilities are interpolated."""
    segmentation = segment_image(example.image, example.pixel_mm, network)
    shape = (example.labels.shape[0], example.labels.shape[1])
    shares = [resize_image(p.astype(np.float32), shape) for p in segmentation.probabilities[0]]
    return np.stack(shares).argmax(axis=0).astype(np.uint8)


if __name__ == "__main__":
    main()
