"""An estimate of the energy of a study from its processor time, by the formula of Lannelongue et al., Adv Sci 2021;8:2100707."""

from dataclasses import dataclass

_MEMORY_W_PER_GB = 0.3725  # their figure


@dataclass(frozen=True)
class PowerModel:
    """Power consumption of a machine; the defaults are the general figures of the source, good for a factor of two."""

    watts_per_core: float = 12.0  # a busy core
    pue: float = 1.67  # power of the whole data centre / of its computers; 1 for a workstation


def watt_hours(cpu_seconds: float, seconds: float, peak_mb: float, power: PowerModel) -> float:
    """Energy in watt-hours of `cpu_seconds` of busy cores and of `peak_mb` of memory over `seconds`."""
    cores = cpu_seconds * power.watts_per_core
    memory = seconds * peak_mb / 1024 * _MEMORY_W_PER_GB
    return (cores + memory) / 3600 * power.pue
