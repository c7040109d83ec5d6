"""Training of the foraminal grader (needs lumbar[train])."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from lumbar.severity.axial.data import UNLABELLED
from lumbar.severity.foramina.crops import CROP_COLUMNS, CROP_ROWS, STORED_SIZE
from lumbar.severity.learn.axial.augment import CropAugmentOptions, change
from lumbar.severity.learn.cutmix import MixOptions, mix
from lumbar.severity.learn.foramina.network import ForamenNetwork, NetworkOptions
from lumbar.severity.learn.losses import soft_labels, weighted_loss
from lumbar.severity.learn.study_stream import Size, StudyStream, partners
from lumbar.training.fit import FitOptions, fit, seed, steps_done
from lumbar.training.one_cycle import one_cycle
from lumbar.training.ranks import TellRank

CONFIG = "config.json"
FULL_SIZE, COARSE_SIZE = (CROP_ROWS, CROP_COLUMNS), (54, 48)
_NEARER = STORED_SIZE / CROP_ROWS

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class ForamenTraining:
    """Options of the training."""

    network: NetworkOptions = field(default_factory=NetworkOptions)
    # A shift of 0.045 of the stored crop is 4.3 pixels, about 5 mm: more than the typical distance between the spine model's points and the labelled ones.
    augment: CropAugmentOptions = field(
        default_factory=lambda: CropAugmentOptions(
            shift=0.045, rotation_degrees=8.0, zoom=(0.87, 1.16), stretch=0.08, gamma=0.35, contrast=0.2, noise=0.1, blur_probability=0.1
        )
    )
    fit: FitOptions = field(default_factory=lambda: FitOptions(steps=2200, average_decay=0.998, checkpoint_every=100))
    studies_per_batch: int = 10
    coarse_share: float = 0.55  # of the steps run at `COARSE_SIZE`, in under half the time
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    smoothing: float = 0.02  # label smoothing towards the neighbouring grades
    condition_weights: tuple[float, float, float] = (1.0, 0.15, 0.3)  # of the foramen, of the canal and of the recess in the loss
    alone_probability: float = 0.15  # the foramina of a study do not attend to each other
    absence_probability: float = 0.1  # a foramen is left out of its study
    neighbour_probability: float = 0.3  # a foramen is shown on a neighbouring slice, if there is such a crop
    mix: MixOptions = field(default_factory=lambda: MixOptions(mixup_probability=0.2, cutmix_probability=0.15))  # of foramina at the same level


@dataclass(frozen=True, eq=False)
class LabelledForamina:
    """Stored crops with their grades."""

    crops: NDArray[np.uint8]  # (n, 96, 96)
    levels: NDArray[np.int64]  # (n,) 0 … 4
    sides: NDArray[np.int64]  # (n,) 0 left, 1 right
    studies: NDArray[np.str_]  # (n,)
    targets: NDArray[np.int64]  # (n, 3 conditions) 0 … 2, or UNLABELLED: the foramen, the canal at its level, the recess on its side
    beside: NDArray[np.uint8]  # (m, 96, 96) some foramina on a neighbouring slice
    beside_of: NDArray[np.int64]  # (m,) index of the foramen of each crop in `beside`

    def subset(self, chosen: NDArray[np.bool_]) -> "LabelledForamina":
        """The foramina where `chosen` (n,) is true."""
        kept = chosen[self.beside_of]
        number = np.cumsum(chosen) - 1
        beside_of = np.asarray(number[self.beside_of[kept]], np.int64)
        return LabelledForamina(
            self.crops[chosen], self.levels[chosen], self.sides[chosen], self.studies[chosen], self.targets[chosen], self.beside[kept], beside_of
        )

    def images(self, chosen: NDArray[np.int64], neighbour_probability: float, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The crops of the foramina `chosen`, some of them on a neighbouring slice."""
        result = self.crops[chosen]
        for place in np.flatnonzero(rng.random(len(chosen)) < neighbour_probability).tolist():
            choices = np.flatnonzero(self.beside_of == chosen[place])
            if len(choices):
                result[place] = self.beside[rng.choice(choices)]
        return result


class RandomStudies(StudyStream[Batch]):
    """An endless stream of augmented batches of foramina."""

    def __init__(self, foramina: LabelledForamina, config: ForamenTraining, start: int = 0) -> None:
        super().__init__(foramina.studies, config, start, (COARSE_SIZE, FULL_SIZE))
        self.foramina, self.config = foramina, config

    def batch(self, chosen: list[int], owners: list[int], rng: np.random.Generator, generator: torch.Generator, size: Size) -> Batch:
        """Augmented crops with levels, sides, owners, soft labels (n, 3, 3) and masks of known labels (n, 3)."""
        config, foramina = self.config, self.foramina
        images = torch.from_numpy(foramina.images(np.array(chosen), config.neighbour_probability, rng))[:, None].float() / 255
        unmirrored = torch.zeros(len(chosen), dtype=torch.bool)
        x = change(images, unmirrored, config.augment, generator, size, nearer=_NEARER, grey=1)
        levels, targets = torch.from_numpy(foramina.levels[chosen]), torch.from_numpy(foramina.targets[chosen])
        labels = soft_labels(targets, config.smoothing)
        (x,), labels = mix([x], labels, partners(levels, generator), config.mix, generator)
        return x, levels, torch.from_numpy(foramina.sides[chosen]), torch.tensor(owners), labels, (targets != UNLABELLED).float()


class ForamenModule(lightning.LightningModule):
    """The network with its loss, AdamW and a one-cycle learning rate."""

    def __init__(self, config: ForamenTraining) -> None:
        super().__init__()
        self.config = config
        self.network = ForamenNetwork(config.network)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        """The cross-entropy of one batch with the official weights of the grades."""
        crops, levels, sides, studies, labels, known = batch
        own, related = self.network(crops.contiguous(memory_format=torch.channels_last), levels, sides, studies)
        logits = torch.cat([own[:, None], related], dim=1).float()
        loss = weighted_loss(logits, labels, known, self.config.condition_weights)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        """Optimiser and learning-rate schedule for Lightning."""
        return one_cycle(self, self.config.learning_rate, self.config.weight_decay, self.config.fit.steps, rising=0.15)


def continued_training(steps: int, threads: int = 0) -> ForamenTraining:
    """Settings for continuing with trained weights: a third of the learning rate, and most steps at full size."""
    usual = ForamenTraining()
    return replace(usual, fit=replace(usual.fit, steps=steps, threads=threads), learning_rate=usual.learning_rate / 3, coarse_share=0.2)


def train(foramina: LabelledForamina, folder: Path, config: ForamenTraining, start_from: dict[str, torch.Tensor] | None = None) -> ForamenModule:
    """Train on `foramina` and return the module with its averaged weights.

    Training starts from the weights `start_from` if given. Checkpoints, logs and the configuration are written to `folder`; an interrupted run resumes
    from it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")
    seed(config.fit)
    module = ForamenModule(config)
    if start_from is not None:
        module.load_state_dict(start_from)
    stream = RandomStudies(foramina, config, steps_done(folder))
    fit(module, DataLoader(stream, batch_size=None), folder, config.fit, callbacks=(TellRank(stream),))
    return module
