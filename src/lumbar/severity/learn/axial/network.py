"""The grading networks: `hybrid` (convolutions per side, attention over the crops of a study) and `vit` (a plain vision transformer per crop).

Both map the axial crops of any number of studies to logits (crops, 5, 3): the five conditions in the order of `domain.anatomy.Condition`, the three
grades from normal/mild to severe. A crop is (3, rows, columns): three neighbouring slices, the disc level in the middle, the patient's left at the
right edge.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from lumbar.severity.axial.network_input import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.score import GRADES
from lumbar.training.attention import RelativeAttention
from lumbar.training.efficientnet import WIDTH as EFFICIENTNET_WIDTH
from lumbar.training.efficientnet import EfficientNetLite
from lumbar.training.residual import Encoder

_LEFT, _RIGHT, _CANAL = 0, 1, 2
# Relation of a token (row) to another (column): same side, other side, side to canal, canal to side, canal to canal.
_RELATIONS = ((0, 1, 2), (1, 0, 2), (3, 3, 4))
_KINDS = 5  # of relations
_LEVEL_STEPS = 9  # differences between five levels: −4 … 4


@dataclass(frozen=True)
class NetworkOptions:
    """Type and size of the network."""

    kind: str = "hybrid"  # or "vit"
    encoder: str = "residual"  # of the hybrid; or "efficientnet", the first stages of EfficientNet-Lite0, whose size is fixed
    features: tuple[int, ...] = (24, 48, 96, 160)  # channels of the stages; the first works at half resolution
    blocks: tuple[int, ...] = (1, 2, 2, 2)  # residual blocks of each stage
    width: int = 128  # of the tokens
    layers: int = 2  # of attention (the vit: three times as many)
    heads: int = 4
    dropout: float = 0.2


def build(options: NetworkOptions) -> nn.Module:
    """The network described by `options`; it is called with (crops, levels, studies), see `Hybrid.forward`."""
    kinds: dict[str, Callable[[NetworkOptions], nn.Module]] = {"hybrid": Hybrid, "vit": VisionTransformer}
    return kinds[options.kind](options)


class Hybrid(nn.Module):
    """One encoder processes both sides, the right one mirrored; then the crops of a study attend to each other.

    The left and right tokens of a crop and a third for its canal attend to all tokens of the same study. The attention bias depends on the relation of
    two tokens (same side, other side, canal) and their distance in levels, never on left or right.
    """

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        efficient = options.encoder == "efficientnet"
        self.encoder = EfficientNetLite() if efficient else Encoder(options.features, options.blocks)
        deep, width = EFFICIENTNET_WIDTH if efficient else options.features[-1], options.width
        self.side = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(2 * deep, width), nn.LayerNorm(width))
        self.canal = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(deep, width), nn.LayerNorm(width))
        self.level = nn.Embedding(5, width)
        nn.init.normal_(self.level.weight, std=0.02)
        self.attention = nn.ModuleList(RelativeAttention(width, options.heads, options.dropout, _KINDS * _LEVEL_STEPS) for _ in range(options.layers))
        self.canal_head = _head(width, options.dropout)
        self.foramen_head = _head(width, options.dropout)
        self.recess_head = _head(width, options.dropout)

    def forward(self, crops: torch.Tensor, levels: torch.Tensor, studies: torch.Tensor) -> torch.Tensor:
        """Logits (n, 5, 3) of `crops` (n, 3, 96, 136), each of zero mean and unit variance, at `levels` (n,) 0 … 4, of `studies` (n,) any numbers."""
        return self.grade(*self.sides(crops), levels, studies)

    def sides(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder features (n, channels) of the left side and of the mirrored right side of `crops`."""
        # The part of one side: its half and the whole canal, which spans 0.33 to 0.67 of the width on real crops.
        start = crops.shape[-1] * 5 // 17
        return self.encoder(crops[..., start:]), self.encoder(crops.flip(-1)[..., start:])

    def grade(self, left: torch.Tensor, right: torch.Tensor, levels: torch.Tensor, studies: torch.Tensor) -> torch.Tensor:
        """Logits (n, 5, 3) from the features of both sides; `levels` and `studies` as of `forward`."""
        place = self.level(levels)
        tokens = torch.cat(
            [self.side(torch.cat([left, right], 1)) + place, self.side(torch.cat([right, left], 1)) + place, self.canal((left + right) / 2) + place]
        )
        kinds = torch.cat([torch.full_like(levels, kind) for kind in (_LEFT, _RIGHT, _CANAL)])
        places, owners = levels.repeat(3), studies.repeat(3)
        relation = torch.tensor(_RELATIONS, device=levels.device)[kinds[:, None], kinds[None, :]]
        step = places[None, :] - places[:, None] + _LEVEL_STEPS // 2
        apart = owners[:, None] != owners[None, :]
        for layer in self.attention:
            tokens = layer(tokens, relation * _LEVEL_STEPS + step, apart)
        left, right, canal = tokens.reshape(3, levels.shape[0], -1)  # chunk(3) and len() would freeze the number of crops on export
        heads = [self.canal_head(canal), self.foramen_head(left), self.foramen_head(right), self.recess_head(left), self.recess_head(right)]
        return torch.stack(heads, dim=1)


class VisionTransformer(nn.Module):
    """A plain vision transformer (Dosovitskiy et al. 2021) on one crop alone: patches of 16 × 16, a class token, a head per condition."""

    patch = 16

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        count = (CROP_ROWS // self.patch) * -(-CROP_COLUMNS // self.patch)
        self.patches = nn.Conv2d(3, options.width, self.patch, self.patch)
        self.token = nn.Parameter(torch.zeros(1, 1, options.width))
        self.place = nn.Parameter(torch.randn(1, count + 1, options.width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            options.width, options.heads, 4 * options.width, options.dropout, nn.functional.gelu, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 3 * options.layers, nn.LayerNorm(options.width), enable_nested_tensor=False)
        self.head = nn.Linear(options.width, 5 * GRADES)

    def forward(self, crops: torch.Tensor, levels: torch.Tensor, studies: torch.Tensor) -> torch.Tensor:
        """As `Hybrid.forward`; `levels` and `studies` are ignored."""
        patches = self.patches(nn.functional.pad(crops, (0, -CROP_COLUMNS % self.patch))).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(crops.shape[0], -1, -1), patches], dim=1) + self.place
        logits: torch.Tensor = self.head(self.layers(tokens)[:, 0])
        return logits.reshape(-1, 5, GRADES)


def _head(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout), nn.Linear(width, GRADES))
