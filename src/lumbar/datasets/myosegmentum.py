"""MyoSegmenTUM-like folders: Dixon water and fat with muscle masks, one set of NIfTI files a subject.

    <subject>_water.nii.gz  <subject>_fat.nii.gz  <subject>_mask_water.nii.gz  (or <subject>_mask.nii.gz)

An nnU-Net raw data set whose cases are named <subject>_water and <subject>_fat, as `lumbar phantom cohort --layout dixon` writes it, is read too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lumbar.datasets.nnunet_raw import RawPair, raw_pairs
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


def read_dixon(folder: Path) -> Iterator[DixonCase]:
    """All subjects of `folder`, one at a time, in order of their names.

    Raises:
        UnreadableInput: there is none, or a file cannot be read.
    """
    pairs = raw_pairs(folder) if (folder / "dataset.json").is_file() else _plain_pairs(folder)
    if not pairs:
        raise UnreadableInput(
            f"{folder} holds no subject with <name>{_WATER}, <name>_fat.nii.gz and <name>_mask.nii.gz, "
            "nor is it an nnU-Net raw data set with cases <name>_water and <name>_fat"
        )
    for pair in pairs:
        yield DixonCase(pair.subject, read_nifti(pair.water), read_nifti(pair.fat), read_nifti_mask(pair.labels))


def _plain_pairs(folder: Path) -> tuple[RawPair, ...]:
    names = sorted(path.name.removesuffix(_WATER) for path in folder.glob(f"*{_WATER}") if not path.name.endswith(f"_mask{_WATER}"))
    pairs = (RawPair(name, folder / f"{name}{_WATER}", folder / f"{name}_fat.nii.gz", _mask(folder, name)) for name in names)
    return tuple(pair for pair in pairs if pair.fat.is_file() and pair.labels.is_file())


def _mask(folder: Path, name: str) -> Path:
    plain = folder / f"{name}_mask.nii.gz"
    return plain if plain.is_file() else folder / f"{name}_mask_water.nii.gz"
