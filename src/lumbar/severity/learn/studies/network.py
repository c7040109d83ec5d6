"""The grading networks for whole studies: `hybrid` (an encoder per view, then attention over slices, views and levels) and `vit` (each crop separately).

Both map the crops of n studies to logits (n, 5 conditions, 5 levels, 3 grades). Missing crops are masked: training and inference work with axial crops
only, with sagittal series only, and with both.

    canal    (n, 5 levels, 1, sagittal channels, 64, 64)   slices from the patient's right to left
    foramen  (n, 5 levels, 2 sides, sagittal channels, 64, 64)   slices from the middle outwards
    axial    (n, 5 levels, 1, axial channels, 96, 136)   the patient's left at the right edge
    present  (n, 5 levels, 4 slots)   1 where there is a crop
    measures (n, 5 levels, 2 × measures)   standardised values, then 1 where there is one; zeros without the spine model

Channels are grey slices (three of an axial crop; three or five of a sagittal one; with five, each slice and its two neighbours form a token)
and, optionally, the classes of the middle slice from the spine model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lumbar.severity.learn.encoders import build_encoder
from lumbar.severity.score import GRADES
from lumbar.severity.studies.data import InputOptions
from lumbar.severity.studies.views import MASKS, MEASURES

Views = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]
LEVELS = 5

# Kinds of tokens; with five sagittal slices, those beside the middle one have kinds of their own.
_CANAL, _FORAMEN, _AXIAL_SIDE, _AXIAL_MIDDLE, _MEASURES, _QUERY_CANAL, _QUERY_FORAMEN, _QUERY_RECESS, _CANAL_BESIDE, _FORAMEN_INNER, _FORAMEN_OUTER = range(11)
_KINDS = 11
# (kind, side: 0 none, 1 left, 2 right, index of the crop) of the image tokens of a level.
_SEEN = ((_CANAL, 0, 0), (_FORAMEN, 1, 1), (_FORAMEN, 2, 2), (_AXIAL_SIDE, 1, 3), (_AXIAL_SIDE, 2, 3), (_AXIAL_MIDDLE, 0, 3))
_SEEN_BESIDE = ((_CANAL_BESIDE, 1, 0), (_CANAL_BESIDE, 2, 0), (_FORAMEN_INNER, 1, 1), (_FORAMEN_INNER, 2, 2), (_FORAMEN_OUTER, 1, 1), (_FORAMEN_OUTER, 2, 2))
_QUERIES = ((_QUERY_CANAL, 0), (_QUERY_FORAMEN, 1), (_QUERY_FORAMEN, 2), (_QUERY_RECESS, 1), (_QUERY_RECESS, 2))  # in the order of `Condition`
_OWN = ((0, 5), (1, 3), (2, 4), (3, 5), (4, 5))  # tokens of `_SEEN` that initialise each query


@dataclass(frozen=True)
class StudyNetworkOptions:
    """Type and size of the network."""

    kind: str = "hybrid"  # or "vit"
    encoder: str = "small"  # see `encoders.py`
    pretrained: bool = False  # only for encoders of timm
    width: int = 128
    layers: int = 2  # of attention (the vit: three times as many)
    heads: int = 4
    dropout: float = 0.1
    masks: bool = False  # the spine model's classes as further channels
    measures: bool = False  # its measurements as a further token per level
    cross_level: bool = True  # levels attend to each other
    mirror: bool = True  # left and right share weights by mirroring
    slices: int = 3  # of a sagittal crop, 3 or 5; with five, attention runs over slices too, at three times the time for sagittal crops

    @property
    def inputs(self) -> InputOptions:
        """The stored data that the network uses."""
        return InputOptions(self.masks, self.slices)

    @property
    def channels(self) -> int:
        """Channels of an axial crop, and of the input of an encoder: three slices at a time."""
        return 3 + MASKS * self.masks

    @property
    def sagittal_channels(self) -> int:
        """Channels of a sagittal crop."""
        return self.slices + MASKS * self.masks


def build_study_network(options: StudyNetworkOptions) -> nn.Module:
    """The network described by `options`."""
    kinds: dict[str, Callable[[StudyNetworkOptions], nn.Module]] = {"hybrid": StudyHybrid, "vit": StudyVit}
    return kinds[options.kind](options)


class StudyHybrid(nn.Module):
    """Tokens of all crops and five query tokens per level attend to each other; the queries yield the grades.

    The network is symmetric in left and right: the right half of an axial crop is mirrored, foraminal slices run outwards on both sides, canal slices
    beside the middle enter as their mean and difference, and the attention bias distinguishes only "same side" and "other side".
    """

    def __init__(self, options: StudyNetworkOptions) -> None:
        super().__init__()
        self.options = options
        self.canal, canal_width = build_encoder(options.encoder, options.channels, options.pretrained)
        self.foramen, foramen_width = build_encoder(options.encoder, options.channels, options.pretrained)
        self.axial, axial_width = build_encoder(options.encoder, options.channels, options.pretrained)
        width = options.width
        self.project = nn.ModuleList(_projection(inputs, width, options.dropout) for inputs in (canal_width, foramen_width, 2 * axial_width, axial_width))
        self.measured = nn.Sequential(nn.Linear(2 * len(MEASURES), width), nn.GELU(), nn.Linear(width, width))
        self.ask = nn.Embedding(3, width)
        self.level = nn.Embedding(LEVELS, width)
        for table in (self.ask, self.level):
            nn.init.normal_(table.weight, std=0.02)
        self.seen = _SEEN + (_SEEN_BESIDE if options.slices > 3 else ())
        tokens = ((*((kind, side) for kind, side, _ in self.seen), (_MEASURES, 0), *_QUERIES), options.cross_level)
        self.attention = nn.ModuleList(TokenAttention(width, options.heads, options.dropout, *tokens) for _ in range(options.layers))
        self.heads = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Dropout(options.dropout), nn.Linear(width, GRADES)) for _ in range(3))

    def forward(
        self, canal: torch.Tensor | None, foramen: torch.Tensor | None, axial: torch.Tensor | None, present: torch.Tensor, measures: torch.Tensor
    ) -> torch.Tensor:
        """Logits (n, 5, 5, 3); a view that no study of the batch has may be None."""
        n = present.shape[0]
        nothing = self.level.weight.new_zeros(1, LEVELS, self.options.width).expand(n, -1, -1)
        seen = [nothing] * len(self.seen)
        if canal is not None:
            seen[0], *beside = self._canal_tokens(canal[:, :, 0])
            seen[6 : 6 + len(beside)] = beside
        if foramen is not None:
            middle, *beside = self._foramen_tokens(foramen)
            seen[1], seen[2] = middle.unbind(2)
            for number, pair in enumerate(beside):
                seen[8 + 2 * number], seen[9 + 2 * number] = pair.unbind(2)
        if axial is not None:
            seen[3], seen[4], seen[5] = self._axial_tokens(axial[:, :, 0])
        known = present[:, :, [slot for _, _, slot in self.seen]]
        seen.append(self.measured(measures))
        has_measures = (measures.abs().sum(-1, keepdim=True) > 0).to(known.dtype) if self.options.measures else torch.zeros_like(known[:, :, :1])
        known = torch.cat([known, has_measures], dim=2)
        tokens = torch.stack(seen, dim=2) * known[..., None]
        queries = torch.stack([tokens[:, :, list(own)].sum(2) for own in _OWN], dim=2) + self.ask.weight[[0, 1, 1, 2, 2]]
        place = self.level.weight[None, :, None]
        everything = (torch.cat([tokens, queries], dim=2) + place).flatten(1, 2)
        hidden = torch.cat([known < 0.5, known.new_zeros(n, LEVELS, len(_QUERIES)) > 0.5], dim=2).flatten(1)
        for layer in self.attention:
            everything = layer(everything, hidden)
        outputs = everything.reshape(n, LEVELS, len(self.seen) + 1 + len(_QUERIES), -1)[:, :, len(self.seen) + 1 :]
        logits = [self.heads[head](outputs[:, :, place]) for place, head in enumerate((0, 1, 1, 2, 2))]
        return torch.stack(logits, dim=1)

    def _encode(self, encoder: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Features (..., width) of images (..., channels, rows, columns)."""
        features: torch.Tensor = encoder(images.flatten(0, images.ndim - 4).contiguous(memory_format=torch.channels_last))
        return features.reshape(*images.shape[:-3], -1)

    def _canal_tokens(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The token of (n, 5, channels, rows, columns), and with five slices those to the left and to the right, each ordered outwards."""
        middle, inner, outer = self._threes(crops)
        tokens = [self.project[0](self._encode(self.canal, _unsided(middle) if self.options.mirror else middle))]
        if self.options.slices > 3:
            right = _slices_reversed(inner) if self.options.mirror else inner
            tokens += self.project[0](self._encode(self.canal, torch.stack([outer, right], 2))).unbind(2)
        return tuple(tokens)

    def _foramen_tokens(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Tokens (n, 5, 2, width) of (n, 5, 2, channels, rows, columns): of the middle slice, and with five slices of the one inwards and outwards."""
        count = self.options.slices
        if not self.options.mirror:  # both from the patient's right to left
            crops = torch.stack([crops[:, :, 0], _slices_reversed(crops[:, :, 1], count)], 2)
        parts = self._threes(crops)[: 1 if count == 3 else 3]
        return tuple(self.project[1](self._encode(self.foramen, part)) for part in parts)

    def _threes(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Three neighbouring slices and the classes, around the middle slice, the one before, and the one after (with three slices always the same)."""
        count = self.options.slices
        classes = crops[..., count:, :, :]
        starts = (1, 0, 2) if count > 3 else (0, 0, 0)
        middle, before, after = (torch.cat([crops[..., start : start + 3, :, :], classes], -3) for start in starts)
        return middle, before, after

    def _axial_tokens(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Left, right and middle tokens of (n, 5, channels, rows, columns): each half with all of the canal, the right one mirrored."""
        start = crops.shape[-1] * 5 // 17
        right_half = crops.flip(-1)[..., start:] if self.options.mirror else crops[..., : crops.shape[-1] - start]
        left, right = self._encode(self.axial, torch.stack([crops[..., start:], right_half], 2)).unbind(2)
        both = self.project[2](torch.stack([torch.cat([left, right], -1), torch.cat([right, left], -1)], 2))
        return both[:, :, 0], both[:, :, 1], self.project[3]((left + right) / 2)


class TokenAttention(nn.Module):
    """A transformer layer over the tokens of a study, with learned biases for kinds, sides and the distance in levels."""

    relation: torch.Tensor
    step: torch.Tensor
    apart: torch.Tensor

    def __init__(self, width: int, heads: int, dropout: float, tokens: Sequence[tuple[int, int]], cross_level: bool) -> None:
        super().__init__()
        self.count = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width))
        self.drop = nn.Dropout(dropout)
        kind, side = torch.tensor(tokens).repeat(LEVELS, 1).unbind(1)
        level = torch.arange(LEVELS).repeat_interleave(len(tokens))
        sidedness = torch.where((side[:, None] == 0) | (side[None] == 0), 0, torch.where(side[:, None] == side[None], 1, 2))
        self.register_buffer("relation", (kind[:, None] * _KINDS + kind[None]) * 3 + sidedness, persistent=False)
        self.register_buffer("step", level[None] - level[:, None] + LEVELS - 1, persistent=False)
        self.register_buffer("apart", (level[:, None] != level[None]) & (not cross_level), persistent=False)
        self.by_relation, self.by_step = nn.Embedding(_KINDS * _KINDS * 3, heads), nn.Embedding(2 * LEVELS - 1, heads)
        nn.init.zeros_(self.by_relation.weight)
        nn.init.zeros_(self.by_step.weight)

    def forward(self, tokens: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Tokens (n, t, width); `hidden` (n, t) true for missing tokens."""
        query, key, value = (part.unflatten(2, (self.count, -1)).transpose(1, 2) for part in self.mix(self.before(tokens)).chunk(3, dim=2))
        bias = (self.by_relation(self.relation) + self.by_step(self.step)).permute(2, 0, 1)
        weights = (query @ key.transpose(2, 3)) * query.shape[-1] ** -0.5 + bias
        unseen = hidden[:, None, None] | self.apart[None, None]
        weights = weights.float().masked_fill(unseen, -1e9).softmax(dim=-1).to(value.dtype)
        tokens = tokens + self.drop(self.out((weights @ value).transpose(1, 2).flatten(2)))
        return tokens + self.drop(self.mlp(self.between(tokens)))


class StudyVit(nn.Module):
    """Plain vision transformers (Dosovitskiy et al. 2021), each on one crop: the canal on sagittal T2, a foramen on sagittal T1, recesses on axial T2."""

    def __init__(self, options: StudyNetworkOptions) -> None:
        super().__init__()
        if options.slices != 3:
            raise ValueError("the vit takes three slices of a crop")
        self.canal = CropVit(options, (64, 64), GRADES)
        self.foramen = CropVit(options, (64, 64), GRADES)
        self.axial = CropVit(options, (96, 136), 2 * GRADES)

    def forward(
        self, canal: torch.Tensor | None, foramen: torch.Tensor | None, axial: torch.Tensor | None, present: torch.Tensor, measures: torch.Tensor
    ) -> torch.Tensor:
        """As `StudyHybrid.forward`; where a crop is missing the logits are those of a grey image."""
        n = present.shape[0]
        even = present.new_zeros(n, LEVELS, 2, GRADES)
        first = even[:, :, 0] if canal is None else self.canal(canal.flatten(0, 2)).reshape(n, LEVELS, GRADES)
        sides = even if foramen is None else self.foramen(foramen.flatten(0, 2)).reshape(n, LEVELS, 2, GRADES)
        recesses = even if axial is None else self.axial(axial.flatten(0, 2)).reshape(n, LEVELS, 2, GRADES)
        return torch.cat([first[:, :, None], sides, recesses], dim=2).transpose(1, 2)


class CropVit(nn.Module):
    """Patches of 16 × 16 pixels, a class token, one linear head."""

    patch = 16

    def __init__(self, options: StudyNetworkOptions, size: tuple[int, int], outputs: int) -> None:
        super().__init__()
        self.wider = -size[1] % self.patch
        count = (size[0] // self.patch) * ((size[1] + self.wider) // self.patch)
        self.patches = nn.Conv2d(options.channels, options.width, self.patch, self.patch)
        self.token = nn.Parameter(torch.zeros(1, 1, options.width))
        self.place = nn.Parameter(torch.randn(1, count + 1, options.width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            options.width, options.heads, 4 * options.width, options.dropout, nn.functional.gelu, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 3 * options.layers, nn.LayerNorm(options.width), enable_nested_tensor=False)
        self.head = nn.Linear(options.width, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, outputs) of images (n, channels, rows, columns)."""
        patches = self.patches(nn.functional.pad(images, (0, self.wider))).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(images.shape[0], -1, -1), patches], dim=1) + self.place
        logits: torch.Tensor = self.head(self.layers(tokens)[:, 0])
        return logits


def _unsided(canal: torch.Tensor) -> torch.Tensor:
    """Canal slices (…, channels, rows, columns) as middle, mean of its neighbours, and absolute difference of its neighbours: invariant to mirroring."""
    right, middle, left = canal[..., 0:1, :, :], canal[..., 1:2, :, :], canal[..., 2:3, :, :]
    return torch.cat([middle, (left + right) / 2, (left - right).abs(), canal[..., 3:, :, :]], dim=-3)


def _slices_reversed(crops: torch.Tensor, count: int = 3) -> torch.Tensor:
    return torch.cat([crops[..., :count, :, :].flip(-3), crops[..., count:, :, :]], dim=-3)


def _projection(inputs: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, width), nn.LayerNorm(width))
