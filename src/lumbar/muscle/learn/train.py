"""Training of the muscle network on axial Dixon slices and phantoms."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from lumbar.muscle.labels import LABELS
from lumbar.muscle.learn.synthesis import SynthesisOptions, random_image, retreat
from lumbar.muscle.learn.views import AxialSlice, Origin, ViewOptions, random_frame, random_view
from lumbar.training.fit import FitOptions, fit, seed, steps_done
from lumbar.training.segmenter import Segmenter


@dataclass(frozen=True)
class MuscleTraining:
    """Options of the training."""

    pixel_mm: float = 1.25  # pixel size of the network's input
    view: tuple[int, int] = (128, 192)  # rows, columns of a training patch; divisible by 32
    batch: int = 6
    features: tuple[int, ...] = (16, 32, 64, 128, 160, 160)
    learning_rate: float = 2e-3
    shares: dict[Origin, float] = field(default_factory=lambda: {Origin.PERSON: 0.5, Origin.DRAWN: 0.3, Origin.PHANTOM: 0.2, Origin.STRIP: 0.3})  # of the views
    views: ViewOptions = field(default_factory=ViewOptions)
    synthesis: SynthesisOptions = field(default_factory=SynthesisOptions)
    fit: FitOptions = field(default_factory=lambda: FitOptions(steps=2500))


def training(pixel_mm: float, fit_options: FitOptions) -> MuscleTraining:
    """The usual training on another grid: the same field of view and as many halvings as its pixels allow."""
    usual = MuscleTraining()
    if pixel_mm < 1.5:
        view = tuple(round(n * usual.pixel_mm / pixel_mm / 32) * 32 for n in usual.view)
        return MuscleTraining(pixel_mm=pixel_mm, view=(view[0], view[1]), fit=fit_options)
    view = tuple(round(n * usual.pixel_mm / pixel_mm / 16) * 16 for n in usual.view)
    return MuscleTraining(pixel_mm=pixel_mm, view=(view[0], view[1]), batch=8, features=usual.features[:-1], learning_rate=3e-3, fit=fit_options)


class RandomAxialViews(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """An endless stream of augmented views; people are sampled equally often, and origins by `shares`."""

    def __init__(self, examples: list[AxialSlice], config: MuscleTraining, start: int = 0) -> None:
        groups: dict[Origin, dict[str, list[AxialSlice]]] = {}
        for example in examples:
            groups.setdefault(example.origin, {}).setdefault(example.patient, []).append(example)
        self.groups = [[people[name] for name in sorted(people)] for people in groups.values()]
        weights = np.array([config.shares[origin] for origin in groups])
        self.weights = weights / weights.sum()
        self.config = config
        self.start = start

    def __iter__(self):  # type: ignore[no-untyped-def]
        rng = np.random.default_rng((self.config.fit.seed, self.start))
        while True:
            people = self.groups[rng.choice(len(self.groups), p=self.weights)]
            slices = people[rng.integers(len(people))]
            image, labels = training_pair(slices[rng.integers(len(slices))], self.config, rng)
            yield torch.from_numpy(image)[None], torch.from_numpy(labels.astype(np.int64))


def training_pair(example: AxialSlice, config: MuscleTraining, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One network input (rows, columns), and its labels."""
    water, fat, labels = random_view(example, config.view, config.pixel_mm, config.views, rng)
    rows, columns = random_frame(config.view, config.views, rng)
    if rng.random() < config.synthesis.retreat_probability:
        water, fat, labels = retreat(water, fat, labels, config.pixel_mm, rng)
    seen = random_image(water[rows, columns], fat[rows, columns], labels[rows, columns], config.synthesis, rng)
    # Outside a smaller field of view the image is padded with its minimum, as in prediction.
    image = np.full(config.view, seen.min(), np.float32)
    image[rows, columns] = seen
    target = np.zeros(config.view, np.uint8)
    target[rows, columns] = labels[rows, columns]
    return image, target


class MuscleModule(Segmenter):
    """Lightning module of the muscle network."""

    def __init__(self, config: MuscleTraining) -> None:
        super().__init__(len(LABELS) + 1, config.features, config.learning_rate, config.fit.steps)


def train(examples: list[AxialSlice], folder: Path, config: MuscleTraining, start_from: dict[str, torch.Tensor] | None = None) -> MuscleModule:
    """Train on `examples`, from the weights `start_from` if given, and return the module with its averaged weights; checkpoints and logs go to `folder`."""
    seed(config.fit)
    module = MuscleModule(config)
    if start_from is not None:
        module.load_state_dict(start_from)
    fit(module, DataLoader(RandomAxialViews(examples, config, steps_done(folder)), batch_size=config.batch), folder, config.fit)
    return module
