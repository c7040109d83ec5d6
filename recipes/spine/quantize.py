"""Makes the shipped 8-bit spine model from the trained 32-bit one, and prints size, speed and agreement of the two.

    python recipes/spine/quantize.py ../shared/data --trained runs/people/spine-sagittal -o runs/spine8/spine-sagittal

Calibrated on 20 images of SPIDER training patients; the patients of split.py are not used. evaluate.py prints the accuracy of either with `--model`.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from split import TEST_PATIENTS

from lumbar.datasets.spider import PIXEL_MM as SPACE_PIXEL_MM
from lumbar.datasets.spider import read_midsagittal, read_space
from lumbar.domain.anatomy import SpineClass
from lumbar.imaging.intensity import standardized
from lumbar.imaging.resample import resize_image
from lumbar.metrics.segmentation import dice
from lumbar.models.card import Result
from lumbar.models.folder import check_folder, write_card
from lumbar.spine.network import INPUT
from lumbar.spine.segment import PIXEL_MM
from lumbar.training.quantize import quantize_convolutions

SIZE = (352, 256)  # rows, columns of a calibration image
FROM_SPACE, FROM_MIDSAGITTAL = 8, 12
SEED = 0
VERSION = "0.4.0"
DESCRIPTION = (
    "2-D U-Net that labels vertebral bodies, posterior elements, discs, canal and the upper strip of S1 in sagittal slices of any contrast; the rest of S1, S2 "
    f"and neural foramina were learned from phantoms alone; 8-bit convolutions, calibrated on {FROM_SPACE + FROM_MIDSAGITTAL} images of training patients."
)

# Printed by evaluate.py with `--folds`, with `--model` of the network that the shipped one was trained from, and for the shipped weights; on phantoms by
# context_table.py.
ON_FOLDS = "20 SPIDER T2 SPACE patients, each by a network that was trained without it, on two thirds of the patients and for fewer steps, real"
ON_PHANTOMS = "sagittal T1 and T2 of 9 phantoms not trained on, synthetic"
ON_START = "5 SPIDER T2 SPACE patients, by the network that this one was trained further from, which had not seen them, real"
RESULTS = (
    Result("vertebra", "dice_mean", 0.906, ON_FOLDS, (0.890, 0.920), headline=True),
    Result("vertebra", "dice_lowest_patient", 0.837, ON_FOLDS),
    Result("disc", "dice_mean", 0.854, ON_FOLDS, (0.833, 0.873), headline=True),
    Result("disc", "dice_lowest_patient", 0.752, ON_FOLDS),
    Result("canal", "dice_mean", 0.916, ON_FOLDS, (0.907, 0.923), headline=True),
    Result("canal", "dice_lowest_patient", 0.872, ON_FOLDS),
    Result("vertebra", "dice_mean", 0.919, ON_START, (0.877, 0.952)),
    Result("disc", "dice_mean", 0.858, ON_START, (0.809, 0.907)),
    Result("canal", "dice_mean", 0.922, ON_START, (0.914, 0.933)),
    Result("s1_below_strip", "dice_mean", 0.928, ON_PHANTOMS),
    Result("s2", "dice_mean", 0.946, ON_PHANTOMS),
    Result("neural_foramen", "dice_mean", 0.807, ON_PHANTOMS),
    Result("vertebra", "named_within_8_mm", 1.0, "65 vertebrae of 13 MyoSegmenTUM subjects (Dixon water), not trained on, real"),
    Result("vertebra", "matched_one_to_one", 1.0, "156 bodies of Zukić 2014 (pathological T1, T2, TIRM) and Chu 2015 (T2), not trained on, real"),
    Result("disc", "named_within_8_mm", 1.0, "15 discs of 3 subjects of Menezes-Reis 2016 (T2), not trained on, real"),
    Result("level", "labels_nearest_to_their_level", 1.0, "25 coordinates of one RSNA 2024 study, from its STIR and from its T1, not trained on, real"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--trained", type=Path, required=True, help="Folder of the 32-bit model.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    images = calibration_images(arguments.data / "spider")
    arguments.output.mkdir(parents=True)
    source, target = arguments.trained / "model.onnx", arguments.output / "model.onnx"
    quantize_convolutions(source, target, ({INPUT: image} for image in images))
    report = compare(source, target, images)
    print(json.dumps(report, indent=1))
    write_card(arguments.output, replace(check_folder(arguments.trained), version=VERSION, description=DESCRIPTION, results=RESULTS))


def calibration_images(spider: Path) -> list[NDArray[np.float32]]:
    """Images (1, 1, *SIZE) as network input: SPACE, T1 and T2."""
    rng = np.random.default_rng(SEED)
    space = [s for s in read_space(spider / "t2_space") if s.patient not in TEST_PATIENTS]
    flat = [p for p in read_midsagittal(spider / "midsagittal", spider / "overview.csv") if p.patient not in TEST_PATIENTS]
    chosen = [(space[k].image, SPACE_PIXEL_MM) for k in rng.choice(len(space), FROM_SPACE, replace=False)]
    chosen += [(flat[k].image, flat[k].pixel_mm) for k in rng.choice(len(flat), FROM_MIDSAGITTAL, replace=False)]
    return [prepared(image, pixel_mm) for image, pixel_mm in chosen]


def prepared(image: NDArray[np.float32], pixel_mm: float) -> NDArray[np.float32]:
    shape = (round(image.shape[0] * pixel_mm / PIXEL_MM), round(image.shape[1] * pixel_mm / PIXEL_MM))
    scaled = standardized(resize_image(image.astype(np.float32), shape))
    scaled = np.pad(scaled, [(0, max(0, n - m)) for n, m in zip(SIZE, shape, strict=True)], constant_values=float(scaled.min()))
    top, left = ((m - n) // 2 for n, m in zip(SIZE, scaled.shape, strict=True))
    return np.asarray(scaled[None, None, top : top + SIZE[0], left : left + SIZE[1]], dtype=np.float32)


def compare(source: Path, target: Path, images: list[NDArray[np.float32]]) -> dict[str, object]:
    """Size, processor seconds per image (fastest run, one thread), and Dice between the labels of both models."""
    labels, seconds = {}, {}
    for path in (source, target):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        found, times = [], []
        for image in images:
            start = time.process_time()
            found.append(session.run(None, {INPUT: image})[0].argmax(axis=1))
            times.append(time.process_time() - start)
        labels[path], seconds[path] = np.concatenate(found), min(times)
    agreement = {kind.name.lower(): round(dice(labels[source] == kind, labels[target] == kind) or 0.0, 4) for kind in SpineClass}
    return {
        "megabytes": [round(path.stat().st_size / 1e6, 2) for path in (source, target)],
        "seconds_an_image": [round(seconds[path], 3) for path in (source, target)],
        "dice_between_both": agreement,
    }


if __name__ == "__main__":
    main()
