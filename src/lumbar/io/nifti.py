"""NIfTI files to volumes and back. This is the only module of the package that uses RAS, NIfTI's patient space (x to the right, y to the front).

File axes (i, j, k) become (slice k, row j, column i), and the first two patient axes change sign; nothing is resampled or turned, so that reading and
writing a file keeps every voxel's place and order.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid, Points, grid_from_matrix
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError, UnreadableInput

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # NIfTI's code of the unit of length
_UNIT_NAMES = {1: "metres", 3: "micrometres"}
_VOXEL_MM = (0.01, 80.0)
_LARGEST_MM = 3000.0  # edge of an image
_MOST_BYTES = 3 * 2**29  # while an image is read: stored voxels and twice as float32; more is a header that lies, or no scan of a spine
_SAME_AFFINE_MM = 0.5  # sform and qform of one scan differ by rounding, not by more
_MULTIPLE_TOLERANCE = 0.05  # share of the spacing by which a gap may miss a whole number of slices


@dataclass(frozen=True, eq=False)
class NiftiImage:
    """A volume and warnings about its file."""

    volume: Volume
    warnings: tuple[str, ...]


def read_nifti(path: Path) -> Volume:
    """The image in a NIfTI file as float32, scaled according to its header; see `open_nifti`."""
    return open_nifti(path).volume


def read_nifti_mask(path: Path) -> Volume:
    """The labels in a NIfTI file as uint8.

    Raises:
        UnreadableInput: a value is not an integer from 0 to 255.
        GeometryError: see `open_nifti`.
    """
    volume = open_nifti(path).volume
    labels = np.round(volume.array).astype(np.int64)
    if np.abs(volume.array - labels).max(initial=0) > 1e-3 or labels.min(initial=0) < 0 or labels.max(initial=0) > 255:
        raise UnreadableInput(f"{path} is not a mask: its values are not whole numbers from 0 to 255; give a file of labels")
    return Volume(labels.astype(np.uint8), volume.grid)


def open_nifti(path: Path) -> NiftiImage:
    """The image in a NIfTI file with warnings about inconsistencies.

    Raises:
        UnreadableInput: no NIfTI file, damaged, of colour or complex values, or not of three dimensions.
        GeometryError: the file lacks the position of its voxels, or has two of them that differ in left and right.
    """
    image = _load(path)
    warnings: list[str] = []
    affine = _affine(image, path, warnings)
    needed = np.prod([float(size) for size in image.shape]) * (image.get_data_dtype().itemsize + 8)
    if needed > _MOST_BYTES:
        shape = " × ".join(map(str, image.shape))
        raise UnreadableInput(f"{path} announces {shape} voxels, which need {needed / 2**30:.1f} GiB to be read; cut out the lumbar spine")
    if getattr(image.dataobj, "slope", 1.0) < 0:
        raise UnreadableInput(f"{path}: its slope (scl_slope) is below zero, which turns bright into dark; write the image again from its source")
    data = _voxels(image, path)
    lost = int(data.size - np.isfinite(data).sum())
    if lost:
        if lost > data.size / 2:
            raise UnreadableInput(f"{path}: {lost} of {data.size} voxels are not numbers; write the image again from its source")
        warnings.append(f"{lost} of {data.size} voxels are not numbers and were set to 0")
        data = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
    array = np.ascontiguousarray(data.transpose(2, 1, 0))
    matrix = (_RAS_TO_LPS @ affine)[:, [2, 1, 0, 3]]
    if array.shape[0] < 1 or min(array.shape) < 1:
        raise UnreadableInput(f"{path}: the image is empty, its size is {data.shape}")
    grid = grid_from_matrix(matrix, (array.shape[0], array.shape[1], array.shape[2]))
    return NiftiImage(Volume(array, grid, _stored_step(image)), tuple(warnings))


def write_nifti(path: Path, volume: Volume) -> None:
    """Write `volume` to `path` (.nii or .nii.gz): masks as uint8, images as float32.

    Where slices are missing (gaps that are whole multiples of the spacing), empty slices fill the gaps, since NIfTI supports even spacing only.

    Raises:
        GeometryError: the slices are unevenly spaced otherwise, or shifted against each other.
    """
    even = volume if volume.grid.even else _filled(volume)
    affine = _RAS_TO_LPS @ even.grid.matrix[:, [2, 1, 0, 3]]
    make: Any = nib.Nifti1Image  # nibabel has no types
    image = make(even.array.transpose(2, 1, 0), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1, strip_shears=True)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _load(path: Path) -> Any:
    if path.is_dir():
        raise UnreadableInput(f"{path} is a folder, where one NIfTI file is expected; `lumbar analyze` reads DICOM folders, `lumbar batch` many studies")
    try:
        image = nib.load(path)
    except FileNotFoundError:
        raise UnreadableInput(f"{path} does not exist") from None
    except ImageFileError as error:
        raise UnreadableInput(f"{path} is not a NIfTI file ({error})") from None
    except Exception as error:  # a damaged header or a cut-off gzip stream raises nearly anything
        raise UnreadableInput(f"{path} cannot be read ({type(error).__name__}: {error}); export it again") from None
    if not isinstance(image, (nib.Nifti1Image, nib.Nifti1Pair)):
        raise UnreadableInput(f"{path} is not NIfTI but {type(image).__name__}; convert it to NIfTI")
    return image


def _voxels(image: Any, path: Path) -> NDArray[np.float32]:
    """Scaled voxels (i, j, k)."""
    shape = tuple(image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3:
        raise UnreadableInput(f"{path} has {len(shape)} dimensions ({' × '.join(map(str, shape))}); split it into files of three, one per contrast")
    if image.get_data_dtype().kind not in "iuf":
        raise UnreadableInput(f"{path} holds colour or complex values ({image.get_data_dtype()}); give the grey image")
    try:
        return np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged")).reshape(shape)
    except Exception as error:  # cut-off or damaged data raise nearly anything
        raise UnreadableInput(f"{path}: its voxels cannot be read ({type(error).__name__}: {error}); the file may be cut off") from None


def _stored_step(image: Any) -> float | None:
    """What one step of stored whole numbers is worth; None of numbers that are not whole."""
    return abs(float(image.dataobj.slope)) if image.get_data_dtype().kind in "iu" else None


def _affine(image: Any, path: Path, warnings: list[str]) -> Points:
    """The matrix from (i, j, k, 1) to RAS mm."""
    sform, sform_code = image.get_sform(coded=True)
    try:
        qform, qform_code = image.get_qform(coded=True)
    except ValueError:  # a quaternion that is none
        qform, qform_code = None, 0
    if not sform_code and not qform_code:
        raise GeometryError(
            f"{path}: neither sform nor qform gives the position of its voxels (both codes are 0), so left and right are unknown; "
            "convert the DICOM files again, or set the affine if you know it"
        )
    aligned = sform_code > 1 and qform_code == 1  # the sform leads to a template or another scan, the qform to the scanner
    affine: Points = np.asarray(qform if aligned or not sform_code else sform, dtype=np.float64)
    other = sform if aligned else qform
    if len(image.shape) == 2 or (len(image.shape) > 2 and image.shape[2] == 1):
        affine = _with_normal(affine)
        other = None if other is None else _with_normal(np.asarray(other, dtype=np.float64))
    unit = _unit(image, affine, path, warnings)
    affine = unit @ affine
    if not np.isfinite(affine).all() or np.linalg.norm(affine[:3, :3], axis=0).min() < 1e-3 or abs(_orthogonality(affine)) < 0.1:
        raise GeometryError(f"{path}: its affine is invalid ({affine[:3].round(3).tolist()}); convert the source again")
    if sform_code and qform_code:
        _compare(affine, unit @ np.asarray(other, dtype=np.float64), image.shape, path, warnings, "qform" if aligned else "sform")
    return affine


def _with_normal(affine: Points) -> Points:
    """The matrix of a single slice, whose third column may be empty, with a column of 1 mm along the normal there."""
    if np.linalg.norm(affine[:3, 2]) > 1e-6 or np.linalg.norm(np.cross(affine[:3, 0], affine[:3, 1])) < 1e-12:
        return affine
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    filled = affine.copy()
    filled[:3, 2] = normal / np.linalg.norm(normal)
    return filled


def _unit(image: Any, affine: Points, path: Path, warnings: list[str]) -> Points:
    """(4, 4) from the unit of the file to millimetres. A unit that gives no body and no voxel of a scanner is taken for a slip if millimetres do.

    Raises:
        GeometryError: neither gives a plausible size.
    """
    code = int(image.header["xyzt_units"]) & 7
    declared = _MM_PER_UNIT.get(code, 1.0)
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    sizes = np.array([*image.shape[:3], 1, 1, 1][:3])

    def plausible(per_unit: float) -> bool:
        voxels = steps[sizes > 1] * per_unit
        return bool((voxels >= _VOXEL_MM[0]).all() and (voxels <= _VOXEL_MM[1]).all() and (voxels * sizes[sizes > 1]).max(initial=0) <= _LARGEST_MM)

    if plausible(declared):
        return np.diag([declared, declared, declared, 1.0])
    extent = " × ".join(f"{value:.3g}" for value in steps * sizes * declared)
    if declared != 1.0 and plausible(1.0):
        warnings.append(f"its unit code is {_UNIT_NAMES[code]}, which would make it {extent} mm large; it was read in millimetres")
        return np.eye(4)
    if np.isfinite(steps).all() and steps.min() >= 1e-3:  # an affine that is none has an error of its own
        raise GeometryError(f"{path}: it would be {extent} mm large with voxels of {steps.max() * declared:.3g} mm, which no scan is; set its affine right")
    return np.eye(4)


def _compare(sform: Points, qform: Points, shape: tuple[int, ...], path: Path, warnings: list[str], used: str) -> None:
    size = [*shape[:3], 1, 1, 1][:3]
    corners = np.array([[i, j, k, 1] for i in (0, size[0] - 1) for j in (0, size[1] - 1) for k in (0, size[2] - 1)], dtype=np.float64)
    apart = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max())
    if apart <= _SAME_AFFINE_MM:
        return
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0 or (sform[0, :3] @ qform[0, :3]) < 0:
        raise GeometryError(f"{path}: its sform and qform disagree on left and right; set one of them right, or its code to 0")
    warnings.append(f"its sform and qform place corners {apart:.1f} mm apart; the {used} was used")


def _orthogonality(affine: Points) -> float:
    """Volume that the three unit axes span: 1 at right angles, 0 if they lie in one plane."""
    return float(np.linalg.det(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)))


def _filled(volume: Volume) -> Volume:
    """The volume with empty slices where slices are missing."""
    grid = volume.grid
    steps = np.diff(grid.origins_mm, axis=0)
    gaps = steps @ grid.normal
    base = float(gaps[np.abs(gaps).argmin()])
    counts = np.round(gaps / base).astype(int)
    index = np.concatenate([[0], np.cumsum(counts)])
    step = (grid.origins_mm[-1] - grid.origins_mm[0]) / index[-1]
    places = grid.origins_mm[0] + index[:, None] * step
    astray = float(np.linalg.norm(places - grid.origins_mm, axis=1).max())
    if astray > _MULTIPLE_TOLERANCE * abs(base):
        raise GeometryError(
            f"the slices are unevenly spaced ({np.abs(gaps).min():.2f} to {np.abs(gaps).max():.2f} mm; {astray:.2f} mm off an even grid), "
            "which a NIfTI file cannot hold"
        )
    array: NDArray[Any] = np.zeros((index[-1] + 1, *volume.array.shape[1:]), volume.array.dtype)
    array[index] = volume.array
    origins = grid.origins_mm[0] + np.arange(index[-1] + 1)[:, None] * step
    return Volume(array, Grid(origins, grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns))
