"""Training of the spine network on labelled sagittal slices from any source."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from lumbar.domain.anatomy import SpineClass
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card
from lumbar.spine.network import INPUT, OUTPUT, TASK
from lumbar.spine.segment import PIXEL_MM
from lumbar.training.augment import AugmentOptions, random_contrast, random_view
from lumbar.training.examples import LabelledSlice
from lumbar.training.export import export_onnx
from lumbar.training.fit import FitOptions, fit, seed, steps_done
from lumbar.training.segmenter import Segmenter


@dataclass(frozen=True)
class SpineTraining:
    """Options of one training stage; the defaults are those of the sagittal network."""

    pixel_mm: float = PIXEL_MM  # pixel size of the network's input
    view: tuple[int, int] = (320, 256)  # rows, columns of a training patch
    batch: int = 6
    features: tuple[int, ...] = (24, 48, 96, 128, 160, 192)
    classes: int = len(SpineClass)
    learning_rate: float = 2e-3  # peak of the one-cycle schedule
    schedule_steps: int = 0  # length of the schedule; 0: `fit.steps`; more than that: stop early, before a further stage
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    fit: FitOptions = field(default_factory=FitOptions)


class RandomViews(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """An endless stream of augmented patches; sources are sampled equally often, and patients equally often within a source."""

    def __init__(self, sources: Sequence[Sequence[LabelledSlice]], config: SpineTraining, start: int = 0) -> None:
        self.sources: list[dict[str, list[LabelledSlice]]] = [defaultdict(list) for _ in sources]
        for patients, examples in zip(self.sources, sources, strict=True):
            for example in examples:
                patients[example.patient].append(example)
        self.config = config
        self.start = start

    def __iter__(self):  # type: ignore[no-untyped-def]
        rng = np.random.default_rng((self.config.fit.seed, self.start))
        names = [sorted(patients) for patients in self.sources]
        while True:
            source = rng.integers(len(names))
            slices = self.sources[source][names[source][rng.integers(len(names[source]))]]
            example = slices[rng.integers(len(slices))]
            zoom = self.config.pixel_mm / example.pixel_mm
            image, labels = random_view(example.image, example.labels, self.config.view, zoom, self.config.augment, rng)
            image = random_contrast(image, labels, self.config.augment, rng)
            yield torch.from_numpy(image)[None], torch.from_numpy(labels.astype(np.int64))


class SpineModule(Segmenter):
    """Lightning module of the spine network."""

    def __init__(self, config: SpineTraining) -> None:
        super().__init__(config.classes, config.features, config.learning_rate, config.schedule_steps or config.fit.steps)


def train(sources: Sequence[Sequence[LabelledSlice]], folder: Path, config: SpineTraining, start_from: dict[str, torch.Tensor] | None = None) -> SpineModule:
    """Train on all `sources` and return the module with its averaged weights.

    Args:
        sources: labelled slices of the patients to train on; each source is sampled equally often.
        folder: checkpoints and logs; an interrupted run resumes from it.
        config: options of the training.
        start_from: weights of an earlier stage, as `module.state_dict()` gives them.
    """
    seed(config.fit)
    module = SpineModule(config)
    if start_from is not None:
        module.load_state_dict(start_from)
    start = steps_done(folder)
    fit(module, DataLoader(RandomViews(sources, config, start), batch_size=config.batch), folder, config.fit)
    return module


def export(module: SpineModule, folder: Path, card: Card, name: str = INPUT, view: tuple[int, int] = (320, 256)) -> Card:
    """Write the network and its card to `folder` after checking that ONNX and PyTorch agree, on images of the shape `view`; returns the card with hashes.

    `name` is that of the input.

    Raises:
        ModelError: their outputs differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    example = {name: torch.randn(2, 1, *view, generator=torch.Generator().manual_seed(0))}
    axes = {name: {0: "batch", 2: "rows", 3: "columns"}}
    difference = export_onnx(module.network, example, folder / "model.onnx", [OUTPUT], dynamic=axes)
    return write_card(folder, replace(card, export_difference=difference))


def spine_card(name: str, training_data: tuple[TrainingData, ...], results: tuple[Result, ...] = ()) -> Card:
    """The card of a spine model without hashes, which `export` adds."""
    meaning = (
        f"sagittal slices, {PIXEL_MM} mm pixels, rows head to foot, columns front to back, each clipped at its 0.5 and 99.5 percentiles, "
        "zero mean, unit variance; rows and columns divide by 32"
    )
    return Card(
        name=name,
        version="0.1.0",
        task=TASK,
        description="2-D U-Net that labels vertebral bodies, posterior elements, discs, canal and the upper strip of S1 in sagittal slices of any contrast.",
        intended_use="Research. Naming and measuring lumbar levels on adult MRI. Not a medical device.",
        inputs=(TensorSpec(INPUT, ("batch", 1, "rows", "columns"), meaning),),
        outputs=(TensorSpec(OUTPUT, ("batch", len(SpineClass), "rows", "columns"), "logits of the classes"),),
        classes=tuple(kind.name.lower() for kind in SpineClass),
        training_data=training_data,
        results=results,
        parameters={"pixel_mm": PIXEL_MM},
    )
