"""Signal equations of the simulated sequences, and the tissue signals under one of them."""

from dataclasses import dataclass

import numpy as np

from lumbar.phantom.tissues import FAT_DENSITY, FAT_T1_MS, FAT_T2_MS, TISSUES, Tissue


@dataclass(frozen=True)
class Sequence:
    """One pulse sequence; times in milliseconds."""

    kind: str  # "se", "tse", "stir", "space" or "dixon"
    tr_ms: float
    te_ms: float  # effective echo time
    ti_ms: float = 0.0  # inversion time, STIR only
    flip_degrees: float = 90.0  # of the gradient echoes of Dixon
    echo_train: int = 1
    tesla: float = 1.5


def relaxed(density: float, t1_ms: float, t2_ms: float, sequence: Sequence) -> float:
    """Magnitude of the signal of one pool of protons.

    Spin echo: ρ·(1 − e^(−TR/T1))·e^(−TE/T2). Turbo spin echo: the same at the effective echo time, with the recovery cut short by the echo train.
    Inversion recovery: ρ·|1 − 2e^(−TI/T1) + e^(−TR/T1)|·e^(−TE/T2). SPACE: T2 decays at the *equivalent* echo time of its low flip angles (about
    0.45 of the nominal one: Mugler, JMRI 2014;39:745). Dixon: spoilt gradient echo, ρ·sin α·(1 − E1)/(1 − cos α·E1), its T2* decay corrected for.
    """
    e1 = np.exp(-sequence.tr_ms / t1_ms)
    if sequence.kind == "dixon":
        flip = np.radians(sequence.flip_degrees)
        return float(density * np.sin(flip) * (1 - e1) / (1 - np.cos(flip) * e1))
    if sequence.kind == "stir":
        return float(density * abs(1 - 2 * np.exp(-sequence.ti_ms / t1_ms) + e1) * np.exp(-sequence.te_ms / t2_ms))
    te_ms = sequence.te_ms * (0.45 if sequence.kind == "space" else 1.0)
    recovery = 1 - np.exp(-max(sequence.tr_ms - 8.0 * (sequence.echo_train - 1), 1.0) / t1_ms)
    return float(density * recovery * np.exp(-te_ms / t2_ms))


class Palette:
    """The signal of every tissue under one sequence, as (water, fat)."""

    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence
        self._high = sequence.tesla > 2
        fat = relaxed(FAT_DENSITY, FAT_T1_MS[self._high], FAT_T2_MS, sequence)
        self._gain = 0.8 / fat if sequence.kind == "dixon" else 1.0  # gradient echoes at small flip angles have low signal and low noise
        self.pure_fat = fat * self._gain
        self._known = {name: self.of(tissue) for name, tissue in TISSUES.items()}

    def __getitem__(self, name: str) -> tuple[float, float]:
        return self._known[name]

    def of(self, tissue: Tissue) -> tuple[float, float]:
        """(water, fat) signal of any tissue."""
        t1_ms = tissue.t1_30_ms if self._high else tissue.t1_15_ms
        water = self._gain * relaxed(tissue.density, t1_ms, tissue.t2_ms, self.sequence)
        return water * (1 - tissue.fat_share), self.pure_fat * tissue.fat_share * tissue.density / FAT_DENSITY
