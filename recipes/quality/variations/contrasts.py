"""Kinds 3 and 4: scaling of water and fat, and several images at one place."""

import copy
from pathlib import Path

import numpy as np
from base import another, case, copied, saved, slices, with_pixels
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, generate_uid


def _pair() -> tuple[list[Dataset], list[Dataset]]:
    return slices("dixon_water", "_dixon"), slices("dixon_fat", "_dixon")


def _rest(out: Path) -> None:
    copied("sagittal_t2", out, "_dixon")


def _scaled_apart(out: Path, factor: float, masked: bool = False, step: bool = True) -> None:
    """Water as it is and fat times `factor`; `masked` without noise in air, `step` with values that stay whole numbers without gaps."""
    _rest(out)
    water, fat = _pair()
    rng = np.random.default_rng(0)
    for w, f in zip(water, fat, strict=True):
        air = (w.pixel_array.astype(float) + f.pixel_array) < 0.06 * np.quantile(w.pixel_array, 0.99)
        values = f.pixel_array * factor + (rng.random(f.pixel_array.shape) - 0.5 if step else 0)
        with_pixels(f, np.where(air & masked, 0, values))
        with_pixels(w, np.where(air & masked, 0, w.pixel_array))
    saved(water, out / "water")
    saved(fat, out / "fat")


@case(3, "_dixon", must_say=True)
def fat_scaled_by_1_3(out: Path) -> None:
    _scaled_apart(out, 1.3)


@case(3, "_dixon", must_say=True)
def fat_scaled_by_1_3_air_masked(out: Path) -> None:
    _scaled_apart(out, 1.3, masked=True)


@case(3, "_dixon", must_say=True)
def fat_scaled_by_0_6_air_masked(out: Path) -> None:
    _scaled_apart(out, 0.6, masked=True)


@case(3, "_dixon", must_say=True)
def fat_scaled_by_2_5_air_masked(out: Path) -> None:
    _scaled_apart(out, 2.5, masked=True)


@case(3, "_dixon")
def air_masked_scale_right(out: Path) -> None:
    _scaled_apart(out, 1.0, masked=True, step=False)


def _real_world(one: Dataset, slope: float) -> None:
    item = Dataset()
    item.RealWorldValueFirstValueMapped, item.RealWorldValueLastValueMapped = 0, 65535
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, 0.0
    unit = Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "1", "UCUM", "no units"
    item.MeasurementUnitsCodeSequence = Sequence([unit])
    one.RealWorldValueMappingSequence = Sequence([item])


@case(3, "_dixon")
def real_world_values(out: Path) -> None:
    """Fat stored times 2, which a real-world map undoes."""
    _rest(out)
    water, fat = _pair()
    for one, factor in [(w, 1.0) for w in water] + [(f, 2.0) for f in fat]:
        with_pixels(one, one.pixel_array * factor)
        _real_world(one, 1 / factor)
    saved(water, out / "water")
    saved(fat, out / "fat")


@case(3, "_dixon")
def real_world_values_of_fat_alone(out: Path) -> None:
    """Fat stored times 2 with a map, water without one."""
    _rest(out)
    water, fat = _pair()
    for one in fat:
        _real_world(with_pixels(one, one.pixel_array * 2), 0.5)
    saved(water, out / "water")
    saved(fat, out / "fat")


@case(3, "_dixon", must_say=True)
def real_world_table(out: Path) -> None:
    """Fat stored as its square root with a table of real values."""
    _rest(out)
    water, fat = _pair()
    for one in fat:
        with_pixels(one, np.sqrt(one.pixel_array.astype(float)) * 10)
        _real_world(one, 1.0)
        item = one.RealWorldValueMappingSequence[0]
        del item.RealWorldValueSlope, item.RealWorldValueIntercept
        item.RealWorldValueLUTData = [(k / 10) ** 2 for k in range(1000)]
    saved(water, out / "water")
    saved(fat, out / "fat")


