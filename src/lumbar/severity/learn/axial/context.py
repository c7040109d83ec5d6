"""A head on frozen features that corrects the grades of a trained `Hybrid` by the levels above and below (needs lumbar[train])."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from lumbar.severity.axial.data import UNLABELLED
from lumbar.severity.learn.axial.network import Hybrid, NetworkOptions
from lumbar.severity.score import GRADE_WEIGHTS, GRADES

CORRECTED = (0, 3, 4)  # places in `Condition`: the canal, the left and the right recess
_LEVELS = 5


@dataclass(frozen=True)
class HeadOptions:
    """Size and training of the head."""

    hidden: int = 64
    dropout: float = 0.3
    epochs: int = 4  # few: the features fit the training studies better than new ones
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.1


@dataclass(frozen=True, eq=False)
class FrozenCrops:
    """What a trained network makes of the crops of one draw of augmentation."""

    left: torch.Tensor  # (n, channels) encoder features
    right: torch.Tensor
    logits: torch.Tensor  # (n, 5, 3)
    levels: torch.Tensor  # (n,) 0 … 4
    studies: torch.Tensor  # (n,) numbers

    @cached_property
    def seen(self) -> torch.Tensor:
        """What the head sees of each crop; see `surroundings`."""
        return surroundings(self.left, self.right, self.levels, self.studies)


class ContextHead(nn.Module):
    """Corrections of logits: zero before training. Both recesses share their part, as both sides share the encoder."""

    def __init__(self, channels: int, options: HeadOptions) -> None:
        super().__init__()
        self.canal, self.recess = (_part(6 * channels, options) for _ in range(2))
        self.level = nn.Embedding(_LEVELS, 2 * GRADES)
        nn.init.zeros_(self.level.weight)

    def forward(self, seen: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        """(n, 3, 3) for `CORRECTED`, from `surroundings` (n, 3, features) at `levels` (n,)."""
        canal, recess = self.level(levels).reshape(-1, 2, GRADES).unbind(1)
        return torch.stack([self.canal(seen[:, 0]) + canal, self.recess(seen[:, 1]) + recess, self.recess(seen[:, 2]) + recess], dim=1)


def surroundings(left: torch.Tensor, right: torch.Tensor, levels: torch.Tensor, studies: torch.Tensor) -> torch.Tensor:
    """(n, 3, 6 × channels) for `CORRECTED`: features of a crop, and the means of those one level above and one below in its study, 0 where there are none."""
    mean = (left + right) / 2
    own = torch.stack([torch.cat([mean, mean], 1), torch.cat([left, right], 1), torch.cat([right, left], 1)], dim=1)
    same = studies[:, None] == studies[None, :]
    near = []
    for step in (-1, 1):
        chosen = (same & (levels[None, :] == levels[:, None] + step)).to(own.dtype)
        near.append((chosen @ own.flatten(1) / chosen.sum(1, keepdim=True).clamp_min(1)).reshape(own.shape))
    return torch.cat([own, *near], dim=-1)


class Corrected(Hybrid):
    """A trained network with heads. Its own weights keep their names, so that a plain `Hybrid` can be loaded from its export."""

    def __init__(self, options: NetworkOptions, heads: Sequence[ContextHead]) -> None:
        super().__init__(options)
        self.heads = nn.ModuleList(heads)

    def forward(self, crops: torch.Tensor, levels: torch.Tensor, studies: torch.Tensor) -> torch.Tensor:
        """Logits (n, 5, 3) with the corrections of the heads; arguments as of `Hybrid.forward`."""
        left, right = self.sides(crops)
        return corrected(list(self.heads), FrozenCrops(left, right, self.grade(left, right, levels, studies), levels, studies))


def corrected(heads: Sequence[nn.Module], crops: FrozenCrops) -> torch.Tensor:
    """Logits (n, 5, 3): the logarithm of the mean of the network's own probabilities and of those corrected by `heads`."""
    own = crops.logits[:, list(CORRECTED)]
    better = torch.stack([(own + head(crops.seen, crops.levels)).softmax(-1) for head in heads]).mean(0)
    mixed = ((better + own.softmax(-1)) / 2).log()
    return torch.stack([mixed[:, CORRECTED.index(place)] if place in CORRECTED else crops.logits[:, place] for place in range(crops.logits.shape[1])], dim=1)


def fit_head(draws: Sequence[FrozenCrops], labels: torch.Tensor, chosen: torch.Tensor, options: HeadOptions, seed: int) -> ContextHead:
    """A head trained on the crops `chosen` (indices) with `labels` (n, 5), −1 where unlabelled; each step takes one of the `draws` of augmentation."""
    torch.manual_seed(seed)
    head = ContextHead(draws[0].left.shape[1], options)
    steps = options.epochs * len(chosen) // options.batch
    optimizer = torch.optim.AdamW(head.parameters(), options.learning_rate, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, total_steps=steps)
    weights = torch.tensor(GRADE_WEIGHTS)
    for _ in range(steps):
        rows, draw = chosen[torch.randint(len(chosen), (options.batch,))], draws[int(torch.randint(len(draws), (1,)))]
        logits = draw.logits[rows][:, list(CORRECTED)] + head(draw.seen[rows], draw.levels[rows])
        target = labels[rows][:, list(CORRECTED)]
        weight = weights[target.clamp_min(0)] * (target != UNLABELLED)
        losses = nn.functional.cross_entropy(logits.flatten(0, 1), target.clamp_min(0).flatten(), reduction="none")
        optimizer.zero_grad()
        torch.autograd.backward((losses * weight.flatten()).sum() / weight.sum())
        optimizer.step()
        schedule.step()
    return head.eval()


def _part(inputs: int, options: HeadOptions) -> nn.Sequential:
    last = nn.Linear(options.hidden, GRADES)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.LayerNorm(inputs), nn.Dropout(options.dropout), nn.Linear(inputs, options.hidden), nn.GELU(), nn.Dropout(options.dropout), last)
