"""The slice-set network: any number of sagittal slices of several segments in, an age for each segment and one for the whole spine out (needs
lumbar[train]).

Every slice goes through one 2-D encoder; its features take in where in the stack it lies and which segment it was cropped from; gated attention (Ilse et
al. 2018) pools the slices of a segment, then the segments. Without the position, slices would be exchangeable.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lumbar.errors import UsageError

SEGMENTS = ("L1-L3", "L3/L4", "L4/L5", "L5/S1", "whole")
POOLINGS = ("attention", "mean", "max", "recurrent")
HEADS = ("regression", "soft-label", "ordinal")


@dataclass(frozen=True)
class AgeNetworkOptions:
    """Shape of the network."""

    channels: tuple[int, ...] = (16, 32, 64, 96)  # of the encoder's stages, each at half the size of the one before
    features: int = 96  # width of a slice's and a set's description
    pooling: str = "attention"  # one of POOLINGS
    head: str = "regression"  # one of HEADS
    low_years: float = 15.0  # ends of the bins of soft-label and ordinal heads
    high_years: float = 95.0
    bin_years: float = 2.0

    @property
    def bins(self) -> int:
        """Number of bins."""
        return round((self.high_years - self.low_years) / self.bin_years)


class SliceEncoder(nn.Module):
    """(n, 1, rows, columns) → (n, features)."""

    def __init__(self, options: AgeNetworkOptions) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for width in options.channels:
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False), nn.GroupNorm(8, width), nn.SiLU()]
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(8, width), nn.SiLU()]
            before = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(before, options.features)

    def forward(self, slices: Tensor) -> Tensor:
        """Features of each slice."""
        described: Tensor = self.head(self.body(slices).mean(dim=(2, 3)))
        return described


class GatedAttention(nn.Module):
    """Weighted mean of a masked set; the weights come from tanh(V h) gated by sigmoid(U h)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.value, self.gate, self.score = nn.Linear(features, features // 2), nn.Linear(features, features // 2), nn.Linear(features // 2, 1)

    def forward(self, items: Tensor, present: Tensor) -> Tensor:
        """(n, k, features) and (n, k) → (n, features)."""
        score = self.score(torch.tanh(self.value(items)) * torch.sigmoid(self.gate(items)))[..., 0]
        # A finite floor instead of −∞: a set without any slice gives a mean of what is there and not NaN.
        weight = score.masked_fill(present < 0.5, -1e4).softmax(dim=1)
        return (weight[..., None] * items).sum(dim=1)


class MaskedMean(nn.Module):
    """Mean of a masked set."""

    def forward(self, items: Tensor, present: Tensor) -> Tensor:
        """(n, k, features) and (n, k) → (n, features)."""
        return (items * present[..., None]).sum(dim=1) / present.sum(dim=1, keepdim=True).clamp_min(1)


class MaskedMax(nn.Module):
    """Maximum of a masked set, feature by feature."""

    def forward(self, items: Tensor, present: Tensor) -> Tensor:
        """(n, k, features) and (n, k) → (n, features)."""
        return items.masked_fill(present[..., None] < 0.5, -1e4).amax(dim=1)


class MaskedRecurrent(nn.Module):
    """Last state of a GRU that reads the set in order and skips what is missing."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(features, features)

    def forward(self, items: Tensor, present: Tensor) -> Tensor:
        """(n, k, features) and (n, k) → (n, features)."""
        state = torch.zeros_like(items[:, 0])
        for k in range(items.shape[1]):
            state = torch.where(present[:, k : k + 1] > 0.5, self.cell(items[:, k], state), state)
        return state


class AgeNetwork(nn.Module):
    """Ages of segments and of the whole, from sets of slices."""

    def __init__(self, options: AgeNetworkOptions) -> None:
        super().__init__()
        if options.pooling not in POOLINGS or options.head not in HEADS:
            raise UsageError(f"pooling is one of {', '.join(POOLINGS)} and head one of {', '.join(HEADS)}; not {options.pooling!r} and {options.head!r}")
        self.options = options
        self.encoder = SliceEncoder(options)
        self.segment = nn.Embedding(len(SEGMENTS), options.features)
        self.position = nn.Sequential(nn.Linear(3, options.features), nn.SiLU(), nn.Linear(options.features, options.features))
        # What a slice shows and where it lies must meet in a nonlinear step: summed alone, every mean over the set forgets which was where.
        self.mix = nn.Sequential(nn.SiLU(), nn.Linear(options.features, options.features))
        self.pool, self.pool_segments = _pooling(options), _pooling(options)
        outputs = {"regression": 1, "soft-label": options.bins, "ordinal": options.bins - 1}[options.head]
        self.heads = nn.ModuleList(nn.Linear(options.features, outputs) for _ in range(len(SEGMENTS) + 1))

    def forward(self, slices: Tensor, position: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ages, what the losses need, and the features of the whole spine.

        Args:
            slices: (people, segments, slices, rows, columns), zero where missing.
            position: (people, segments, slices) place from the patient's right (−1) to left (+1) of the midline.
            present: (people, segments, slices) 1 where there is a slice.

        Returns:
            ages (people, segments + 1) in years, the last of the whole spine; head outputs (people, segments + 1, outputs); features (people, features).
        """
        people, segments, count = present.shape
        items = self.encoder(slices.reshape(people * segments * count, 1, *slices.shape[3:])).view(people, segments, count, -1)
        place = torch.stack([position, position.abs(), position.square()], dim=-1)
        items = self.mix(items + self.position(place) + self.segment.weight[None, :, None])
        flat = items.view(people * segments, count, -1)
        pooled = self.pool(flat, present.reshape(people * segments, count)).view(people, segments, -1)
        whole = self.pool_segments(pooled, (present.sum(dim=2) > 0).to(pooled.dtype))
        described = torch.cat([pooled, whole[:, None]], dim=1)
        outputs = torch.stack([head(described[:, k]) for k, head in enumerate(self.heads)], dim=1)
        return ages_of(outputs, self.options), outputs, whole


def ages_of(outputs: Tensor, options: AgeNetworkOptions) -> Tensor:
    """Ages in years from head outputs (…, outputs)."""
    middle = (options.low_years + options.high_years) / 2
    if options.head == "regression":
        return middle + 20 * outputs[..., 0]
    if options.head == "soft-label":
        return outputs.softmax(-1) @ bin_centres(options).to(outputs)
    # One threshold between neighbouring bins each: the age is the lower end plus the expected number of thresholds passed (Niu et al. 2016).
    return options.low_years + options.bin_years * (0.5 + outputs.sigmoid().sum(-1))


def head_loss(outputs: Tensor, ages_years: Tensor, options: AgeNetworkOptions, sigma_years: float = 2.0) -> Tensor:
    """Mean loss of head outputs (n, outputs) for true ages (n,): smooth absolute error, divergence from a binned Gaussian, or binary cross-entropy."""
    if options.head == "regression":
        return nn.functional.smooth_l1_loss(ages_of(outputs, options), ages_years, beta=2.0)
    centres = bin_centres(options).to(outputs)
    if options.head == "soft-label":
        target = (-0.5 * ((ages_years[:, None] - centres) / sigma_years).square()).softmax(-1)
        return -(target * outputs.log_softmax(-1)).sum(-1).mean()
    thresholds = centres[:-1] + options.bin_years / 2
    return nn.functional.binary_cross_entropy_with_logits(outputs, (ages_years[:, None] > thresholds).to(outputs.dtype))


def bin_centres(options: AgeNetworkOptions) -> Tensor:
    """(bins,) middle of each bin, years."""
    return options.low_years + options.bin_years * (torch.arange(options.bins, dtype=torch.float32) + 0.5)


def _pooling(options: AgeNetworkOptions) -> nn.Module:
    builders = {"attention": GatedAttention, "recurrent": MaskedRecurrent}
    if options.pooling in builders:
        return builders[options.pooling](options.features)
    return MaskedMean() if options.pooling == "mean" else MaskedMax()
