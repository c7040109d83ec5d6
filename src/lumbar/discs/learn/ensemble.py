"""Cross-validation of the disc graders: training by fold, out-of-fold evaluation, and packing into one model folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from lumbar.discs.crops import COLUMNS, ROWS, DiscCrops
from lumbar.discs.features import NAMES
from lumbar.discs.grader import CROPS, FINDINGS, IMAGES, LOGITS, MEASUREMENTS, STEPS_UP, blended, looks_t2, network_probabilities
from lumbar.discs.learn.network import DiscNetwork
from lumbar.discs.learn.train import UNGRADED, DiscTraining, LabelledDiscs, train_discs
from lumbar.discs.model import GRADES, PFIRRMANN, TASK, Floats, Scaler, fit_logistic
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card
from lumbar.models.runtime import open_network
from lumbar.training.export import export_onnx
from lumbar.training.fold_runs import NETWORK, FoldRuns
from lumbar.training.folds import assign_folds

PENALTY = 3.0  # of the logistic model
_LEVELS = 5


@dataclass(frozen=True, eq=False)
class GradedImage:
    """The discs of one image with their reference grades."""

    patient: str
    source: str  # data set
    crops: DiscCrops  # of the stored size
    grades: NDArray[np.int64]  # (n,) Pfirrmann 0 … 4, or UNGRADED
    findings: NDArray[np.int64]  # (n, findings) 1 yes, 0 no, or UNGRADED
    weight: float = 1.0  # sampling weight in training

    @property
    def t2(self) -> bool:
        """Whether CSF is bright in it."""
        return looks_t2(self.crops.features)


def fold_numbers(images: Sequence[GradedImage], folds: int, seed: int) -> NDArray[np.int64]:
    """(m,) fold of each image; grouped by patient, stratified by source and by severe grades."""
    order = {source: 10.0 * place for place, source in enumerate(sorted({p.source for p in images}))}
    worst: dict[str, float] = {}
    for image in images:
        worst[image.patient] = max(worst.get(image.patient, 0.0), order[image.source] + float(image.grades.max()))
    fold_of = assign_folds(worst, folds, seed)
    return np.array([fold_of[image.patient] for image in images], np.int64)


def scaler_of(images: Sequence[GradedImage]) -> Scaler:
    """Mean and spread of the measurements of all T2 images, independent of grades."""
    return Scaler.fit(np.concatenate([p.crops.features for p in images if p.t2]).astype(float))


def train_disc_fold(images: Sequence[GradedImage], folds: NDArray[np.int64], scaler: Scaler, runs: Path, fold: int, config: DiscTraining) -> Path:
    """Train one fold on the images of the others and export it to `runs`; a finished fold is kept, and an interrupted one resumes."""

    def training(folder: Path) -> dict[str, object]:
        module = train_discs(_labelled([p for p, f in zip(images, folds, strict=True) if f != fold], scaler), folder, config)
        return {"difference": export_disc_network(module.network, folder / NETWORK), "config": str(config)}

    return FoldRuns(runs).train(fold, training, config.fit.steps)


def export_disc_network(network: DiscNetwork, path: Path) -> float:
    """Write `network` as ONNX with 16-bit weights; the largest difference to PyTorch."""
    generator = torch.Generator().manual_seed(0)
    example = {
        CROPS: torch.randn(7, 3, ROWS, COLUMNS, generator=generator),
        STEPS_UP: torch.tensor([0, 1, 2, 3, 4, 0, 1]),
        IMAGES: torch.tensor([0, 0, 0, 0, 0, 1, 1]),
        MEASUREMENTS: torch.randn(7, len(NAMES), generator=generator),
    }
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return export_onnx(network, example, path, (LOGITS,), dynamic={name: {0: "n"} for name in example}, tolerance=0.05, half=True)


def network_predictions(images: Sequence[GradedImage], scaler: Scaler, path: Path, threads: int) -> list[Floats]:
    """(n, 5 + findings) of each of `images` by the exported network in the file `path`."""
    network = open_network(path, threads)
    return [network_probabilities([network], _seen(p.crops), _measurements(p, scaler)) for p in images]


def fit_measured(images: Sequence[GradedImage], scaler: Scaler) -> dict[str, Floats]:
    """Coefficients of the logistic model of Pfirrmann grades and findings, from the lumbar discs of T2 images."""
    shown = [p for p in images if p.t2]
    lumbar = np.concatenate([p.crops.steps_up for p in shown]) < _LEVELS
    x = scaler(np.concatenate([p.crops.features for p in shown]).astype(float))[lumbar]
    grades = np.concatenate([p.grades for p in shown])[lumbar]
    findings = np.concatenate([p.findings for p in shown])[lumbar]
    graded = grades != UNGRADED
    coefficients = {PFIRRMANN: fit_logistic(x[graded], grades[graded], GRADES, PENALTY)}
    for column, name in enumerate(FINDINGS):
        known = findings[:, column] != UNGRADED
        coefficients[name] = fit_logistic(x[known], findings[known, column], 2, PENALTY)
    return coefficients


def measurement_predictions(images: Sequence[GradedImage], scaler: Scaler, coefficients: dict[str, Floats]) -> list[Floats | None]:
    """(n, 5 + findings) of each image by the logistic model; None where it is not T2-weighted."""
    result: list[Floats | None] = []
    for image in images:
        x = scaler(image.crops.features.astype(float))
        chances = [softmax(x @ coefficients[name], axis=-1)[:, 1:] for name in FINDINGS]
        result.append(np.concatenate([softmax(x @ coefficients[PFIRRMANN], axis=-1), *chances], axis=1) if image.t2 else None)
    return result


@dataclass(frozen=True, eq=False)
class DiscsOutOfFold:
    """Out-of-fold predictions of the discs by image, each (n, 5 + findings)."""

    seen: list[Floats]  # by the network
    measured: list[Floats | None]  # by the logistic model
    both: list[Floats]


def discs_out_of_fold(images: Sequence[GradedImage], folds: NDArray[np.int64], scaler: Scaler, runs: Path, threads: int) -> DiscsOutOfFold:
    """Predictions for every image by the models of its fold; the networks must have been trained in `runs`."""
    result = DiscsOutOfFold([np.empty(0)] * len(images), [None] * len(images), [np.empty(0)] * len(images))
    for fold in np.unique(folds):
        own = np.flatnonzero(folds == fold)
        coefficients = fit_measured([p for p, f in zip(images, folds, strict=True) if f != fold], scaler)
        shown = [images[int(place)] for place in own]
        seen, measured = (
            network_predictions(shown, scaler, FoldRuns(runs).path(int(fold)) / NETWORK, threads),
            measurement_predictions(shown, scaler, coefficients),
        )
        for place, a, b in zip(own, seen, measured, strict=True):
            result.seen[place], result.measured[place], result.both[place] = a, b, blended(a, b)
    return result


def write_disc_model(folder: Path, runs: Path, folds: int, images: Sequence[GradedImage], results: tuple[Result, ...], data: tuple[TrainingData, ...]) -> Card:
    """Write the networks of all folds and the logistic model of all images to `folder`; returns the card."""
    difference = FoldRuns(runs).pack(range(folds), folder)
    scaler = scaler_of(images)
    parameters = {
        "features": list(NAMES),
        "findings": list(FINDINGS),
        "mean": np.nan_to_num(scaler.mean).round(6).tolist(),
        "deviation": scaler.deviation.round(6).tolist(),
        "coefficients": {name: values.round(6).tolist() for name, values in fit_measured(images, scaler).items()},
    }
    return write_card(folder, replace(_card(data, results), export_difference=difference, parameters=parameters))


def _card(data: tuple[TrainingData, ...], results: tuple[Result, ...]) -> Card:
    return Card(
        name="disc-grades",
        version="2",
        task=TASK,
        description="Pfirrmann grade and binary findings of discs on mid-sagittal T2 images: networks of the folds of a cross-validation by patient,"
        " which process all discs of an image jointly, averaged with a logistic model of measured signal and height.",
        intended_use="Research on graded lumbar T2 MRI without fat suppression. Not a medical device; not for decisions about patients.",
        inputs=(
            TensorSpec(CROPS, ("n", 3, ROWS, COLUMNS), "grey values around 0, mask of the disc, canal 1 and bone -1; the disc's front to the left"),
            TensorSpec(STEPS_UP, ("n",), "discs above L5/S1: 0 to 4 for L5/S1 to L1/L2, then T12/L1"),
            TensorSpec(IMAGES, ("n",), "equal numbers for discs of one image"),
            TensorSpec(MEASUREMENTS, ("n", len(NAMES)), "parameters.features in deviations from the mean, 0 where missing"),
        ),
        outputs=(TensorSpec(LOGITS, ("n", GRADES + len(FINDINGS)), "Pfirrmann grades as in classes, then parameters.findings"),),
        classes=tuple(str(grade + 1) for grade in range(GRADES)),
        training_data=data,
        results=results,
        research_only=True,
    )


def _labelled(images: Sequence[GradedImage], scaler: Scaler) -> LabelledDiscs:
    counts = [len(p.grades) for p in images]
    return LabelledDiscs(
        greys=np.concatenate([p.crops.greys for p in images]),
        tissues=np.concatenate([p.crops.tissues for p in images]),
        steps_up=np.concatenate([p.crops.steps_up for p in images]),
        measurements=np.concatenate([_measurements(p, scaler) for p in images]),
        images=np.repeat(np.arange(len(images)), counts),
        grades=np.concatenate([p.grades for p in images]),
        findings=np.concatenate([p.findings for p in images]),
        weights=np.repeat(np.array([p.weight for p in images], np.float32), counts),
    )


def _measurements(image: GradedImage, scaler: Scaler) -> NDArray[np.float32]:
    scaled = scaler.scaled(image.crops.features.astype(float)).astype(np.float32)
    return scaled if image.t2 else np.zeros_like(scaled)


def _seen(crops: DiscCrops) -> DiscCrops:
    """The middle of stored crops, the network input."""
    rows, columns = ((have - want) // 2 for have, want in zip(crops.greys.shape[1:], (ROWS, COLUMNS), strict=True))
    middle = (slice(None), slice(rows, rows + ROWS), slice(columns, columns + COLUMNS))
    return replace(crops, greys=crops.greys[middle], tissues=crops.tissues[middle])
