"""Refines the spine network of train.py on data that it leaves out, and exports its folder; quantize.py makes the shipped 0.3.0 from it.

    python recipes/spine/refine.py ../shared/data --start runs/spine/spine-sagittal -o runs/refined [--threads 1]

Starts from the weights of the 32-bit model in `--start`, four views a step: 600 steps of a schedule of 2,600, a schedule of 300, and one of 1,600 with milder
augmentation; about 50 minutes on one core. Four sources, drawn 3 : 2 : 1 : 2, in the last schedule 5 : 2 : 1 : 2:

1. SPIDER T2 SPACE, labelled by readers. What lies above the uppermost vertebra that a reader labelled is ignored: in 6 of 30 patients vertebrae in view
   are left blank there, so that train.py treats them as background.
2. The near-mid-sagittal T1 and T2 images of SPIDER, pseudo-labelled by the network that is refined.
3. Every slice of half of the MyoSegmenTUM subjects (Dixon water; split.py): bodies L1 to L5 as readers labelled them, the rest pseudo-labelled.
4. Phantoms of all nine sites with their ground truth, every slice, T1 and T2: the only source of pedicles and facets beside the canal.

The patients of split.py are left out, in the last schedule those of validation too. An interrupted run resumes.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from scipy import ndimage
from split import HELD_BACK_IN_STAGE_1, TEST_PATIENTS, TRAINING_SUBJECTS
from train import pseudo_labelled

from lumbar.datasets.spider import ignoring_unlabelled_top, read_space
from lumbar.domain.anatomy import SpineClass
from lumbar.domain.study import Plane
from lumbar.imaging.orient import to_sagittal
from lumbar.imaging.resample import resize_image
from lumbar.io.nifti import read_nifti
from lumbar.models.card import TrainingData
from lumbar.models.folder import check_folder
from lumbar.models.registry import find_model
from lumbar.phantom.acquire import grid_of, label_images
from lumbar.phantom.labels import BODY, CANAL, DISC, POSTERIOR
from lumbar.phantom.study import StudyOptions, make_study
from lumbar.spine.learn.train import SpineTraining, export, train
from lumbar.spine.network import TASK, Network, network_of
from lumbar.spine.segment import PIXEL_MM, segment
from lumbar.training.augment import AugmentOptions
from lumbar.training.examples import IGNORED, LabelledSlice
from lumbar.training.fit import FitOptions

SITES = "ABCDEFGHI"
FIRST_SEED, PHANTOMS = 70_000, 18  # seeds that no other recipe uses
S1_STRIP_MM = 16.0  # under the lowest disc, as in the labels of SPIDER
SURE = 0.75  # least probability of a pseudo-label
SUBJECTS = TrainingData("MyoSegmenTUM spine, sagittal water", "freely accessible (Burian 2019; its own licence was not found); redistributed in "
                        "LPM_Segmentator (Apache-2.0)", "12 subjects: bodies L1 to L5 by readers, all else pseudo-labelled")  # fmt: skip
ADDED = (
    SUBJECTS,
    TrainingData("lumbar phantoms", "Apache-2.0", f"synthetic: sagittal T1 and T2 of {PHANTOMS} phantoms, seeds from {FIRST_SEED} on"),
)  # fmt: skip
MILDEST = AugmentOptions(rotation_degrees=12, scale=(0.85, 1.18), shear=0.07, remap_probability=0.2, tissue_probability=0.12, field_probability=0.3,
                         degrade_probability=0.25, noise_probability=0.4, void_probability=0.05)  # fmt: skip
MILD = AugmentOptions(rotation_degrees=20, scale=(0.8, 1.25), shear=0.1, remap_probability=0.3, tissue_probability=0.2, field_probability=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--start", type=Path, required=True, help="Folder of the 32-bit model.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    space, others = sources(arguments.data, arguments.start, arguments.output / "examples")
    drawn = [space] * 3 + [others[0]] * 2 + [others[1]] + [others[2]] * 2
    fit = FitOptions(steps=600, threads=arguments.threads, seed=20240604, checkpoint_every=100)
    first = SpineTraining(batch=4, learning_rate=6e-4, schedule_steps=2600, augment=MILD, fit=fit)
    module = train(drawn, arguments.output / "run", first, weights(arguments.start / "model.onnx"))
    second = replace(first, learning_rate=5e-4, schedule_steps=300, fit=replace(fit, steps=300, seed=20240605))
    module = train(drawn, arguments.output / "run2", second, module.state_dict())
    seen = [s for s in space if s.patient not in HELD_BACK_IN_STAGE_1], [s for s in others[0] if s.patient not in HELD_BACK_IN_STAGE_1]
    third = replace(first, learning_rate=8e-4, schedule_steps=1600, augment=MILDEST)
    third = replace(third, fit=FitOptions(steps=1600, threads=arguments.threads, seed=20261130, checkpoint_every=50, average_decay=0.995))
    module = train([seen[0]] * 5 + [seen[1]] * 2 + [others[1]] + [others[2]] * 2, arguments.output / "run3", third, module.state_dict())
    card = check_folder(arguments.start)
    card = replace(card, version="0.3.0", training_data=(*card.training_data, *ADDED), results=())  # evaluate.py prints the results of the new weights
    print(export(module, arguments.output / "spine-sagittal", card))


def weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights of an exported network, by the names that the module has for them."""
    return {f"network.{w.name}": torch.from_numpy(numpy_helper.to_array(w).copy()) for w in onnx.load(str(path)).graph.initializer}


