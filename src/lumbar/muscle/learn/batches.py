"""Random batches: where a view lies and how it is bent, for a whole batch at once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from lumbar.muscle.labels import MIRRORED
from lumbar.muscle.learn.grey_slices import GreySlice, Source
from lumbar.muscle.learn.partial_labels import UNSURE
from lumbar.muscle.learn.sequence_contrast import ContrastOptions, random_images

_NARROW_PIXELS = 40.0  # distance from the midline over which narrowing falls by e; 32 mm
_MIRRORED = torch.tensor((*MIRRORED, UNSURE))
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class BatchOptions:
    """Ranges of the random geometry and the mixture of sources."""

    view: tuple[int, int] = (192, 256)  # rows, columns; 154 × 205 mm
    size: int = 8
    shares: Mapping[Source, float] = field(
        default_factory=lambda: {Source.T1: 0.5, Source.T2: 0.45, Source.DIXON: 0.12, Source.PHANTOM: 0.14, Source.DRAWN: 0.14, Source.PSEUDO: 0.2}
    )
    rotation_degrees: float = 15.0
    log_scale: float = 0.25
    log_stretch: float = 0.12  # of rows against columns
    shear: float = 0.08
    bend_pixels: float = 4.0  # spread of displacements drawn every 32 mm
    narrow_probability: float = 0.4  # the multifidus narrowed towards the midline, as it is at the upper levels, or widened
    narrow: tuple[float, float] = (-0.3, 1.4)  # relative compression at the midline
    jitter_pixels: tuple[float, float] = (26.0, 26.0)
    frame_probability: float = 0.25  # a smaller field of view: nothing beyond a random frame
    contrast: ContrastOptions = field(default_factory=ContrastOptions)


class RandomBatches(IterableDataset[Batch]):
    """An endless stream of batches; sources are sampled by `shares`, then people with equal probability, then one of their slices."""

    def __init__(self, slices: Sequence[GreySlice], options: BatchOptions, seed: tuple[int, ...]) -> None:
        groups: dict[Source, dict[str, list[GreySlice]]] = {}
        for one in slices:
            groups.setdefault(one.source, {}).setdefault(one.patient, []).append(one)
        self.groups = [[people[name] for name in sorted(people)] for people in groups.values()]
        weights = np.array([options.shares[source] for source in groups])
        self.weights = weights / weights.sum()
        self.options = options
        self.seed = seed

    def __iter__(self) -> Iterator[Batch]:
        rng = np.random.default_rng(self.seed)
        torch.manual_seed(int(rng.integers(2**31)))
        while True:
            chosen = []
            for group in rng.choice(len(self.groups), self.options.size, p=self.weights):
                own = self.groups[group][rng.integers(len(self.groups[group]))]
                chosen.append(own[rng.integers(len(own))])
            yield random_batch(chosen, self.options, rng)


def random_batch(chosen: Sequence[GreySlice], options: BatchOptions, rng: Generator) -> Batch:
    """Images (batch, 1, rows, columns), classes (batch, rows, columns) and whether all classes are labelled (batch,)."""
    count = len(chosen)
    planes = torch.zeros((count, 2, *chosen[0].labels.shape))
    for k, one in enumerate(chosen):
        planes[k, : len(one.planes)] = torch.from_numpy(one.planes).float()
    labels = torch.from_numpy(np.stack([one.labels for one in chosen]))
    points = _points(count, chosen[0].labels.shape, options, rng)
    seen = torch.nn.functional.grid_sample(planes, points, mode="bilinear", align_corners=True)
    target = torch.nn.functional.grid_sample(labels[:, None].float(), points, mode="nearest", align_corners=True)[:, 0].long()
    inside = _frames(count, options, rng)
    images = random_images(seen, target, chosen, options.contrast, rng)
    lowest = images.amin(dim=(1, 2), keepdim=True)
    images = torch.where(inside, images, lowest)
    images = (images - images.mean(dim=(1, 2), keepdim=True)) / images.std(dim=(1, 2), keepdim=True).clamp_min(1e-6)
    target = torch.where(inside, target, 0)
    for k in map(int, np.flatnonzero(rng.random(count) < 0.5)):
        images[k], target[k] = images[k].flip(1), _MIRRORED[target[k].flip(1)]
    return images[:, None], target, torch.tensor([one.complete for one in chosen])


def _points(count: int, stored: tuple[int, ...], options: BatchOptions, rng: Generator) -> torch.Tensor:
    """(batch, rows, columns, 2) where each pixel of the view lies in the stored slices, in the coordinates of `grid_sample`."""
    rows, columns = options.view
    y, x = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in (rows, columns))
    out = np.empty((count, rows, columns, 2), np.float32)
    for k in range(count):
        angle = np.deg2rad(np.clip(rng.normal(0, 0.5), -1, 1) * options.rotation_degrees)
        scale = np.exp(-rng.uniform(-1, 1) * options.log_scale)
        stretch = np.exp(rng.uniform(-0.5, 0.5, 2) * options.log_stretch * 2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.array([[stretch[0], rng.uniform(-1, 1) * options.shear], [rng.uniform(-1, 1) * options.shear, stretch[1]]]) * scale
        middle = (np.array(stored) - 1) / 2 + rng.uniform(-1, 1, 2) * options.jitter_pixels
        out[k, ..., 1] = matrix[0, 0] * y[:, None] + matrix[0, 1] * x[None] + middle[0]
        out[k, ..., 0] = matrix[1, 0] * y[:, None] + matrix[1, 1] * x[None] + middle[1]
        if rng.random() < options.narrow_probability:
            out[k, ..., 0] = _narrowed(out[k, ..., 0], (stored[1] - 1) / 2, rng.uniform(*options.narrow))
    strength = rng.uniform(0, 1, (count, 1, 1, 1)) * options.bend_pixels
    coarse = torch.from_numpy((rng.normal(0, 1, (count, 2, 6, 8)) * strength).astype(np.float32))
    bends = torch.nn.functional.interpolate(coarse, size=options.view, mode="bicubic", align_corners=True).movedim(1, -1)
    limits = torch.tensor([stored[1] - 1, stored[0] - 1], dtype=torch.float32)
    return 2 * (torch.from_numpy(out) + bends) / limits - 1


def _narrowed(columns: NDArray[np.float32], middle: float, strength: float) -> NDArray[np.float32]:
    """`columns` of the stored slice, moved away from the midline so that the view shows what is near it narrower by `1 + strength`.

    Readers labelled T1 at L4/L5 only, where the multifidus is as wide as the erector spinae; at L1 to L3 it is a third as wide.
    """
    off = columns - np.float32(middle)
    return np.asarray(middle + off * (1 + strength * np.exp(-np.abs(off) / _NARROW_PIXELS)), np.float32)


def _frames(count: int, options: BatchOptions, rng: Generator) -> torch.Tensor:
    """(batch, rows, columns) what lies in the field of view."""
    rows, columns = options.view
    inside = torch.ones((count, rows, columns), dtype=torch.bool)
    for k in np.flatnonzero(rng.random(count) < options.frame_probability):
        inside[k] = False
        top, left, right = rng.uniform(0, 0.3) * rows, rng.uniform(0, 0.3) * columns, rng.uniform(0.7, 1) * columns
        bottom = rows if rng.random() < 0.6 else rng.uniform(0.75, 1) * rows
        inside[k, int(top) : int(bottom), int(left) : int(right)] = True
    return inside
