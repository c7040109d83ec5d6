"""The disc network: convolutions per disc, then attention over the discs of an image, as grades are read against neighbours and CSF."""

from dataclasses import dataclass

import torch
from torch import nn

from lumbar.training.attention import RelativeAttention
from lumbar.training.residual import Encoder

GRADES = 5
_REACH = 4  # distances in levels that attention distinguishes


@dataclass(frozen=True)
class DiscNetworkOptions:
    """Size of the network."""

    features: tuple[int, ...] = (16, 32, 64, 96)  # channels of the stages; the first works at half resolution
    blocks: tuple[int, ...] = (1, 2, 2, 1)  # residual blocks of each stage
    width: int = 64  # of the tokens
    layers: int = 2  # of attention
    heads: int = 4
    dropout: float = 0.2
    measurements: int = 0  # number of measurements per disc as additional input; 0: images only
    findings: int = 6  # binary findings


class DiscNetwork(nn.Module):
    """Pfirrmann logits and logits of findings for the discs of any number of images."""

    def __init__(self, options: DiscNetworkOptions) -> None:
        super().__init__()
        self.options = options
        width, dropout = options.width, options.dropout
        self.encoder = Encoder(options.features, options.blocks)
        self.project = nn.Sequential(nn.Dropout(dropout), nn.Linear(options.features[-1], width), nn.LayerNorm(width))
        self.place = nn.Embedding(8, width)
        nn.init.normal_(self.place.weight, std=0.02)
        if options.measurements:
            self.measured = nn.Sequential(nn.Linear(2 * options.measurements, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width))
        self.attention = nn.ModuleList(RelativeAttention(width, options.heads, dropout, 2 * _REACH + 1) for _ in range(options.layers))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, GRADES + options.findings))

    def forward(self, crops: torch.Tensor, steps_up: torch.Tensor, images: torch.Tensor, measurements: torch.Tensor) -> torch.Tensor:
        """Logits (n, 5 + findings) of `crops` (n, 3, rows, columns), see `disc_input`, `steps_up` (n,) discs above L5/S1, of `images` (n,) any numbers.

        `measurements` (n, k) are scaled, 0 where missing.
        """
        tokens = self.project(self.encoder(crops)) + self.place(steps_up)
        if self.options.measurements:
            tokens = tokens + self.measured(torch.cat([measurements, measurements**2 - 1], dim=1))
        relation = (steps_up[None, :] - steps_up[:, None]).clamp(-_REACH, _REACH) + _REACH
        apart = images[:, None] != images[None, :]
        for layer in self.attention:
            tokens = layer(tokens, relation, apart)
        logits: torch.Tensor = self.head(tokens)
        return logits