@case(3, "_dixon")
def philips_slope_in_slices(out: Path) -> None:
    """A Philips scale slope that differs from slice to slice."""
    _rest(out)
    for series, name in zip(_pair(), ("water", "fat"), strict=True):
        for number, one in enumerate(series):
            slope = 1 + 0.15 * number * (2 if name == "fat" else 1)
            with_pixels(one, one.pixel_array * slope)
            one.Manufacturer = "Philips Healthcare"
            block = one.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
            block.add_new(0x0E, "FL", slope)
        saved(series, out / name)


@case(3, "_dixon", must_say=True)
def philips_without_scale(out: Path) -> None:
    """Philips, fat stored times 1.8, private tags removed."""
    _rest(out)
    water, fat = _pair()
    for one in (*water, *fat):
        one.Manufacturer = "Philips"
    for one in fat:
        with_pixels(one, one.pixel_array * 1.8)
    saved(water, out / "water")
    saved(fat, out / "fat")


@case(3, "_dixon", must_say=True)
def rescaled_slice_by_slice(out: Path) -> None:
    """A viewer stretched every slice to its own maximum."""
    _rest(out)
    for series, name in zip(_pair(), ("water", "fat"), strict=True):
        saved([with_pixels(one, one.pixel_array * (4000 / float(one.pixel_array.max()))) for one in series], out / name)


def _kinds(w: Dataset, f: Dataset) -> dict[str, NDArray[np.float64]]:
    a, b = w.pixel_array.astype(float), f.pixel_array.astype(float)
    return {"IN_PHASE": a + b, "OPP_PHASE": np.abs(a - b), "WATER": a, "FAT": b, "FAT_FRACTION": 1000 * b / np.maximum(a + b, 1)}


def _one_series(out: Path, kinds: tuple[str, ...], types: bool, by_slice: bool = False, description: str = "Ax LAVA-Flex") -> None:
    """Images of several kinds in one series; with their image types or without."""
    _rest(out)
    uid = generate_uid()
    made: list[Dataset] = []
    places = list(zip(*_pair(), strict=True))
    order = [(kind, pair) for pair in places for kind in kinds] if by_slice else [(kind, pair) for kind in kinds for pair in places]
    for number, (kind, (w, f)) in enumerate(order):
        one = with_pixels(copy.deepcopy(w), _kinds(w, f)[kind])
        one.SeriesInstanceUID, one.SeriesDescription, one.InstanceNumber = uid, description, number + 1
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        one.ImageType = ["DERIVED" if kind == "FAT_FRACTION" else "ORIGINAL", "PRIMARY", *([kind] if types else [])]
        made.append(one)
    saved(made, out / "dx")


@case(4, "_dixon")
def dixon_slice_by_slice_untyped(out: Path) -> None:
    _one_series(out, ("OPP_PHASE", "IN_PHASE", "FAT", "WATER"), types=False, by_slice=True)


@case(4, "_dixon")
def dixon_typed(out: Path) -> None:
    _one_series(out, ("IN_PHASE", "OPP_PHASE", "WATER", "FAT", "FAT_FRACTION"), types=True)


@case(4, "_dixon", must_say=True)
def dixon_five_untyped(out: Path) -> None:
    """A fat-fraction map among them."""
    _one_series(out, ("IN_PHASE", "OPP_PHASE", "WATER", "FAT", "FAT_FRACTION"), types=False)


@case(4, "_dixon", must_say=True)
def in_and_opposed_untyped(out: Path) -> None:
    _one_series(out, ("IN_PHASE", "OPP_PHASE"), types=False)


@case(4, "_dixon", must_say=True)
def water_and_fat_untyped(out: Path) -> None:
    """No in-phase image to tell them by."""
    _one_series(out, ("WATER", "FAT"), types=False)


@case(4, "_dixon")
def fat_fraction_alone(out: Path) -> None:
    """A map of fat fractions named by its description only, with the water image."""
    _rest(out)
    water, fat = _pair()
    saved(water, out / "water")
    maps = another(water, "ff", 40)
    for one, w, f in zip(maps, water, fat, strict=True):
        with_pixels(one, _kinds(w, f)["FAT_FRACTION"] / 10)
        one.SeriesDescription, one.ImageType = "FatFrac: Ax IDEAL IQ", ["DERIVED", "PRIMARY"]
    saved(maps, out / "ff")


