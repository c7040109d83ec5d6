"""Training of the spine network on labelled sagittal slices from any source."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from lumbar.domain.anatomy import SpineClass
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card
from lumbar.spine.network import SpineUNet
from lumbar.spine.segment import INPUT, OUTPUT, PIXEL_MM, TASK
from lumbar.training.augment import AugmentOptions, random_contrast, random_view
from lumbar.training.examples import IGNORED, LabelledSlice
from lumbar.training.export import export_onnx
from lumbar.training.fit import FitOptions, fit


@dataclass(frozen=True)
class SpineTraining:
    """What is trained, on which grid, and how long."""

    pixel_mm: float = PIXEL_MM  # the grid that the network works on
    view: tuple[int, int] = (320, 256)  # rows, columns of one training picture
    batch: int = 6
    features: tuple[int, ...] = (24, 48, 96, 128, 160, 192)
    learning_rate: float = 2e-3  # highest of the one-cycle schedule
    schedule_steps: int = 0  # length of the schedule; 0: as many as `fit.steps`, more: stop before it has run down, for a stage that another follows
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    fit: FitOptions = field(default_factory=FitOptions)


class RandomViews(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """An endless stream of augmented views; sources are drawn equally often, and within one its patients, however many slices they have."""

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


class SpineModule(lightning.LightningModule):
    """Cross-entropy plus soft Dice over all classes, AdamW, one-cycle learning rate."""

    def __init__(self, config: SpineTraining) -> None:
        super().__init__()
        self.config = config
        self.network = SpineUNet(len(SpineClass), config.features)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        image, target = batch
        logits = self.network(image).float()
        entropy = torch.nn.functional.cross_entropy(logits, target, ignore_index=IGNORED)
        dice = soft_dice_loss(logits, target)
        self.log_dict({"loss": entropy + dice, "entropy": entropy, "dice_loss": dice}, prog_bar=True)
        return entropy + dice

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.config.learning_rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.config.learning_rate, total_steps=self.config.schedule_steps or self.config.fit.steps, pct_start=0.08
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def soft_dice_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """One minus the mean soft Dice over the classes but background, pooled over the batch (Drozdzal et al. 2016, batch Dice)."""
    probabilities = logits.softmax(dim=1)[:, 1:]
    known = (target != IGNORED)[:, None]
    one_hot = torch.nn.functional.one_hot(torch.where(known[:, 0], target, 0), logits.shape[1]).movedim(-1, 1)[:, 1:].to(probabilities.dtype)
    probabilities = probabilities * known
    overlap = (probabilities * one_hot).sum(dim=(0, 2, 3))
    size = (probabilities + one_hot).sum(dim=(0, 2, 3))
    return 1 - ((2 * overlap + 1) / (size + 1)).mean()


def train(sources: Sequence[Sequence[LabelledSlice]], folder: Path, config: SpineTraining, start_from: dict[str, torch.Tensor] | None = None) -> SpineModule:
    """Train on all `sources` and return the module with its averaged weights.

    Args:
        sources: labelled slices of the patients to train on; each source is drawn equally often.
        folder: takes checkpoints and logs; a run that was killed goes on from there.
        config: what is trained and how long.
        start_from: weights of an earlier stage, as `module.state_dict()` gives them.
    """
    module = SpineModule(config)
    if start_from is not None:
        module.load_state_dict(start_from)
    last = folder / "last.ckpt"
    # A resumed run draws other views than those it has seen: the stream's seed takes in where it starts.
    start = int(torch.load(last, weights_only=False)["global_step"]) if last.exists() else 0
    fit(module, DataLoader(RandomViews(sources, config, start), batch_size=config.batch), folder, config.fit)
    return module


def export(module: SpineModule, folder: Path, card: Card) -> Card:
    """Write the network and its card to `folder` after checking that ONNX and PyTorch agree; returns the card with hashes.

    Raises:
        ModelError: they do not agree.
    """
    folder.mkdir(parents=True, exist_ok=True)
    example = {INPUT: torch.randn(2, 1, 320, 256, generator=torch.Generator().manual_seed(0))}
    axes = {INPUT: {0: "batch", 2: "rows", 3: "columns"}}
    difference = export_onnx(module.network, example, folder / "model.onnx", [OUTPUT], dynamic=axes)
    return write_card(folder, replace(card, export_difference=difference))


def spine_card(name: str, training_data: tuple[TrainingData, ...], results: tuple[Result, ...] = ()) -> Card:
    """The card of a spine model, but for the hashes, which `export` fills in."""
    asked = (
        f"sagittal slices, {PIXEL_MM} mm pixels, rows head to foot, columns front to back, each clipped at its 0.5 and 99.5 percentiles, "
        "zero mean, unit variance; rows and columns divide by 32"
    )
    return Card(
        name=name,
        version="0.1.0",
        task=TASK,
        description="2-D U-Net that labels vertebral bodies, posterior elements, discs, canal and the upper strip of S1 in sagittal slices of any contrast.",
        intended_use="Research. Naming and measuring lumbar levels on adult MRI. Not a medical device.",
        inputs=(TensorSpec(INPUT, ("batch", 1, "rows", "columns"), asked),),
        outputs=(TensorSpec(OUTPUT, ("batch", len(SpineClass), "rows", "columns"), "logits of the classes"),),
        classes=tuple(kind.name.lower() for kind in SpineClass),
        training_data=training_data,
        results=results,
        parameters={"pixel_mm": PIXEL_MM},
    )
