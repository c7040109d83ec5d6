"""Kinds 10 and 11: files, archives and NIfTI as other tools write them."""

import gzip
import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from base import case, copied, directions, folder_of, position, rotation, slices
from pydicom.fileset import FileSet


@case(10)
def zip_in_zip(out: Path) -> None:
    inner = out.with_name(out.name + ".inner.zip")
    _zipped(inner, "sagittal_t2")
    out.mkdir()
    with zipfile.ZipFile(out / "outer.zip", "w") as archive:
        archive.write(inner, "study/sagittal.zip")
        for path in sorted(folder_of("axial_t2").iterdir()):
            archive.write(path, f"study/axial/{path.name}")
    inner.unlink()


def _zipped(path: Path, series: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for one in sorted(folder_of(series).iterdir()):
            archive.write(one, one.name)


@case(10)
def same_name_in_a_zip(out: Path) -> None:
    """Sagittal T2 and axial T2 under the same names."""
    out.mkdir()
    with zipfile.ZipFile(out / "study.zip", "w") as archive:
        for series in ("sagittal_t2", "axial_t2"):
            for number, one in enumerate(sorted(folder_of(series).iterdir())):
                archive.write(one, f"IMG{number:03}")


@case(10)
def packed_one_by_one(out: Path) -> None:
    for series in ("sagittal_t2", "axial_t2"):
        (out / series).mkdir(parents=True)
        for path in folder_of(series).iterdir():
            (out / series / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))


@case(10)
def linked_series(out: Path) -> None:
    (out / "a").mkdir(parents=True)
    for series in ("sagittal_t2", "axial_t2"):
        (out / "a" / series).symlink_to(folder_of(series).resolve())
    (out / "a" / "circle").symlink_to(out.resolve())


@case(10)
def unreadable_series(out: Path) -> None:
    """The axial series may not be opened (as an ordinary user)."""
    copied("sagittal_t2", out)
    copied("axial_t2", out)
    (out / "axial_t2").chmod(0)


def _medium(out: Path, name: str) -> None:
    files = FileSet()
    for series in ("sagittal_t2", "axial_t2"):
        for path in sorted(folder_of(series).iterdir()):
            one = pydicom.dcmread(path)
            one.PatientID = one.get("PatientID") or "P1"
            one.PatientName = one.get("PatientName") or ""
            one.StudyDate, one.StudyTime, one.StudyID = one.get("StudyDate") or "20200101", one.get("StudyTime") or "000000", "1"
            one.AccessionNumber = ""
            files.add(one)
    files.write(out)
    if name != "DICOMDIR":
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / "DICOMDIR").rename(out / name)


@case(10)
def dicomdir(out: Path) -> None:
    _medium(out, "DICOMDIR")


@case(10)
def dicomdir_lower_case(out: Path) -> None:
    _medium(out, "dicomdir")


@case(10)
def dicomdir_in_a_subfolder(out: Path) -> None:
    _medium(out / "cd" / "DISC1", "DICOMDIR")


@case(10)
def dicomdir_in_a_zip(out: Path) -> None:
    medium = out.with_name(out.name + ".medium")
    _medium(medium, "DICOMDIR")
    out.mkdir()
    shutil.make_archive(str(out / "cd"), "zip", medium)
    shutil.rmtree(medium)


@case(10, "_dixon", must_say=True)
def nifti_beside_dicom(out: Path) -> None:
    copied("sagittal_t2", out, "_dixon")
    for name in ("dixon_water", "dixon_fat"):
        nib.save(nifti(name), out / f"{name}.nii.gz")


def nifti(series: str, phantom: str = "_dixon") -> nib.Nifti1Image:
    """A series as NIfTI in millimetres."""
    made = slices(series, phantom)
    along, down = directions(made[0])
    step = [float(value) for value in made[0].PixelSpacing]
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = along * step[1], down * step[0], position(made[1]) - position(made[0])
    matrix[:3, 3] = position(made[0])
    image = nib.Nifti1Image(np.stack([one.pixel_array.T for one in made], -1).astype("<i2"), np.diag([-1, -1, 1, 1]) @ matrix)
    image.set_sform(image.affine, 1)
    image.set_qform(image.affine, 1)
    image.header.set_xyzt_units("mm")
    return image


def _niftis(out: Path, change: object = None, names: tuple[str, str, str] = ("sag_t2", "ax_dixon_water", "ax_dixon_fat")) -> None:
    out.mkdir()
    for series, name in zip(("sagittal_t2", "dixon_water", "dixon_fat"), names, strict=True):
        image = nifti(series)
        image = change(image) or image if change else image  # type: ignore[operator]
        nib.save(image, out / f"{name}.nii.gz")


