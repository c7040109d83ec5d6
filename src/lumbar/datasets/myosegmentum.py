"""MyoSegmenTUM-like folders: Dixon water and fat with muscle masks, one set of NIfTI files a subject.

    <subject>_water.nii.gz  <subject>_fat.nii.gz  <subject>_mask_water.nii.gz  (or <subject>_mask.nii.gz)

Synthetic cohorts written with `lumbar phantom cohort --layout dixon` have the same names.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lumbar.domain.volume import Volume
from lumbar.errors import UnreadableInput
from lumbar.io.nifti import read_nifti, read_nifti_mask

_WATER = "_water.nii.gz"


@dataclass(frozen=True, eq=False)
class DixonCase:
    """One subject."""

    subject: str
    water: Volume
    fat: Volume
    mask: Volume  # labels of `muscle/labels.py`, on the water's grid


def subjects(folder: Path) -> list[str]:
    """Names of the subjects that have water, fat and a mask, in order.

    Raises:
        UnreadableInput: there is none.
    """
    names = sorted(path.name.removesuffix(_WATER) for path in folder.glob(f"*{_WATER}") if not path.name.endswith(f"_mask{_WATER}"))
    names = [name for name in names if (folder / f"{name}_fat.nii.gz").is_file() and _mask(folder, name).is_file()]
    if not names:
        raise UnreadableInput(f"{folder} holds no subject with <name>{_WATER}, <name>_fat.nii.gz and <name>_mask.nii.gz")
    return names


def read_dixon(folder: Path) -> Iterator[DixonCase]:
    """All subjects of `folder`, one at a time.

    Raises:
        UnreadableInput: there is none, or a file cannot be read.
    """
    for name in subjects(folder):
        mask = read_nifti_mask(_mask(folder, name))
        yield DixonCase(name, read_nifti(folder / f"{name}{_WATER}"), read_nifti(folder / f"{name}_fat.nii.gz"), mask)


def _mask(folder: Path, name: str) -> Path:
    plain = folder / f"{name}_mask.nii.gz"
    return plain if plain.is_file() else folder / f"{name}_mask_water.nii.gz"
