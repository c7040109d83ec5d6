"""Studies as anonymisers, archives and other senders change them: identifiers, orders, directions, units and modalities."""

import copy
from pathlib import Path

import numpy as np
from base import another, case, center, copied, cropped, directions, moved, place, position, saved, slices, with_pixels
from pydicom.uid import generate_uid


@case(4)
def one_series_uid_for_all(out: Path) -> None:
    """An anonymiser gave all series one UID: sagittal T2, sagittal T1 and axial T2."""
    made = [one for name in ("sagittal_t2", "sagittal_t1", "axial_t2") for one in slices(name)]
    for number, one in enumerate(made, start=1):
        one.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.1"
        one.InstanceNumber = number
    saved(made, out / "all")


@case(1)
def series_uid_of_its_own_for_every_file(out: Path) -> None:
    for name in ("sagittal_t2", "axial_t2"):
        made = slices(name)
        for one in made:
            one.SeriesInstanceUID = generate_uid(entropy_srcs=[one.SOPInstanceUID, "series"])
        saved(made, out / name)


@case(1)
def study_uid_of_its_own_for_every_series(out: Path) -> None:
    for name in ("sagittal_t2", "axial_t2"):
        made = slices(name)
        for one in made:
            one.StudyInstanceUID = generate_uid(entropy_srcs=[one.SeriesInstanceUID, "study"])
        saved(made, out / name)


@case(8)
def instance_numbers_all_one(out: Path) -> None:
    for name in ("sagittal_t2", "axial_t2"):
        made = slices(name)
        for one in made:
            one.InstanceNumber = 1
        saved(made, out / name)


@case(10)
def every_file_twice(out: Path) -> None:
    for name in ("sagittal_t2", "axial_t2"):
        copied(name, out)
        copied(name, out / "copy of the disc")


@case(4, must_say=True)
def repeat_after_the_patient_moved_in_one_series(out: Path) -> None:
    """A repeat 4 mm higher, under the same series UID."""
    copied("sagittal_t2", out)
    first = slices("axial_t2")
    again = moved(copy.deepcopy(first), (0.0, 0.0, 4.0))
    for one in again:
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[one.SOPInstanceUID, "again"])
        one.InstanceNumber += 100
    saved(first + again, out / "axial")


@case(8, must_say=True)
def directions_not_of_unit_length(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    for one in made:
        along, down = directions(one)
        place(one, position(one), along * 0.7, down * 0.7)
    saved(made, out / "sagittal_t2")


@case(8, must_say=True)
def directions_not_at_right_angles(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    for one in made:
        along, down = directions(one)
        tilted = along + 0.3 * down
        place(one, position(one), tilted / np.linalg.norm(tilted), down)
    saved(made, out / "sagittal_t2")


@case(8, must_say=True)
def all_slices_called_axial(out: Path) -> None:
    """An anonymiser wrote the same directions into every image."""
    for name in ("sagittal_t2", "axial_t2"):
        made = slices(name)
        for one in made:
            place(one, position(one), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]))
        saved(made, out / name)


@case(13)
def white_is_low(out: Path) -> None:
    """MONOCHROME1, and the pixels with it."""
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    for one in made:
        with_pixels(one, int(one.pixel_array.max()) - one.pixel_array.astype(int))
        one.PhotometricInterpretation = "MONOCHROME1"
    saved(made, out / "sagittal_t2")


@case(13, must_say=True)
def slope_below_zero(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    for one in made:
        one.RescaleSlope, one.RescaleIntercept = "-1", "0"
    saved(made, out / "sagittal_t2")


@case(13)
def slope_of_zero(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    for one in made:
        one.RescaleSlope, one.RescaleIntercept = "0", "0"
    saved(made, out / "sagittal_t2")


@case(13, must_say=True)
def another_modality(out: Path) -> None:
    """CT, as the header says."""
    for name in ("sagittal_t2", "axial_t2"):
        made = slices(name)
        for one in made:
            one.Modality, one.SOPClassUID = "CT", "1.2.840.10008.5.1.4.1.1.2"
            one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
        saved(made, out / name)


@case(8)
def matrices_of_two_sizes_in_one_series(out: Path) -> None:
    """Half of the slices are cropped, at their place."""
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    saved([cropped(one, slice(6, None), slice(4, None)) if number % 2 else one for number, one in enumerate(made)], out / "sagittal_t2")


@case(8, must_say=True)
def pixel_size_of_one_slice_wrong(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    made[len(made) // 2].PixelSpacing = [2 * float(value) for value in made[0].PixelSpacing]
    saved(made, out / "sagittal_t2")


@case(6, must_say=True)
def two_examinations_of_one_person(out: Path) -> None:
    """The earlier one was taken 6 mm higher; both have the same descriptions."""
    for name in ("sagittal_t2", "axial_t2"):
        copied(name, out / "now")
        made = moved(another(slices(name), "earlier"), (0.0, 3.0, 6.0))
        for one in made:
            one.StudyInstanceUID = generate_uid(entropy_srcs=[one.StudyInstanceUID, "earlier"])
            one.StudyDate = "20190101"
        saved(made, out / "earlier" / name)


@case(6, must_say=True)
def a_stray_slice_of_another_person(out: Path) -> None:
    copied("axial_t2", out)
    made, other = slices("sagittal_t2"), slices("sagittal_t2", "_sacralised")
    middle = len(made) // 2
    shown = other[len(other) // 2].pixel_array
    rows, columns = made[middle].Rows, made[middle].Columns
    canvas = np.zeros((rows, columns))
    canvas[: min(rows, shown.shape[0]), : min(columns, shown.shape[1])] = shown[:rows, :columns]
    with_pixels(made[middle], canvas)
    saved(made, out / "sagittal_t2")


@case(6, must_say=True)
def feet_first_with_the_header_of_head_first(out: Path) -> None:
    """The whole study turned by 180 degrees about the axis from front to back: right is left and head is foot, in both series alike."""
    for name in ("sagittal_t2", "axial_t2"):
        made = slices(name)
        middle = center(slices("sagittal_t2"))
        turn = np.diag([-1.0, 1.0, -1.0])
        for one in made:
            along, down = directions(one)
            place(one, turn @ (position(one) - middle) + middle, turn @ along, turn @ down)
        saved(made, out / name)


@case(13)
def padding_of_minus_32768(out: Path) -> None:
    """The corners hold the padding value, in signed pixels."""
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    for one in made:
        values = one.pixel_array.astype(np.int16)
        values[:, :8] = -32768
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.add_new(0x00280120, "SS", -32768)
        one.PixelData = values.astype("<i2").tobytes()
    saved(made, out / "sagittal_t2")
