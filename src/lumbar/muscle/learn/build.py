"""From folders of masks to a model folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from lumbar.datasets.muscle_slices import has_reader_slices, read_reader_slices
from lumbar.datasets.myosegmentum import read_dixon
from lumbar.imaging.intensity import standardized
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card
from lumbar.muscle.engine import INPUT, OUTPUT
from lumbar.muscle.labels import LABELS, MIRRORED, VERTEBRA
from lumbar.muscle.learn.axial_slice import AxialSlice
from lumbar.muscle.learn.data import training_slices
from lumbar.muscle.learn.drawn_slices import drawn_slices
from lumbar.muscle.learn.grey_slices import PIXEL_MM, GreySlice, Source, from_dixon, from_reader
from lumbar.muscle.learn.mixture import MixtureTraining, train_mixture
from lumbar.muscle.learn.phantom_slices import phantom_slices
from lumbar.muscle.learn.synthesis import infiltrate
from lumbar.muscle.predict import TASK
from lumbar.training.export import export_onnx
from lumbar.training.fit import FitOptions
from lumbar.training.quantize import quantize_convolutions

_TOLERANCE = 0.2  # error of 16-bit weights in logits, which reach tens on the noise used for comparison
_WHAT = "2-D U-Net that labels erector spinae, multifidus and psoas of both sides and the vertebral body or disc on axial slices of any contrast."
FIRST_SYNTHETIC, SLICES = 70_000, 4  # seed of the first synthetic person, and slices of each
_INFILTRATED = 0.6  # share of synthetic slices whose muscles are given more fat


@dataclass(frozen=True)
class BuildOptions:
    """Card entries and length of the training."""

    name: str = "muscle-axial"
    version: str = "0.1.0"
    licence: str = "not stated"
    steps: int = 2000
    seed: int = 20240601
    threads: int = 0
    how: str = ""  # a sentence on the training, for the card
    synthetic: int = 60  # synthetic people, half of them drawn and half phantoms
    research_only: bool = False
    withheld: tuple[int, ...] = ()  # labels of insufficient accuracy, which inference leaves out
    results: tuple[Result, ...] = ()


def build(folders: Sequence[Path], out: Path, work: Path, options: BuildOptions) -> Card:
    """Train on all subjects of `folders` and fill the existing folder `out` with the network and its card; `work` takes checkpoints.

    Raises:
        UnreadableInput: a folder holds neither Dixon pairs nor slices with masks.
    """
    examples: list[GreySlice] = []
    data = []
    for folder in folders:
        own = list(read_examples(folder))
        examples += own
        people = len({one.patient for one in own})
        note = f"{people} subject{'s' if people > 1 else ''}, {len(own)} axial slices, {own[0].source.value}"
        data.append(TrainingData(folder.name, options.licence, note))
    if options.synthetic:
        half = options.synthetic // 2
        examples += synthetic_examples(options.synthetic - half, half)
        note = f"{SLICES * options.synthetic} slices of {options.synthetic} synthetic people, drawn or cut from phantoms"
        data.append(TrainingData("lumbar synthetic slices", "Apache-2.0", note))
    config = MixtureTraining(fit=FitOptions(steps=options.steps, seed=options.seed, threads=options.threads, average_decay=0.995))
    module = train_mixture(examples, work, config)
    return export(module.network, out, options, tuple(data))


def read_examples(folder: Path) -> Iterator[GreySlice]:
    """The slices of a folder of Dixon pairs, or of a folder of single slices with masks.

    Raises:
        UnreadableInput: it is neither.
    """
    if not has_reader_slices(folder):
        for case in read_dixon(folder):
            for one in training_slices(f"{folder.name}/{case.subject}", case.water, case.fat, case.mask):
                yield from_dixon(one, Source.DIXON, complete=bool((one.labels == VERTEBRA).any()))
        return
    slices = list(read_reader_slices(folder))
    complete = any((read.labels == VERTEBRA).any() for read in slices)
    for read in slices:
        yield from_reader(read, Source.T1 if read.pixel_known else Source.T2, complete)


def synthetic_examples(drawn: int, phantoms: int) -> list[GreySlice]:
    """Slices of so many drawn people and phantoms, most of them with more fat in their muscles."""
    rng = np.random.default_rng(FIRST_SYNTHETIC)
    found = []
    for source, count, make in ((Source.DRAWN, drawn, drawn_slices), (Source.PHANTOM, phantoms, phantom_slices)):
        for seed in range(FIRST_SYNTHETIC, FIRST_SYNTHETIC + count):
            found += [from_dixon(_fatter(one, rng), source, complete=True) for one in make(seed, SLICES)]
    return found


def _fatter(one: AxialSlice, rng: np.random.Generator) -> AxialSlice:
    if rng.random() >= _INFILTRATED:
        return one
    water, fat = infiltrate(one.water, one.fat, np.where(np.isin(one.labels, tuple(LABELS)), one.labels, 0).astype(np.uint8), rng)
    return replace(one, water=np.asarray(water, np.float32), fat=np.asarray(fat, np.float32))


def export(network: torch.nn.Module, out: Path, options: BuildOptions, data: tuple[TrainingData, ...], calibration: Sequence[GreySlice] = ()) -> Card:
    """Write `network` as ONNX with a card into the existing folder `out`; with 8-bit convolutions if there are slices to calibrate them on."""
    example = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 1, 160, 224)).astype(np.float32))
    axes = {INPUT: {0: "images", 2: "rows", 3: "columns"}}
    path = out / "model.onnx"
    difference = export_onnx(network, {INPUT: example}, path, [OUTPUT], dynamic=axes, tolerance=_TOLERANCE, half=not calibration)
    if calibration:
        batches = [{INPUT: standardized(plane.astype(np.float32))[None, None]} for one in calibration for plane in one.planes]
        quantize_convolutions(path, out / "quantized.onnx", batches)
        (out / "quantized.onnx").replace(path)
    with torch.no_grad():
        several = network(example).ndim == 5
    meaning = f"axial slices at {PIXEL_MM:g} mm, rows front to back, columns patient's right to left, each of zero mean and unit variance; sizes divide by 32"
    names = tuple(f"{side.value} {muscle.value}" for muscle, side in LABELS.values())
    shape = ("images", *((2,) if several else ()), len(MIRRORED), "rows", "columns")
    card = Card(
        name=options.name,
        version=options.version,
        task=TASK,
        description=f"{_WHAT} {options.how}".strip(),
        intended_use="Research on muscle size and fat between L1/L2 and L5/S1 in adults. Not a medical device; inspect every mask.",
        inputs=(TensorSpec(INPUT, ("images", 1, "rows", "columns"), meaning),),
        outputs=(TensorSpec(OUTPUT, shape, "logits of background and the classes" + (", of each network" if several else "")),),
        classes=("background", *names, "vertebral body or disc"),
        training_data=data,
        results=options.results,
        research_only=options.research_only,
        export_difference=difference,
        parameters={"pixel_mm": PIXEL_MM, "side": "patient's", "both_ways": not several, "withheld": list(options.withheld)},
    )
    return write_card(out, card)
