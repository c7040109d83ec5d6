"""nnU-Net v2's raw data set: `DatasetNNN_NAME` with imagesTr, labelsTr and dataset.json."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lumbar.domain.volume import Volume
from lumbar.errors import UsageError
from lumbar.io.nifti import write_nifti


@dataclass(frozen=True, eq=False)
class RawCase:
    """One image with its labels."""

    name: str
    image: Volume
    labels: Volume


@dataclass(frozen=True)
class RawPair:
    """The files of one subject whose Dixon water and fat are two cases of a raw data set."""

    subject: str
    water: Path
    fat: Path
    labels: Path  # of the water case


def raw_pairs(folder: Path) -> tuple[RawPair, ...]:
    """The subjects of a raw data set (a folder with dataset.json) that have both `<subject>_water` and `<subject>_fat`, in order of their names."""
    images, labels = folder / "imagesTr", folder / "labelsTr"
    found = []
    for water in sorted(images.glob("*_water_0000.nii.gz")):
        subject = water.name.removesuffix("_water_0000.nii.gz")
        pair = RawPair(subject, water, images / f"{subject}_fat_0000.nii.gz", labels / f"{subject}_water.nii.gz")
        if pair.fat.is_file() and pair.labels.is_file():
            found.append(pair)
    return tuple(found)


def write_raw(root: Path, number: int, name: str, labels: dict[str, int], cases: Iterable[RawCase]) -> Path:
    """Write the data set into the empty folder `root/Dataset<number>_<name>` and return that folder; `labels` are without the background.

    nnU-Net ignores voxels of a label named "ignore" in training; its number has to be the highest.

    Raises:
        UsageError: the folder exists, or there is no case.
    """
    folder = root / f"Dataset{number:03d}_{name}"
    if folder.exists():
        raise UsageError(f"{folder} is there already; remove it or choose another folder")
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    count = 0
    for case in cases:
        write_nifti(folder / "imagesTr" / f"{case.name}_0000.nii.gz", case.image)
        write_nifti(folder / "labelsTr" / f"{case.name}.nii.gz", case.labels)
        count += 1
    if not count:
        raise UsageError(f"there is nothing to write into {folder}")
    document = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, **labels},
        "numTraining": count,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
    (folder / "dataset.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return folder
