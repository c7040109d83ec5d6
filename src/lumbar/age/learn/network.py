"""The slice-set network: any number of sagittal crops at five disc levels in, an age for each segment and one for the whole spine out (needs
lumbar[train]).

Every crop goes through one 2-D encoder; its features are combined with its distance to the midline and its level; gated attention (Ilse et al.
2018) pools the slices of a level, then the levels of each segment. Without the position, slices would be exchangeable.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lumbar.age.crops import LEVELS
from lumbar.age.segments import SEGMENT_LEVELS, SEGMENTS
from lumbar.errors import UsageError

POOLINGS = ("attention", "mean", "max", "recurrent")
HEADS = ("regression", "soft-label", "ordinal")


@dataclass(frozen=True)
class AgeNetworkOptions:
    """Shape of the network."""

    channels: tuple[int, ...] = (16, 32, 64, 96)  # of the encoder's stages, each at half the size of the one before
    features: int = 96  # width of the features of a crop and of a set
    rows: int = 40  # of the crops
    columns: int = 64
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
    """Crops (n, 1, rows, columns) → (n, features). Crops are aligned with the anatomy, so the spatial position is kept until the last layer."""

    def __init__(self, options: AgeNetworkOptions) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, rows, columns = 1, options.rows, options.columns
        for width in options.channels:
            layers += [nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False), nn.GroupNorm(8, width), nn.SiLU()]
            layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(8, width), nn.SiLU()]
            before, rows, columns = width, (rows + 1) // 2, (columns + 1) // 2
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Linear(before * rows * columns, options.features)

    def forward(self, slices: Tensor) -> Tensor:
        """Features of each crop."""
        described: Tensor = self.head(self.body(slices))
        return described


class GatedAttention(nn.Module):
    """Weighted mean of a masked set; the weights come from tanh(V h) gated by sigmoid(U h)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.value, self.gate, self.score = nn.Linear(features, features // 2), nn.Linear(features, features // 2), nn.Linear(features // 2, 1)

    def forward(self, items: Tensor, present: Tensor) -> Tensor:
        """(n, k, features) and (n, k) → (n, features)."""
        score = self.score(torch.tanh(self.value(items)) * torch.sigmoid(self.gate(items)))[..., 0]
        # A finite floor instead of −∞: an empty set gives a mean and not NaN.
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
    """Last state of a GRU that reads the set in order and skips missing slices."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(features, features)

    def forward(self, items: Tensor, present: Tensor) -> Tensor:
        """(n, k, features) and (n, k) → (n, features)."""
        state = torch.zeros_like(items[:, 0])
        for k in range(items.shape[1]):
            state = torch.where(present[:, k : k + 1] > 0.5, self.cell(items[:, k], state), state)
        return state


class SetNetwork(nn.Module):
    """From features of crops to ages."""

    def __init__(self, options: AgeNetworkOptions) -> None:
        super().__init__()
        if options.pooling not in POOLINGS or options.head not in HEADS:
            raise UsageError(f"pooling is one of {', '.join(POOLINGS)} and head one of {', '.join(HEADS)}; not {options.pooling!r} and {options.head!r}")
        self.options = options
        width = options.features
        self.level = nn.Embedding(len(LEVELS), width)
        self.position = nn.Sequential(nn.Linear(3, width), nn.SiLU(), nn.Linear(width, width))
        # Content and position of a slice need a nonlinear combination: after a sum alone, the mean over the set loses their association.
        self.mix = nn.Sequential(nn.SiLU(), nn.Linear(width, width))
        self.pool, self.pool_levels = _pooling(options), _pooling(options)
        self.mix_levels = nn.Sequential(nn.SiLU(), nn.Linear(width, width))
        self.sex = nn.Linear(1, width, bias=False)
        outputs = {"regression": 1, "soft-label": options.bins, "ordinal": options.bins - 1}[options.head]
        self.heads = nn.ModuleList(nn.Sequential(nn.SiLU(), nn.Linear(width, outputs)) for _ in SEGMENTS)

    def forward(self, described: Tensor, position: Tensor, present: Tensor, sex: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ages, what the losses need, and the features of the whole spine.

        Args:
            described: (people, levels, slices, features) of each crop, anything where it is missing.
            position: (people, levels, slices) place from the patient's right (about −1) to left (+1) of the midline.
            present: (people, levels, slices) 1 where there is a crop.
            sex: (people,) +1 female, −1 male, 0 unknown.

        Returns:
            ages (people, segments) in years, in the order of `SEGMENTS`; head outputs (people, segments, outputs); features (people, segments, features).
        """
        return self.joined(self.levels(described, position, present), present, sex)

    def levels(self, described: Tensor, position: Tensor, present: Tensor) -> Tensor:
        """Features (people, levels, features) of each level: its slices with their places, pooled."""
        people, levels, count = present.shape
        place = torch.stack([position, position.abs(), position.square()], dim=-1)
        items = self.mix(described + self.position(place) + self.level.weight[None, :, None])
        pooled = self.pool(items.view(people * levels, count, -1), present.reshape(people * levels, count)).view(people, levels, -1)
        mixed: Tensor = self.mix_levels(pooled + self.level.weight)
        return mixed

    def joined(self, pooled: Tensor, present: Tensor, sex: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From features of levels (people, levels, features) to the output of `forward`."""
        there = (present.sum(dim=2) > 0).to(pooled.dtype)
        members = [[LEVELS.index(level) for level in SEGMENT_LEVELS[name]] for name in SEGMENTS]
        sets = [self.pool_levels(pooled[:, chosen], there[:, chosen]) for chosen in members]
        features = torch.stack(sets, dim=1) + self.sex(sex[:, None])[:, None]
        outputs = torch.stack([head(features[:, k]) for k, head in enumerate(self.heads)], dim=1)
        return ages_of(outputs, self.options), outputs, features


class AgeNetwork(nn.Module):
    """Ages of segments and of the whole, from sets of crops."""

    def __init__(self, options: AgeNetworkOptions) -> None:
        super().__init__()
        self.options = options
        self.set = SetNetwork(options)
        self.encoder = SliceEncoder(options)

    def forward(self, slices: Tensor, position: Tensor, present: Tensor, sex: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `SetNetwork`, from crops (people, levels, slices, rows, columns)."""
        return self.set.joined(self.levels(slices, position, present), present, sex)

    def levels(self, slices: Tensor, position: Tensor, present: Tensor) -> Tensor:
        """Features (people, levels, features) of each level, from crops (people, levels, slices, rows, columns)."""
        people, levels, count = present.shape
        described = self.encoder(slices.reshape(people * levels * count, 1, *slices.shape[3:])).view(people, levels, count, -1)
        return self.set.levels(described, position, present)


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
