"""The input as it was read: a study holds series, a series holds stacks, a stack holds parallel slices."""

from dataclasses import dataclass, field
from enum import Enum

from lumbar.domain.anatomy import Level
from lumbar.domain.quality import Check
from lumbar.domain.reading import ReaderMasks
from lumbar.domain.volume import Volume


class Plane(Enum):
    """How slices lie in the patient."""

    SAGITTAL = "sagittal"
    AXIAL = "axial"
    CORONAL = "coronal"


class Weighting(Enum):
    """Contrast weighting."""

    T1 = "T1"
    T2 = "T2"
    STIR = "STIR"
    DIXON_WATER = "dixon_water"
    DIXON_FAT = "dixon_fat"
    FAT_FRACTION = "fat_fraction"  # a map, not an image
    UNKNOWN = "unknown"


class Role(Enum):
    """What a series is used for."""

    SAGITTAL_T1 = "sagittal_t1"
    SAGITTAL_T2 = "sagittal_t2_stir"  # T2 or STIR: bright CSF on sagittal slices
    AXIAL_T1 = "axial_t1"
    AXIAL_T2 = "axial_t2"
    DIXON_WATER = "dixon_water"
    DIXON_FAT = "dixon_fat"
    FAT_FRACTION = "fat_fraction"
    OTHER = "other"


@dataclass(frozen=True, eq=False)
class Stack:
    """Parallel slices in order along their normal, with the instance numbers and UIDs of each."""

    volume: Volume
    instance_numbers: tuple[int, ...]  # one per slice; 1, 2, … where the source has none
    sop_uids: tuple[str, ...] = ()  # one per slice, or empty where the source has none
    moved_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)  # from where its header places it, so that it fits the other series


@dataclass(frozen=True, eq=False)
class Series:
    """One series with its plane, weighting and role."""

    series_uid: str
    stacks: tuple[Stack, ...]  # more than one where a series holds several angulations
    plane: Plane
    weighting: Weighting
    role: Role
    reason: str  # reason for this role, shown by `lumbar inspect`
    description: str = ""
    warnings: tuple[str, ...] = ()
    usable: bool = True  # False: not used; `reason` gives the cause
    scale_doubt: str = ""  # why its grey values may not be compared with those of another series, or ""

    @property
    def instances(self) -> int:
        """Number of slices in all stacks."""
        return sum(len(stack.instance_numbers) for stack in self.stacks)

    @property
    def largest_stack(self) -> Stack:
        """The stack with most slices, which shows most in a series with several angulations."""
        return max(self.stacks, key=lambda stack: stack.volume.grid.shape[0])


@dataclass(frozen=True)
class Patient:
    """Patient data that the analysis uses; never a name or an identifier."""

    age_years: float | None = None
    sex: str | None = None  # "F" or "M"
    lowest_level: Level | None = None  # name of the lowest disc in view, if a reader gave it
    masks: ReaderMasks | None = None  # outlines that a reader corrected


@dataclass(frozen=True, eq=False)
class Study:
    """All series of one input."""

    study_uid: str
    series: tuple[Series, ...]
    patient: Patient = field(default_factory=Patient)
    warnings: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()  # made while reading

    def with_role(self, *roles: Role) -> tuple[Series, ...]:
        """The series of the first of `roles` that has any, the one with most slices first."""
        for role in roles:
            found = sorted((s for s in self.series if s.role is role), key=lambda s: -s.instances)
            if found:
                return tuple(found)
        return ()