@case(11, "_dixon", must_say=True)
def nifti_unit_micrometres(out: Path) -> None:
    """The unit code says micrometres; the numbers are millimetres."""
    _niftis(out, lambda image: image.header.set_xyzt_units("micron"))


@case(11, "_dixon")
def nifti_in_micrometres(out: Path) -> None:
    """Numbers and unit code in micrometres."""

    def change(image: nib.Nifti1Image) -> nib.Nifti1Image:
        affine = np.diag([1000, 1000, 1000, 1]) @ image.affine
        made = nib.Nifti1Image(np.asarray(image.dataobj), affine)
        made.set_sform(affine, 1)
        made.set_qform(affine, 1)
        made.header.set_xyzt_units("micron")
        return made

    _niftis(out, change)


@case(11, "_dixon", must_say=True)
def nifti_in_centimetres(out: Path) -> None:
    """Numbers in centimetres, code millimetres."""

    def change(image: nib.Nifti1Image) -> nib.Nifti1Image:
        affine = np.diag([0.1, 0.1, 0.1, 1]) @ image.affine
        made = nib.Nifti1Image(np.asarray(image.dataobj), affine)
        made.header.set_xyzt_units("mm")
        return made

    _niftis(out, change)


@case(11, "_dixon", must_say=True)
def nifti_qform_turned(out: Path) -> None:
    """The qform of every file is turned by 12° against its sform."""

    def change(image: nib.Nifti1Image) -> None:
        turn = np.eye(4)
        turn[:3, :3] = rotation(12, 0)
        image.set_qform(turn @ image.affine, 1)

    _niftis(out, change)


def _raised(affine: np.ndarray, mm: float) -> np.ndarray:
    """`affine` with its origin `mm` nearer to the head."""
    raised = affine.copy()
    raised[2, 3] += mm
    return raised


@case(11, "_dixon", must_say=True)
def nifti_qform_of_one_shifted(out: Path) -> None:
    """The qform of the water image lies 20 mm from its sform, those of the others on it."""
    _niftis(out)
    image = nib.load(out / "ax_dixon_water.nii.gz")
    image.set_qform(_raised(image.affine, 20), 1)
    nib.save(image, out / "ax_dixon_water.nii.gz")


@case(11, "_dixon", must_say=True)
def nifti_sform_of_one_wrong(out: Path) -> None:
    """The sform of the sagittal image lies 30 mm from the truth, its qform is right (both codes 1)."""
    _niftis(out)
    image = nib.load(out / "sag_t2.nii.gz")
    image.set_qform(image.affine, 1)
    image.set_sform(_raised(image.affine, 30), 1)
    nib.save(image, out / "sag_t2.nii.gz")


@case(11, "_dixon")
def nifti_bids(out: Path) -> None:
    (out / "sub-01" / "anat").mkdir(parents=True)
    for series, name in (("sagittal_t2", "acq-sag_T2w"), ("dixon_water", "acq-axdixon_part-water_MEGRE"), ("dixon_fat", "acq-axdixon_part-fat_MEGRE")):
        nib.save(nifti(series), out / "sub-01" / "anat" / f"sub-01_{name}.nii.gz")


@case(11, "_dixon")
def nifti_named_after_seger(out: Path) -> None:
    _niftis(out, names=("seger_mask_sag_T2", "seger_seg_dixon_water", "seger_seg_dixon_fat"))


@case(11, "_dixon", must_say=True)
def nifti_flipped_left_right(out: Path) -> None:
    """sform and qform disagree on left and right."""

    def change(image: nib.Nifti1Image) -> None:
        image.set_qform(np.diag([-1, 1, 1, 1]) @ image.affine, 1)

    _niftis(out, change)


@case(11, "_dixon", must_say=True)
def nifti_no_codes(out: Path) -> None:
    """Neither sform nor qform has a code."""

    def change(image: nib.Nifti1Image) -> None:
        image.set_sform(image.affine, 0)
        image.set_qform(image.affine, 0)

    _niftis(out, change)


@case(11, "_dixon", must_say=True)
def nifti_four_dimensions(out: Path) -> None:
    """Water and fat as one file of four dimensions."""
    out.mkdir()
    nib.save(nifti("sagittal_t2"), out / "sag_t2.nii.gz")
    water, fat = nifti("dixon_water"), nifti("dixon_fat")
    both = np.stack([np.asarray(water.dataobj), np.asarray(fat.dataobj)], -1)
    nib.save(nib.Nifti1Image(both, water.affine), out / "ax_dixon.nii.gz")


@case(11)
def nifti_single_sagittal_slice(out: Path) -> None:
    out.mkdir()
    image = nifti("sagittal_t2", "_base")
    middle = image.shape[2] // 2
    nib.save(image.slicer[:, :, middle : middle + 1], out / "mid_sagittal_t2.nii.gz")
