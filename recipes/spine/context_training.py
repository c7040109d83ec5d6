"""Views, loss and module of context.py: slices with their neighbours, and classes that some sources do not label."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from stacks import CLASSES, FORAMEN, S1_REST, S2, UNSURE, LabelledStack
from torch.utils.data import IterableDataset

from lumbar.spine.learn.train import SpineTraining
from lumbar.training.augment import random_contrast, random_view
from lumbar.training.examples import IGNORED
from lumbar.training.segmenter import Segmenter
from lumbar.training.unet import UNet

ADDED = (S1_REST, S2, FORAMEN)
DROPPED = 0.2  # share of views without neighbours, so that single slices remain readable
ADDED_BIAS = -4.0  # of the added classes at the start: hardly any pixel is one of them
NOISE = (0.01, 0.12)  # standard deviation, as in lumbar.training.augment


class RandomStackViews(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """An endless stream of augmented slices with their neighbours (3, rows, columns), or without (1, rows, columns), and their classes.

    The three slices are turned, scaled and changed in contrast alike; noise differs. The stream is the same with and without neighbours.
    """

    def __init__(self, sources: Sequence[Sequence[LabelledStack]], config: SpineTraining, neighbours: bool, start: int) -> None:
        self.sources = [{name: [s for s in stacks if s.patient == name] for name in sorted({s.patient for s in stacks})} for stacks in sources]
        self.config, self.neighbours, self.start = config, neighbours, start

    def __iter__(self):  # type: ignore[no-untyped-def]
        rng = np.random.default_rng((self.config.fit.seed, self.start))
        while True:
            patients = self.sources[rng.integers(len(self.sources))]
            stacks = patients[sorted(patients)[rng.integers(len(patients))]]
            stack = stacks[rng.integers(len(stacks))]
            images, labels = self._view(stack, stack.drawn[rng.integers(len(stack.drawn))], rng)
            yield torch.from_numpy(images if self.neighbours else images[1:2]), torch.from_numpy(labels.astype(np.int64))

    def _view(self, stack: LabelledStack, k: int, rng: Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        before, after = stack.neighbours(k)
        if rng.random() < DROPPED:
            before = after = None
        present = {place: number for place, number in enumerate((before, k, after)) if number is not None}
        options, zoom = self.config.augment, self.config.pixel_mm / stack.pixel_mm
        seed = int(rng.integers(2**62))
        views = {
            place: random_view(stack.images[n], stack.labels[n], self.config.view, zoom, options, np.random.default_rng(seed)) for place, n in present.items()
        }
        tissues = {place: np.where(labels >= UNSURE, 0, labels) for place, (_, labels) in views.items()}
        noise = rng.uniform(*NOISE) if rng.random() < options.noise_probability else 0.0
        quiet = replace(options, noise_probability=0.0)
        images = np.zeros((3, *self.config.view), dtype=np.float32)
        for place, (image, _) in views.items():
            # One corner pixel of the last class: the number of classes decides how many random numbers are drawn.
            own = tissues[place].copy()
            own[0, 0] = len(CLASSES) - 1
            images[place] = _noisy(random_contrast(image, own, quiet, np.random.default_rng(seed)), noise, rng)
        return images, views[1][1]


def _noisy(image: NDArray[np.float32], sigma: float, rng: Generator) -> NDArray[np.float32]:
    """`image` with Rician noise of `sigma` times its range of grey values, zero mean and unit variance."""
    low, high = np.percentile(image, (0.5, 99.5))
    grey = (image - low) / max(float(high - low), 1e-6)
    grey = np.hypot(grey + rng.normal(0, sigma, image.shape), rng.normal(0, sigma, image.shape)) if sigma else grey
    return np.asarray((grey - grey.mean()) / max(float(grey.std()), 1e-6), dtype=np.float32)


class ContextModule(Segmenter):
    """The spine network with the added classes and, as `inputs` says, one slice or three."""

    def __init__(self, config: SpineTraining, inputs: int) -> None:
        super().__init__(len(CLASSES), config.features, config.learning_rate, config.schedule_steps or config.fit.steps)
        self.network = UNet(len(CLASSES), config.features, inputs)

    def start_from(self, weights: dict[str, torch.Tensor]) -> None:
        """Take the weights of the two-dimensional network of six classes; the outputs of these classes stay as they were."""
        own = self.state_dict()
        for name, tensor in weights.items():
            if tensor.shape == own[name].shape:
                own[name] = tensor
            elif name.startswith("network.head"):
                own[name] = torch.zeros_like(own[name]) if tensor.ndim > 1 else torch.full_like(own[name], ADDED_BIAS)
                own[name][: len(tensor)] = tensor
            else:
                own[name] = torch.zeros_like(own[name])
                own[name][:, own[name].shape[1] // 2] = tensor[:, 0]
        self.load_state_dict(own)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """Loss of one batch of images (batch, inputs, rows, columns) and classes, UNSURE or IGNORED (batch, rows, columns)."""
        image, target = batch
        loss = partial_loss(self.network(image), target)
        self.log("loss", loss, prog_bar=True)
        return loss


def partial_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice; where the target is UNSURE, background and the added classes count as one (marginal loss, Shi et al. 2021)."""
    scores = logits.float().log_softmax(dim=1)
    unsure, known = target == UNSURE, target != IGNORED
    either = torch.logsumexp(scores[:, [0, *ADDED]], dim=1)
    plain = torch.where(unsure | ~known, 0, target)
    own = scores.gather(1, plain[:, None])[:, 0]
    entropy = -torch.where(unsure, either, own)[known].mean()
    probabilities = scores.exp()[:, 1:]
    one_hot = torch.nn.functional.one_hot(plain, scores.shape[1]).movedim(-1, 1)[:, 1:].to(probabilities.dtype)
    counted = known[:, None].expand_as(one_hot).clone()
    counted[:, ADDED[0] - 1 :] &= ~unsure[:, None]
    probabilities = probabilities * counted
    overlap, size = (probabilities * one_hot).sum(dim=(0, 2, 3)), (probabilities + one_hot).sum(dim=(0, 2, 3))
    present = one_hot.sum(dim=(0, 2, 3)) > 0
    present[: ADDED[0] - 1] = True
    return entropy + 1 - ((2 * overlap + 1) / (size + 1))[present].mean()
