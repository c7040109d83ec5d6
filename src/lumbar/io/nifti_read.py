"""NIfTI files to a `Study`: one series a file."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from lumbar.domain.study import Plane, Role, Series, Stack, Study
from lumbar.domain.volume import Volume
from lumbar.errors import InputError, UnreadableInput
from lumbar.io.dicom_files import name_in
from lumbar.io.nifti import open_nifti
from lumbar.io.padding import LOWEST_SIGNED, without_padding
from lumbar.io.roles import judge, reason, role_of
from lumbar.io.slices import Acquisition
from lumbar.io.weighting_from_pixels import settle

_PLANES = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)  # by the patient axis that the normal follows
_MASK_WORDS = {"mask", "masks", "seg", "dseg", "probseg", "segmentation", "label", "labels", "gt"}
_MOST_LABELS = 64  # different values of a mask
_PERSON = re.compile(r"(^|(?<=[_/]))(sub|ses)-[a-z0-9]+", re.IGNORECASE)  # of BIDS: subject names carry no information about the image


def read_nifti_study(paths: list[Path], root: Path) -> Study:
    """A study of the NIfTI files `paths`; files named as masks and files that cannot be read are left out with a warning.

    Raises:
        InputError: nothing is left; for a single file its own error.
    """
    series: list[Series] = []
    warnings: list[str] = []
    for path in paths:
        name = name_in(root, path)
        named = len(paths) > 1 and bool(_MASK_WORDS & set(re.split(r"[^a-z0-9]+", _PERSON.sub("", _stem(path).lower()))))
        try:
            one = _series(path, name)
            labels = _holds_labels(one.stacks[0].volume) and (len(paths) > 1 or _holds_one_label(one.stacks[0].volume))
            if named and labels:
                warnings.append(f"{name} is named as a mask and was left out")
            elif labels and one.stacks[0].volume.array.any():
                warnings.append(f"{name} holds a few whole numbers, as masks do, and was left out")
            else:
                series.append(replace(one, warnings=(*one.warnings, "it is named as a mask but holds an image, and was read as one")) if named else one)
        except InputError as error:
            if len(paths) == 1:
                raise
            warnings.append(f"{name} was left out: {error}")
    if not series:
        raise UnreadableInput(f"{root}: none of its {len(paths)} NIfTI files can be read: " + "; ".join(warnings))
    return Study(_stem(root), settle(series), warnings=tuple(warnings))


def _holds_labels(volume: Volume) -> bool:
    sample = volume.array.reshape(-1)[:: max(1, volume.array.size // 200_000)]
    values = np.unique(sample)
    return bool(len(values) <= _MOST_LABELS and np.array_equal(values, np.round(values)) and values.min() >= 0 and (sample == 0).mean() > 0.3)


def _holds_one_label(volume: Volume) -> bool:
    """Whether all values but zero are the same: of a single file, more values may be those of a coarse image."""
    return bool(len(np.unique(volume.array)) == 2)


def _series(path: Path, name: str) -> Series:
    image = open_nifti(path)
    volume, why_plane = _slices_first(Volume(without_padding(image.volume.array, LOWEST_SIGNED), image.volume.grid, image.volume.stored_step))
    verdict = judge(Acquisition(description=_PERSON.sub("", _stem(path))))
    plane = _PLANES[int(np.argmax(np.abs(volume.grid.normal)))]
    count = len(volume.grid.origins_mm)
    role = Role.OTHER if verdict.excluded else role_of(plane, verdict.weighting)
    return Series(
        series_uid=_stem(Path(name)),
        stacks=(Stack(volume, tuple(range(1, count + 1))),),
        plane=plane,
        weighting=verdict.weighting,
        role=role,
        reason=reason(f"{plane.value} by {why_plane}", verdict).replace("description", "file name"),
        description=_stem(path),
        warnings=(*image.warnings, *(("it has a single slice, so nothing is known between slices",) if count == 1 else ())),
        usable=not verdict.excluded,
    )


def _slices_first(volume: Volume) -> tuple[Volume, str]:
    """The volume with the axis of its slices first: the one of widest spacing, or of fewest voxels where spacings are alike."""
    steps = (volume.grid.slice_step_mm, volume.grid.row_step_mm, volume.grid.column_step_mm)
    spacing = [float(np.linalg.norm(step)) for step in steps]
    widest = int(np.argmax(spacing))
    if spacing[widest] > 1.3 * sorted(spacing)[1]:
        axis, why = widest, "the axis of widest spacing"
    else:
        axis, why = int(np.argmin(volume.array.shape)), "the axis of fewest voxels"
    axes = {0: (0, 1, 2), 1: (1, 0, 2), 2: (2, 0, 1)}[axis]
    return (volume if axis == 0 else volume.rearranged(axes, (False, False, False))), why


def _stem(path: Path) -> str:
    name = path.name
    for suffix in (".nii.gz", ".nii"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name
