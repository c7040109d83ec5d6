"""NIfTI files to a `Study`: one series a file."""

from pathlib import Path

import numpy as np

from lumbar.domain.study import Plane, Role, Series, Stack, Study
from lumbar.domain.volume import Volume
from lumbar.errors import InputError, UnreadableInput
from lumbar.io.dicom_files import name_in
from lumbar.io.nifti import open_nifti
from lumbar.io.roles import judge, reason, role_of
from lumbar.io.slices import Acquisition
from lumbar.io.weighting_from_pixels import settle

_PLANES = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)  # by the patient axis that the normal follows
_MASK_WORDS = ("mask", "seg", "label", "_gt")


def read_nifti_study(paths: list[Path], root: Path) -> Study:
    """A study of the NIfTI files `paths`; files named as masks and files that cannot be read are left out with a warning.

    Raises:
        InputError: nothing is left; for a single file its own error.
    """
    series: list[Series] = []
    warnings: list[str] = []
    for path in paths:
        name = name_in(root, path)
        if len(paths) > 1 and any(word in path.name.lower() for word in _MASK_WORDS):
            warnings.append(f"{name} is named as a mask and was left out")
            continue
        try:
            series.append(_series(path, name))
        except InputError as error:
            if len(paths) == 1:
                raise
            warnings.append(f"{name} was left out: {error}")
    if not series:
        raise UnreadableInput(f"{root}: none of its {len(paths)} NIfTI files can be read: " + "; ".join(warnings))
    return Study(_stem(root), settle(series), warnings=tuple(warnings))


def _series(path: Path, name: str) -> Series:
    image = open_nifti(path)
    volume, why_plane = _slices_first(image.volume)
    verdict = judge(Acquisition(description=_stem(path)))
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
        warnings=image.warnings,
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
