"""Training of the grading networks on whole studies, on axial crops, or on both (needs lumbar[train])."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch.utils.data import DataLoader, IterableDataset

from lumbar.severity.axial.data import UNLABELLED
from lumbar.severity.learn.cutmix import MixOptions, mix
from lumbar.severity.learn.losses import any_severe_loss, soft_labels, weighted_loss
from lumbar.severity.learn.studies.augment import StudyAugmentOptions, augmented
from lumbar.severity.learn.studies.network import StudyNetworkOptions, build_study_network
from lumbar.severity.score import official_score
from lumbar.severity.studies.data import InputOptions, StudySet, study_inputs
from lumbar.severity.studies.rows import graded
from lumbar.severity.studies.views import View
from lumbar.training.best_weights import BestWeights
from lumbar.training.fit import FitOptions, Validation, fit, seed, steps_done
from lumbar.training.loader_idle import LoaderIdle
from lumbar.training.one_cycle import one_cycle
from lumbar.training.ranks import TellRank

CONFIG, RESULT = "config.json", "training.json"
_SCORE = "official_score"
_SETTLED = 0.6  # of the steps, after which the learning rate is low enough to stop early
_VALIDATED_AT_ONCE = 16


@dataclass(frozen=True)
class StudyTraining:
    """Options of the training."""

    network: StudyNetworkOptions = field(default_factory=StudyNetworkOptions)
    augment: StudyAugmentOptions = field(default_factory=StudyAugmentOptions)
    mix: MixOptions = field(default_factory=MixOptions)
    fit: FitOptions = field(default_factory=lambda: FitOptions(average_decay=0.998))
    studies_per_batch: int = 8
    workers: int = 0  # processes that make batches; 0: the training process itself, best on one core
    coarse_share: float = 0.6  # of the steps run at two thirds of the size; 0 for the vit, which has a fixed size
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    condition_weights: tuple[float, ...] = (1.0, 0.5, 0.5, 0.5, 0.5)  # canal, foramina, recesses: equal weight for the three groups of the score
    any_severe_weight: float = 0.25
    smoothing: float = 0.02  # label smoothing towards the neighbouring grades
    validate_every: int = 250  # steps
    patience: int = 6  # validations without a better official score before training ends


class StudyBatch(NamedTuple):
    """Inputs and labels of some studies; a view that their source lacks is None."""

    canal: torch.Tensor | None
    foramen: torch.Tensor | None
    axial: torch.Tensor | None
    present: torch.Tensor
    measures: torch.Tensor
    labels: torch.Tensor  # (n, 5 conditions, 5 levels, 3); in validation (n, 5, 5) grades


class RandomStudyBatches(IterableDataset[StudyBatch]):
    """An endless stream of augmented batches, each from one source; every study of a source is used once per epoch."""

    def __init__(self, sources: Sequence[StudySet], config: StudyTraining, start: int = 0) -> None:
        self.sources, self.config, self.start = [source for source in sources if len(source.names)], config, start
        self.shares = np.array([len(source.names) for source in self.sources], float)
        self.rank = 0  # of this process among several that train together; set before training

    def __iter__(self) -> Iterator[StudyBatch]:
        info = torch.utils.data.get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        rng = np.random.default_rng((self.config.fit.seed, self.start, self.rank, worker))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        queues: list[list[int]] = [[] for _ in self.sources]
        for step in itertools.count(self.start + worker, workers):
            place = int(rng.choice(len(self.sources), p=self.shares / self.shares.sum()))
            while len(queues[place]) < self.config.studies_per_batch:
                queues[place] += rng.permutation(len(self.sources[place].names)).tolist()
            drawn, queues[place] = queues[place][: self.config.studies_per_batch], queues[place][self.config.studies_per_batch :]
            coarse = step < self.config.coarse_share * self.config.fit.steps
            yield self._batch(self.sources[place], np.array(drawn), generator, 2 / 3 if coarse else 1.0)

    def _batch(self, source: StudySet, drawn: NDArray[np.int64], generator: torch.Generator, scale: float) -> StudyBatch:
        config = self.config
        inputs = augmented(source, drawn, config.augment, generator, scale, config.network.inputs)
        labels = soft_labels(inputs.targets, config.smoothing)
        partner = torch.randperm(len(drawn), generator=generator)
        # Studies with different missing crops are not blended: a half-empty crop would be neither present nor missing.
        partner = torch.where((inputs.present == inputs.present[partner]).flatten(1).all(1), partner, torch.arange(len(drawn)))
        views, labels = mix(list(inputs.views.values()), labels, partner, config.mix, generator)
        seen = dict(zip(inputs.views, views, strict=True))
        return StudyBatch(seen.get(View.CANAL), seen.get(View.FORAMEN), seen.get(View.AXIAL), inputs.present, inputs.measures, labels)


class HeldOutStudies(IterableDataset[StudyBatch]):
    """Validation studies without augmentation, in batches."""

    def __init__(self, studies: StudySet, wanted: InputOptions) -> None:
        self.studies, self.wanted = studies, wanted

    def __iter__(self) -> Iterator[StudyBatch]:
        for start in range(0, len(self.studies.names), _VALIDATED_AT_ONCE):
            chosen = np.arange(start, min(start + _VALIDATED_AT_ONCE, len(self.studies.names)))
            arrays = {name: torch.from_numpy(array) for name, array in study_inputs(self.studies, chosen, self.wanted).items()}
            crops = arrays["canal"], arrays["foramen"], arrays["axial"]
            yield StudyBatch(*crops, arrays["present"], arrays["measures"], torch.from_numpy(self.studies.targets[chosen]))


class StudyModule(lightning.LightningModule):
    """The network with its loss, AdamW and a one-cycle learning rate; validated by the official score."""

    def __init__(self, config: StudyTraining) -> None:
        super().__init__()
        self.config = config
        self.network = build_study_network(config.network)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._predictions: list[NDArray[np.float64]] = []
        self._targets: list[NDArray[np.int64]] = []

    def training_step(self, batch: StudyBatch, _: int) -> torch.Tensor:
        """The loss of one batch."""
        logits = self.network(*batch[:5]).float()
        known = (batch.labels.sum(-1) > 0).float()
        rows, labels, flat_known = (x.transpose(1, 2).flatten(0, 1) for x in (logits, batch.labels, known))
        grades = weighted_loss(rows, labels, flat_known, self.config.condition_weights)
        studies = torch.arange(len(logits), device=logits.device).repeat_interleave(logits.shape[2])
        severe = any_severe_loss(rows[:, 0], labels[:, 0], flat_known[:, 0], studies)
        self.log_dict({"loss": grades, "any_severe": severe})
        return grades + self.config.any_severe_weight * severe

    def validation_step(self, batch: StudyBatch, _: int) -> None:
        """Collect the predictions of one batch."""
        logits = self.network(*batch[:5]).float()
        self._predictions.append(softmax(logits.cpu().numpy().astype(np.float64), axis=-1))
        self._targets.append(batch.labels.cpu().numpy())

    def on_validation_epoch_end(self) -> None:
        """Log the official score of all predictions."""
        rows = graded(np.concatenate(self._predictions), np.concatenate(self._targets))
        score = official_score(rows)
        parts = np.array([score.spinal, score.foraminal, score.subarticular, score.any_severe_spinal])
        self.log(_SCORE, float(np.nanmean(parts)), sync_dist=True)  # parts without labels, such as the foramina of axial crops, are ignored
        self._predictions, self._targets = [], []

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        """Optimiser and learning-rate schedule for Lightning."""
        return one_cycle(self, self.config.learning_rate, self.config.weight_decay, self.config.fit.steps, rising=0.1)


def default_study_training(kind: str, steps: int, encoder: str = "small", masks: bool = False, slices: int = 3) -> StudyTraining:
    """The usual settings for a network of `kind`, with the spine model's masks and measurements as inputs or without."""
    usual = StudyTraining(fit=FitOptions(steps=steps, average_decay=0.998), validate_every=max(1, min(250, steps // 8)))
    if kind == "vit":
        network = StudyNetworkOptions("vit", masks=masks)
        return replace(usual, network=network, coarse_share=0.0, learning_rate=5e-4)  # its size is fixed, and it does not converge at higher rates
    return replace(usual, network=StudyNetworkOptions(encoder=encoder, masks=masks, measures=masks, slices=slices))


@dataclass(frozen=True)
class TrainedStudies:
    """Result of a training."""

    module: StudyModule
    best_score: float  # official score in validation; infinite without validation
    best_step: int
    loader_idle_share: float
    rank: int  # of this process in distributed training; all but 0 are workers


def train_studies(sources: Sequence[StudySet], held_out: StudySet | None, folder: Path, config: StudyTraining) -> TrainedStudies:
    """Train on `sources`, stop early by the official score on `held_out`; checkpoints, logs and the configuration go to `folder`.

    An interrupted run resumes from there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")
    seed(config.fit)
    module = StudyModule(config)
    start = steps_done(folder)
    stream = RandomStudyBatches(sources, config, start)
    idle, best = LoaderIdle(), BestWeights(_SCORE, config.patience, round(_SETTLED * config.fit.steps))
    validation = None
    if held_out is not None and (held_out.targets != UNLABELLED).any():
        batches = DataLoader(HeldOutStudies(held_out, config.network.inputs), batch_size=None)
        validation = Validation(batches, min(config.validate_every, config.fit.steps))
    loader = DataLoader(stream, batch_size=None, num_workers=config.workers, persistent_workers=config.workers > 0)
    fit(module, loader, folder, config.fit, validation=validation, callbacks=(TellRank(stream), idle, *([best] if validation else [])))
    trained = TrainedStudies(module, best.best, best.best_step, idle.share, stream.rank)
    if trained.rank:
        return trained
    result = {"best_score": best.best if validation else None, "best_step": best.best_step, "loader_idle_share": idle.share}
    (folder / RESULT).write_text(json.dumps(result), encoding="utf-8")
    return trained
