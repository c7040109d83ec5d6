"""The network that grades foramina: one encoder for all foramina, then attention among the foramina of a study."""

from dataclasses import dataclass

import torch
from torch import nn

from lumbar.severity.foramina.grader import RELATED
from lumbar.severity.score import GRADES
from lumbar.training.attention import RelativeAttention
from lumbar.training.residual import Encoder

_LEVELS = 5
_LEVEL_STEPS = 2 * _LEVELS - 1  # differences between five levels: −4 … 4
_RELATIONS = 2 * _LEVEL_STEPS  # on the same side, or on the other side


@dataclass(frozen=True)
class NetworkOptions:
    """Size of the network."""

    features: tuple[int, ...] = (32, 48, 96, 160)  # channels of the stages; the first works at half resolution
    blocks: tuple[int, ...] = (1, 2, 2, 2)  # residual blocks of each stage
    width: int = 128  # of the tokens
    layers: int = 2  # of attention
    heads: int = 4
    dropout: float = 0.2


class ForamenNetwork(nn.Module):
    """Sagittal crops are alike on both sides, so that all foramina share the encoder, and nothing depends on left or right.

    The features of a crop are averaged over the whole crop and over its middle. A foramen attends to the foramina of the same study; the attention bias
    depends on whether they are on the same side and on their distance in levels.
    """

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        self.encoder = Encoder(options.features, options.blocks, inputs=1)
        width = options.width
        self.token = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(2 * options.features[-1], width), nn.LayerNorm(width))
        self.level = nn.Embedding(_LEVELS, width)
        nn.init.normal_(self.level.weight, std=0.02)
        self.attention = nn.ModuleList(RelativeAttention(width, options.heads, options.dropout, _RELATIONS) for _ in range(options.layers))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Dropout(options.dropout), nn.Linear(width, GRADES))
        self.related_head = nn.Sequential(nn.LayerNorm(width), nn.Dropout(options.dropout), nn.Linear(width, RELATED * GRADES))

    def forward(self, crops: torch.Tensor, levels: torch.Tensor, sides: torch.Tensor, studies: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (n, 3) of `crops` (n, 1, 72, 64), each of zero mean and unit variance, and (n, 2, 3) of the canal at their level and the recess on their side.

        `levels` (n,) are 0 … 4, `sides` (n,) 0 or 1, `studies` (n,) any numbers; foramina attend to those with the same number.
        """
        tokens = self.tokens(crops, levels, sides, studies)
        return self.head(tokens), self.related_head(tokens).unflatten(1, (RELATED, GRADES))

    def tokens(self, crops: torch.Tensor, levels: torch.Tensor, sides: torch.Tensor, studies: torch.Tensor) -> torch.Tensor:
        """What is known of each foramen (n, width) after it has attended to the others; arguments as of `forward`."""
        features = self.encoder.stages(self.encoder.stem(crops))
        rows, columns = features.shape[-2] // 4, features.shape[-1] // 4
        middle = features[..., rows : features.shape[-2] - rows, columns : features.shape[-1] - columns]
        tokens: torch.Tensor = self.token(torch.cat([features.mean((2, 3)), middle.mean((2, 3))], 1)) + self.level(levels)
        step = levels[None, :] - levels[:, None] + _LEVELS - 1
        other_side = (sides[None, :] != sides[:, None]).long()
        apart = studies[None, :] != studies[:, None]
        for layer in self.attention:
            tokens = layer(tokens, other_side * _LEVEL_STEPS + step, apart)
        return tokens