@case(4, "_dixon", must_say=True)
def water_and_fat_swapped_names(out: Path) -> None:
    """The descriptions of water and fat exchanged."""
    _rest(out)
    water, fat = _pair()
    for w, f in zip(water, fat, strict=True):
        w.SeriesDescription, f.SeriesDescription = f.SeriesDescription, w.SeriesDescription
        w.ImageType, f.ImageType = f.ImageType, w.ImageType
    saved(water, out / "a")
    saved(fat, out / "b")


@case(4, "_dixon")
def dixon_enhanced(out: Path) -> None:
    """In, opposed, water and fat in one enhanced multi-frame file with frame types."""
    _enhanced(out, typed=True)


@case(4, "_dixon")
def dixon_enhanced_untyped(out: Path) -> None:
    """The same without a frame type."""
    _enhanced(out, typed=False)


def _enhanced(out: Path, typed: bool) -> None:
    _rest(out)
    frames = [(kind, w, f) for kind in ("IN_PHASE", "OPP_PHASE", "WATER", "FAT") for w, f in zip(*_pair(), strict=True)]
    first = copy.deepcopy(frames[0][1])
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "EchoTime"):
        if name in first:
            delattr(first, name)
    first.SOPClassUID = first.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    first.SeriesDescription, first.ImageType = "Ax mDIXON", ["DERIVED" if typed else "ORIGINAL", "PRIMARY", "DIXON", "MIXED" if typed else "NONE"]
    first.NumberOfFrames = len(frames)
    shared, groups = Dataset(), []
    measures = Dataset()
    measures.PixelSpacing, measures.SliceThickness = frames[0][1].PixelSpacing, frames[0][1].SliceThickness
    shared.PixelMeasuresSequence = Sequence([measures])
    pixels = []
    for kind, w, f in frames:
        group, plane, orientation, kinds = Dataset(), Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient, orientation.ImageOrientationPatient = w.ImagePositionPatient, w.ImageOrientationPatient
        kinds.FrameType = ["DERIVED", "PRIMARY", "DIXON", kind if typed else "NONE"]
        group.PlanePositionSequence, group.PlaneOrientationSequence = Sequence([plane]), Sequence([orientation])
        group.MRImageFrameTypeSequence = Sequence([kinds])
        groups.append(group)
        pixels.append(np.clip(np.rint(_kinds(w, f)[kind]), 0, 65535).astype("<u2"))
    first.SharedFunctionalGroupsSequence, first.PerFrameFunctionalGroupsSequence = Sequence([shared]), Sequence(groups)
    with_pixels(first, pixels[0])
    first.PixelData = np.stack(pixels).tobytes()
    saved([first], out / "enhanced")


@case(4)
def echoes_by_number(out: Path) -> None:
    """A T2 series with a second, weaker echo at every place, told by the echo number alone."""
    copied("sagittal_t2", out)
    made = slices("axial_t2")
    second = copy.deepcopy(made)
    for one in second:
        with_pixels(one, one.pixel_array * 0.6)
        one.EchoNumbers = 2
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    saved([*made, *second], out / "axial")


@case(4)
def b_values_in_one_series(out: Path) -> None:
    """Sagittal diffusion: two b-values in private tags of Siemens, beside the T2."""
    copied("sagittal_t2", out)
    copied("axial_t2", out)
    made = another(slices("sagittal_t2"), "dwi", 50)
    second = copy.deepcopy(made)
    for b, group in ((0, made), (800, second)):
        for one in group:
            one.SeriesDescription = "sag ep2d"
            one.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", str(b))
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            if b:
                with_pixels(one, one.pixel_array * 0.3)
    saved([*made, *second], out / "dwi")


@case(4)
def dynamic_repeats(out: Path) -> None:
    """The axial T2 three times in one series, with noise of its own each."""
    copied("sagittal_t2", out)
    rng = np.random.default_rng(1)
    made = []
    for repeat in range(3):
        for one in copy.deepcopy(slices("axial_t2")):
            with_pixels(one, np.maximum(one.pixel_array + rng.normal(0, 4, one.pixel_array.shape), 0))
            one.InstanceNumber = int(one.InstanceNumber) + 100 * repeat
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            made.append(one)
    saved(made, out / "axial")
