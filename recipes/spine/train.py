"""Trains the spine model on shared/data and exports its folder; quantize.py makes the shipped model from it, and evaluate.py prints the figures of either.

    python recipes/spine/train.py ../shared/data -o runs/spine [--threads 2]

Three stages, about 90 minutes on two cores with bfloat16 instructions. An interrupted stage resumes from its last checkpoint.

1. SPIDER T2 SPACE, labelled by readers: 1,500 steps of a schedule of 3,800.
2. The same patients beside the near-mid-sagittal T1 and T2 images of other SPIDER patients, pseudo-labelled by the network of stage 1 where it is
   confident and the result is anatomically plausible (spine/learn/pseudo_label.py): 1,300 steps.
3. The same images with milder augmentation: 1,300 steps.

The patients of split.py are left out.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from split import HELD_BACK_IN_STAGE_1, TEST_PATIENTS

from lumbar.datasets.spider import read_midsagittal, read_space
from lumbar.models.card import Result, TrainingData
from lumbar.spine.learn.pseudo_label import pseudo_label
from lumbar.spine.learn.train import SpineModule, SpineTraining, export, spine_card, train
from lumbar.spine.network import Network
from lumbar.training.augment import AugmentOptions
from lumbar.training.examples import LabelledSlice
from lumbar.training.fit import FitOptions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    spider = arguments.data / "spider"
    marked = [s for s in read_space(spider / "t2_space") if s.patient not in TEST_PATIENTS]

    first = SpineTraining(schedule_steps=3800, fit=FitOptions(steps=1500, threads=arguments.threads))
    teacher = train([[s for s in marked if s.patient not in HELD_BACK_IN_STAGE_1]], arguments.output / "stage1", first)

    guessed = pseudo_labelled(spider, network_of(teacher))
    print(f"{len(guessed)} mid-sagittal images were labelled by the network of stage 1")
    second = SpineTraining(learning_rate=1.5e-3, fit=FitOptions(steps=1300, threads=arguments.threads, seed=20240602))
    module = train([marked, guessed], arguments.output / "stage2", second, teacher.state_dict())
    mild = AugmentOptions(rotation_degrees=20, scale=(0.8, 1.25), shear=0.1, remap_probability=0.35, tissue_probability=0.3)
    third = SpineTraining(learning_rate=8e-4, augment=mild, fit=FitOptions(steps=1300, threads=arguments.threads, seed=20240603))
    module = train([marked, guessed], arguments.output / "stage3", third, module.state_dict())
    print(export(module, arguments.output / "spine-sagittal", spine_card("spine-sagittal", training_data(len(guessed)), RESULTS)))


def pseudo_labelled(spider: Path, network: Network, left_out: frozenset[str] = TEST_PATIENTS) -> list[LabelledSlice]:
    images = [p for p in read_midsagittal(spider / "midsagittal", spider / "overview.csv") if p.patient not in left_out]
    orientations = ((p, turned) for p in images for turned in (p.image, p.image[::-1].copy()))  # some of the images are upside down
    labelled = (pseudo_label(p.patient, turned, p.pixel_mm, network) for p, turned in orientations)
    return [example for example in labelled if example is not None]


def network_of(module: SpineModule) -> Network:
    module.eval()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            return module.network(torch.from_numpy(images)).float().numpy()

    return run


def training_data(guessed: int) -> tuple[TrainingData, ...]:
    return (
        TrainingData("SPIDER T2 SPACE", "CC BY 4.0", "25 patients; van der Graaf et al., Sci Data 2024;11:264. Posterior elements and the strip of S1 were "
                     "derived from the masks by rule"),
        TrainingData("SPIDER T1 and T2, near-mid-sagittal images", "CC BY 4.0", f"{guessed} images, labelled by the network of the first stage"),
    )  # fmt: skip


# Printed by evaluate.py for the shipped weights.
ON_SPIDER = "5 SPIDER T2 SPACE patients not trained on, real"
RESULTS = (
    Result("vertebra", "dice_mean", 0.917, ON_SPIDER, headline=True),
    Result("vertebra", "dice_lowest_patient", 0.843, ON_SPIDER),
    Result("disc", "dice_mean", 0.860, ON_SPIDER, headline=True),
    Result("disc", "dice_lowest_patient", 0.793, ON_SPIDER),
    Result("canal", "dice_mean", 0.922, ON_SPIDER, headline=True),
    Result("canal", "dice_lowest_patient", 0.910, ON_SPIDER),
    Result("vertebra", "named_within_8_mm", 1.0, "125 vertebrae of 25 MyoSegmenTUM subjects (Dixon water), not trained on, real"),
    Result("vertebra", "matched_one_to_one", 1.0, "156 bodies of Zukić 2014 (pathological T1, T2, TIRM) and Chu 2015 (T2), not trained on, real"),
    Result("disc", "named_within_8_mm", 1.0, "15 discs of 3 subjects of Menezes-Reis 2016 (T2), not trained on, real"),
    Result("level", "labels_nearest_to_their_level", 1.0, "25 coordinates of one RSNA 2024 study, from its STIR and from its T1, not trained on, real"),
)


if __name__ == "__main__":
    main()
