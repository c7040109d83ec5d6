"""An endless stream of batches of whole studies for training the graders of axial crops and foramina (needs lumbar[train])."""

import itertools
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from lumbar.training.fit import FitOptions

Batch = TypeVar("Batch")
Size = tuple[int, int]  # rows, columns


class StreamOptions(Protocol):
    """Training options used by the stream."""

    @property
    def fit(self) -> FitOptions:
        """Seed and number of steps."""
        ...

    @property
    def studies_per_batch(self) -> int:
        """Studies in one batch."""
        ...

    @property
    def coarse_share(self) -> float:
        """Share of the steps at the coarse size."""
        ...

    @property
    def alone_probability(self) -> float:
        """Probability that the crops of a study do not attend to each other."""
        ...

    @property
    def absence_probability(self) -> float:
        """Probability that a crop is left out of its study."""
        ...


class StudyStream(IterableDataset[Batch]):
    """Batches of augmented studies; each study is used once per epoch."""

    def __init__(self, studies: NDArray[np.str_], options: StreamOptions, start: int, sizes: tuple[Size, Size]) -> None:
        """Take the study of each crop (n,), the step to begin at, and the coarse and the full size of crops."""
        self.start, self.sizes = start, sizes
        self.rank = 0  # of this process among several that train together; set before training
        self._options = options
        _, owners = np.unique(studies, return_inverse=True)
        order = np.argsort(owners, kind="stable")
        self.members = np.split(order, np.flatnonzero(np.diff(owners[order])) + 1)

    def __iter__(self) -> Iterator[Batch]:
        options = self._options
        rng = np.random.default_rng((options.fit.seed, self.start, self.rank))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        queue: list[int] = []
        for step in itertools.count(self.start):
            size = self.sizes[0] if step < options.coarse_share * options.fit.steps else self.sizes[1]
            while len(queue) < options.studies_per_batch:
                queue += rng.permutation(len(self.members)).tolist()
            drawn, queue = queue[: options.studies_per_batch], queue[options.studies_per_batch :]
            yield self.batch(*self._chosen(drawn, rng), rng, generator, size)

    @abstractmethod
    def batch(self, chosen: list[int], owners: list[int], rng: np.random.Generator, generator: torch.Generator, size: Size) -> Batch:
        """One batch of the crops `chosen`; crops with equal numbers in `owners` attend to each other."""

    def _chosen(self, drawn: Sequence[int], rng: np.random.Generator) -> tuple[list[int], list[int]]:
        chosen: list[int] = []
        owners: list[int] = []
        for place, study in enumerate(drawn):
            members = self.members[study]
            kept = members[rng.random(len(members)) >= self._options.absence_probability]
            kept = kept if len(kept) else members
            alone = rng.random() < self._options.alone_probability
            chosen += kept.tolist()
            owners += [100 * (place + 1) + (i if alone else 0) for i in range(len(kept))]
        return chosen, owners


def partners(levels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """(n,) for each crop another crop of the batch at the same level (n,), for mixup."""
    partner = torch.arange(len(levels))
    for level in torch.unique(levels):
        same = torch.nonzero(levels == level).flatten()
        partner[same] = same[torch.randperm(len(same), generator=generator)]
    return partner
