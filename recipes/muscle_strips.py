"""The muscle model on other people of MyoSegmenTUM: the middle 80 mm of their backs, for which there are no reference masks.

    python recipes/muscle_strips.py ../shared/data/sagittal [--models DIR] [--sheet PICTURE.png]

The sagittal water pictures VB3_* (20 slices of 4 mm) are cut across between the middles of L2 and L5. Such a strip shows the multifidus and the inner
half of the erector spinae, and its coarse columns and its coils' bias are harder than a whole picture. Without masks only what anatomy demands can be
counted: both multifidi 150 to 1800 mm2 large, their areas within 25 %, hardly anything 40 mm in front of them. VB3_01 is TUM01, whom the shipped
model learnt from, so that person is left out.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.special import softmax

from lumbar.imaging.intensity import standardized
from lumbar.imaging.orient import AXIAL_AXES, turned
from lumbar.imaging.resample import resize_picture
from lumbar.io.nifti import read_nifti, read_nifti_mask
from lumbar.models.folder import Model
from lumbar.models.registry import find_model
from lumbar.muscle.engine import INPUT, OUTPUT
from lumbar.muscle.labels import MIRRORED
from lumbar.muscle.predict import TASK

VIEW = (128, 192)  # rows and columns that the network was trained on
PIXEL_MM = 1.25
EVERY_MM = 12  # between the slices that are looked at
BEHIND_MM = 15.0  # of skin to the edge of the view
MULTIFIDUS_MM2 = (150.0, 1800.0)
ALLOWED = 0.25  # difference of left and right over their mean
STRAY_MM = 40.0  # in front of the middle of the multifidi
LEARNT = "VB3_01"

Picture = NDArray[np.float32]
Labels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sagittal", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--sheet", type=Path, help="picture of every person's slices with outlines")
    options = parser.parse_args()
    model = find_model(TASK, options.models, 1)
    rows, good = [], []
    for path in sorted(options.sagittal.glob("VB3_*_image.nii.gz")):
        if path.name.startswith(LEARNT):
            continue
        found = [(strip, labels_of(strip, model)) for strip in strips(path)]
        sound = [plausible(labels) for _, labels in found]
        good += sound
        rows.append(np.concatenate([outlined(strip, labels) for strip, labels in found[:: max(1, len(found) // 6)][:6]], axis=1))
        print(f"{path.name[:6]}: {sum(sound)} of {len(sound)} slices plausible", flush=True)
    print(f"{model.card.name} {model.card.version}: {np.mean(good):.0%} of {len(good)} slices of {len(rows)} people are plausible")
    if options.sheet:
        Image.fromarray(np.concatenate(rows)).save(options.sheet)


def strips(path: Path) -> list[Picture]:
    """Axial strips from the middle of L2 to that of L5, rows front to back on the network's pixels, the skin near the last row."""
    image, mask = (turned(volume, AXIAL_AXES) for volume in (read_nifti(path), read_nifti_mask(path.with_name(path.name.replace("image", "mask")))))
    step, row_mm, column_mm = image.grid.spacing_mm
    ends = sorted(float(np.flatnonzero((mask.array == number).any(axis=(1, 2))).mean()) for number in (2, 5))
    found = []
    for k in np.arange(ends[0], ends[1], EVERY_MM / step).round().astype(int):
        picture = np.ascontiguousarray(image.array[k], dtype=np.float32)
        small = resize_picture(picture, (round(len(picture) * row_mm / PIXEL_MM), round(picture.shape[1] * column_mm / PIXEL_MM)))
        skin = int(np.flatnonzero(small.max(axis=1) > 0.1 * small.max())[-1])
        stop = min(len(small), skin + round(BEHIND_MM / PIXEL_MM))
        found.append(small[max(0, stop - VIEW[0]) : stop])
    return found


def labels_of(strip: Picture, model: Model) -> Labels:
    """Labels of a strip that is shown as in training: in the middle of a dark picture, and once more mirrored."""
    seen = standardized(strip)
    whole = np.full(VIEW, seen.min(), np.float32)
    rows, left = slice(VIEW[0] - len(seen), VIEW[0]), (VIEW[1] - seen.shape[1]) // 2
    columns = slice(left, left + seen.shape[1])
    whole[rows, columns] = seen
    straight, mirrored = (chances(np.ascontiguousarray(one), model) for one in (whole, whole[:, ::-1]))
    return (straight + mirrored[list(MIRRORED)][:, :, ::-1])[:, rows, columns].argmax(axis=0).astype(np.uint8)


def chances(picture: Picture, model: Model) -> Picture:
    logits = np.asarray(model.run({INPUT: picture[None, None]})[OUTPUT], np.float32)[0]
    return softmax(logits, axis=0)


def plausible(labels: Labels) -> bool:
    """Whether both multifidi have a size that people have, and much the same, each beside an erector spinae, with few labels far in front of them."""
    areas = {label: float((labels == label).sum()) * PIXEL_MM**2 for label in (1, 2, 3, 4)}
    if not all(MULTIFIDUS_MM2[0] <= areas[label] <= MULTIFIDUS_MM2[1] for label in (2, 3)) or abs(areas[2] - areas[3]) > ALLOWED * (areas[2] + areas[3]) / 2:
        return False
    rows = np.arange(len(labels))[:, None]
    middle = float((rows * np.isin(labels, (2, 3))).sum() / np.isin(labels, (2, 3)).sum())
    stray = (labels > 0) & (rows < middle - STRAY_MM / PIXEL_MM)
    return bool(stray.sum() < 0.05 * (labels > 0).sum())


def outlined(strip: Picture, labels: Labels) -> NDArray[np.uint8]:
    """Grey values with the borders of erector spinae in cyan and of multifidus in red, in a tile of the view's height."""
    grey = np.clip(255 * strip / np.quantile(strip, 0.98), 0, 255).astype(np.uint8)
    tile = np.repeat(grey[:, :, None], 3, axis=2)
    for group, colour in (((1, 4), (0, 255, 255)), ((2, 3), (255, 0, 0))):
        inside = np.isin(labels, group)
        tile[inside & ~ndimage.binary_erosion(inside)] = colour
    return np.pad(tile, ((VIEW[0] - len(tile), 0), (0, 2), (0, 0)))


if __name__ == "__main__":
    main()
