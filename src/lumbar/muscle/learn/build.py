"""Training of a model folder from folders of Dixon pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lumbar.datasets.myosegmentum import read_dixon
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card
from lumbar.muscle.engine import INPUT, OUTPUT
from lumbar.muscle.labels import LABELS
from lumbar.muscle.learn.data import training_slices
from lumbar.muscle.learn.drawn_slices import drawn_slices
from lumbar.muscle.learn.train import train, training
from lumbar.muscle.learn.views import AxialSlice
from lumbar.muscle.predict import TASK
from lumbar.training.export import export_onnx
from lumbar.training.fit import FitOptions

_HALF_TOLERANCE = 0.2  # error of 16-bit weights in logits, which reach tens on the noise used for comparison
_WHAT = "2-D U-Net that labels erector spinae and multifidus, right and left, on axial slices of any contrast."
FIRST_DRAWN, SLICES = 70_000, 5  # seed of the first simulated person, and slices of each


@dataclass(frozen=True)
class BuildOptions:
    """Card entries and length of the training."""

    name: str = "muscle-axial"
    version: str = "0.1.0"
    licence: str = "not stated"
    steps: int = 4000
    seed: int = 20240601
    pixel_mm: float = 1.25  # pixel size of the network's input
    threads: int = 0
    both_ways: bool = True  # whether inference uses mirror test-time augmentation
    how: str = ""  # a sentence on the training, for the card
    drawn: int = 0  # number of simulated people with drawn slices in the training set
    results: tuple[Result, ...] = ()


def build(folders: Sequence[Path], out: Path, work: Path, options: BuildOptions) -> Card:
    """Train on all subjects of `folders` and write the network and its card to the existing folder `out`; checkpoints go to `work`."""
    examples: list[AxialSlice] = []
    data = []
    for folder in folders:
        own = [s for case in read_dixon(folder) for s in training_slices(f"{folder.name}/{case.subject}", case.water, case.fat, case.mask)]
        examples += own
        count = len({s.patient for s in own})
        data.append(TrainingData(folder.name, options.licence, f"{count} subject{'s' if count > 1 else ''}, {len(own)} axial slices, Dixon water and fat"))
    if options.drawn:
        examples += [s for seed in range(FIRST_DRAWN, FIRST_DRAWN + options.drawn) for s in drawn_slices(seed, SLICES)]
        data.append(TrainingData("lumbar drawn slices", "Apache-2.0", f"synthetic: {SLICES * options.drawn} slices of {options.drawn} simulated people"))
    config = training(options.pixel_mm, FitOptions(steps=options.steps, seed=options.seed, threads=options.threads))
    module = train(examples, work, config)
    return export(module.network, out, options, tuple(data))


def export(network: torch.nn.Module, out: Path, options: BuildOptions, data: tuple[TrainingData, ...]) -> Card:
    """Write `network` as ONNX with a card into the existing folder `out`."""
    example = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 1, 160, 224)).astype(np.float32))
    axes = {INPUT: {0: "images", 2: "rows", 3: "columns"}}
    difference = export_onnx(network, {INPUT: example}, out / "model.onnx", [OUTPUT], dynamic=axes, tolerance=_HALF_TOLERANCE, half=True)
    meaning = (
        f"axial slices at {options.pixel_mm:g} mm, rows front to back, columns patient's right to left, each of zero mean and unit variance; sizes divide by 32"
    )
    names = tuple(f"{side.value} {muscle.value}" for muscle, side in LABELS.values())
    card = Card(
        name=options.name,
        version=options.version,
        task=TASK,
        description=f"{_WHAT} {options.how}".strip(),
        intended_use="Research on muscle size and fat between L1/L2 and L5/S1 in adults. Not a medical device; inspect every mask.",
        inputs=(TensorSpec(INPUT, ("images", 1, "rows", "columns"), meaning),),
        outputs=(TensorSpec(OUTPUT, ("images", len(LABELS) + 1, "rows", "columns"), "logits of background and the classes"),),
        classes=("background", *names),
        training_data=data,
        results=options.results,
        export_difference=difference,
        parameters={"pixel_mm": options.pixel_mm, "side": "patient's", "both_ways": options.both_ways},
    )
    return write_card(out, card)