def sources(data: Path, start: Path, cache: Path) -> tuple[list[LabelledSlice], list[list[LabelledSlice]]]:
    """SPIDER T2 SPACE, and the three sources that take time to make, which are kept in `cache`."""
    network = network_of(find_model(TASK, start))
    space = [s for s in ignoring_unlabelled_top(read_space(data / "spider" / "t2_space")) if s.patient not in TEST_PATIENTS]
    makers = {
        "midsagittal": lambda: pseudo_labelled(data / "spider", network),
        "subjects": lambda: list(subjects(data / "sagittal", network)),
        "phantoms": lambda: list(phantoms()),
    }
    found = []
    for name, make in makers.items():
        path = cache / f"{name}.npz"
        if not path.exists():
            save(path, make())
        found.append(load(path))
        print(f"{name}: {len(found[-1])} images of {len({s.patient for s in found[-1]})} people", flush=True)
    return space, found


def subjects(folder: Path, network: Network) -> Iterator[LabelledSlice]:
    """Slices of MyoSegmenTUM subjects: a reader's bodies over pseudo-labels."""
    for name in sorted(TRAINING_SUBJECTS):
        segmentation = segment(read_nifti(folder / f"{name}_image.nii.gz"), network, Plane.SAGITTAL)
        bodies = to_sagittal(read_nifti(folder / f"{name}_mask.nii.gz")).array > 0
        for k, image in enumerate(segmentation.image.array):
            labels = np.where(segmentation.probabilities[k].max(axis=0) >= SURE, segmentation.labels[k], IGNORED).astype(np.uint8)
            body = resize_image(bodies[k].astype(np.float32), (image.shape[0], image.shape[1])) > 0.5
            rows = np.flatnonzero(bodies.any(axis=(0, 2)))
            scale = image.shape[0] / bodies.shape[1]
            inside = (np.arange(image.shape[0]) >= rows[0] * scale) & (np.arange(image.shape[0]) <= rows[-1] * scale)
            labels[(labels == SpineClass.BODY) & ~body & inside[:, None]] = IGNORED
            labels[body] = SpineClass.BODY
            yield LabelledSlice(name, np.asarray(image, dtype=np.float32), labels, PIXEL_MM)


def phantoms() -> Iterator[LabelledSlice]:
    """Every sagittal slice within 34 mm of the spine of phantoms of all sites."""
    for number in range(PHANTOMS):
        study = make_study(StudyOptions(FIRST_SEED + number, site=SITES[number % len(SITES)], roles=("sagittal_t1", "sagittal_t2")))
        for series in study.series.values():
            labels = label_images(study.anatomy, series)
            pixel_mm = grid_of(list(series.planes)).spacing_mm[1]
            for image, own in zip(series.images, labels, strict=True):
                if (own == CANAL).any() or np.isin(own, list(BODY.values())).any():
                    yield LabelledSlice(f"phantom {number}", image.astype(np.float32), phantom_classes(own, pixel_mm), pixel_mm)


def phantom_classes(labels: NDArray[np.uint8], pixel_mm: float) -> NDArray[np.uint8]:
    """Labels of the phantom in one slice as classes; the sacrum as in SPIDER's labels, its other parts ignored."""
    out = np.zeros(labels.shape, dtype=np.uint8)
    for kind, table in ((SpineClass.BODY, BODY), (SpineClass.POSTERIOR, POSTERIOR), (SpineClass.DISC, DISC)):
        out[np.isin(labels, list(table.values()))] = kind
    out[labels == CANAL] = SpineClass.CANAL
    lowest = labels == DISC["L5/S1"]
    away = ndimage.distance_transform_edt(~lowest) * pixel_mm if lowest.any() else np.full(labels.shape, np.inf)
    sacrum = labels == BODY["S1"]
    out[sacrum] = np.where(away[sacrum] <= S1_STRIP_MM, SpineClass.SACRUM, IGNORED)
    out[labels == POSTERIOR["S1"]] = IGNORED
    return out


def save(path: Path, examples: list[LabelledSlice]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"image{k}": s.image.astype(np.float16 if s.image.max() < 60_000 else np.float32) for k, s in enumerate(examples)}
    arrays |= {f"labels{k}": s.labels for k, s in enumerate(examples)}
    np.savez(path, **arrays, patients=np.array([s.patient for s in examples]), pixel_mm=np.array([s.pixel_mm for s in examples]))


def load(path: Path) -> list[LabelledSlice]:
    with np.load(path) as file:
        pairs = zip(file["patients"], file["pixel_mm"], strict=True)
        return [LabelledSlice(str(name), file[f"image{k}"].astype(np.float32), file[f"labels{k}"], float(mm)) for k, (name, mm) in enumerate(pairs)]


if __name__ == "__main__":
    main()
