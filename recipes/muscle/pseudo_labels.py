"""Plausibility of the muscle model on people without reference masks: axial strips of the middle of the back, reformatted from sagittal scans.

    python recipes/muscle/pseudo_labels.py ../shared/data/sagittal [--people VB2] [--models DIR] [--sheet IMAGE.png]

Sagittal images (about 20 slices of 4 mm) are reformatted to axial strips between the middles of L2 and L5. A strip shows the multifidus and the medial
half of the erector spinae; its coarse columns and coil bias make it harder than a whole image. Without masks, only anatomical plausibility is counted:
both multifidi 150 to 1800 mm2 large, areas within 25 %, hardly any label 40 mm in front of them.

VB2_* (T2, 12 people) were left out of all training. VB3_* (Dixon water) were used from 0.3.0 on, with pseudo-labels of an earlier network; VB3_01 is TUM01,
a training subject with masks, and is excluded.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from lumbar.domain.volume import Volume
from lumbar.imaging.orient import AXIAL_AXES, turned
from lumbar.io.nifti import read_nifti, read_nifti_mask
from lumbar.models.folder import Model
from lumbar.models.registry import find_model
from lumbar.muscle.engine import INPUT, OUTPUT
from lumbar.muscle.learn.pseudo_labels import PIXEL_MM, VIEW, FloatImage, probabilities, strips
from lumbar.muscle.predict import TASK

EVERY_MM = 12.0  # between evaluated slices
MULTIFIDUS_MM2 = (150.0, 1800.0)
ALLOWED = 0.25  # difference of left and right over their mean
STRAY_MM = 40.0  # in front of the middle of the multifidi
LEARNT = "VB3_01"  # TUM01 on sagittal slices
COLUMNS = 6  # slices of a person on the sheet

Labels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sagittal", type=Path)
    parser.add_argument("--people", default="VB2", help="prefix of the file names")
    parser.add_argument("--models", type=Path)
    parser.add_argument("--sheet", type=Path, help="image of every person's slices with outlines")
    options = parser.parse_args()
    model = find_model(TASK, options.models, 1)
    rows, good = [], []
    for name, image, mask in people(options.sagittal, options.people):
        found = [(axial, labels_of(axial, model)) for axial in strips(image, mask, lumbar_numbers(mask), EVERY_MM).images]
        sound = [plausible(labels) for _, labels in found]
        good += sound
        rows.append(np.concatenate([outlined(*one) for one in found[:: max(1, len(found) // COLUMNS)][:COLUMNS]], axis=1))
        print(f"{name}: {sum(sound)} of {len(sound)} slices plausible", flush=True)
    print(f"{model.card.name} {model.card.version}: {np.mean(good):.0%} of {len(good)} slices of {len(rows)} people are plausible")
    if options.sheet:
        width = max(row.shape[1] for row in rows)
        Image.fromarray(np.concatenate([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])).save(options.sheet)


def people(sagittal: Path, prefix: str) -> Iterator[tuple[str, Volume, Volume]]:
    """(name, image, vertebrae) of all people with file prefix `prefix`, except TUM01."""
    for path in sorted(sagittal.glob(f"{prefix}_*_image.nii.gz")):
        if not path.name.startswith(LEARNT):
            yield path.name[:6], read_nifti(path), read_nifti_mask(path.with_name(path.name.replace("image", "mask")))


def lumbar_numbers(mask: Volume) -> tuple[int, int]:
    """The labels of L2 and L5: the lowest labelled body is L5 in these sets, whatever its number."""
    array = turned(mask, AXIAL_AXES).array
    height = {int(number): float(np.flatnonzero((array == number).any(axis=(1, 2))).mean()) for number in np.unique(array) if number}
    upwards = sorted(height, key=lambda number: height[number])
    return upwards[3], upwards[0]


def labels_of(strip: FloatImage, model: Model) -> Labels:
    """The most probable labels."""
    chances = probabilities(strip, lambda image: np.asarray(model.run({INPUT: image})[OUTPUT], np.float32))
    return chances.argmax(axis=0).astype(np.uint8)


def plausible(labels: Labels) -> bool:
    """Whether both multifidi have a plausible and similar size, with few labels far in front of them."""
    areas = {label: float((labels == label).sum()) * PIXEL_MM**2 for label in (1, 2, 3, 4)}
    if not all(MULTIFIDUS_MM2[0] <= areas[label] <= MULTIFIDUS_MM2[1] for label in (2, 3)) or abs(areas[2] - areas[3]) > ALLOWED * (areas[2] + areas[3]) / 2:
        return False
    rows = np.arange(len(labels))[:, None]
    middle = float((rows * np.isin(labels, (2, 3))).sum() / np.isin(labels, (2, 3)).sum())
    stray = (labels > 0) & (rows < middle - STRAY_MM / PIXEL_MM)
    return bool(stray.sum() < 0.05 * (labels > 0).sum())


def outlined(strip: FloatImage, labels: Labels) -> NDArray[np.uint8]:
    """Grey values with the borders of erector spinae in cyan and of multifidus in red, in a tile of the view's height."""
    grey = np.clip(255 * strip / np.quantile(strip, 0.98), 0, 255).astype(np.uint8)
    tile = np.repeat(grey[:, :, None], 3, axis=2)
    for group, colour in (((1, 4), (0, 255, 255)), ((2, 3), (255, 0, 0))):
        inside = np.isin(labels, group)
        tile[inside & ~ndimage.binary_erosion(inside)] = colour
    return np.pad(tile, ((VIEW[0] - len(tile), 0), (0, 2), (0, 0)))


if __name__ == "__main__":
    main()
