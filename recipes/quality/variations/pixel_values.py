"""Kind 13: bits, signs, orientation and content of the pixels."""

from pathlib import Path

import numpy as np
from base import case, copied, saved, slices, with_pixels
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset


def _changed_pixels(out: Path, series: str, change: object) -> None:
    for name in ("sagittal_t2", "axial_t2"):
        if name == series:
            saved([change(one) for one in slices(name)], out / name)  # type: ignore[operator]
        else:
            copied(name, out)


@case(13)
def rubbish_in_high_bits(out: Path) -> None:
    """12 bits of image, 4 of overlay rubbish above them."""
    rng = np.random.default_rng(2)

    def change(one: Dataset) -> Dataset:
        values = one.pixel_array.astype(float)
        values = np.rint(values / values.max() * 3000).astype(np.uint16) | (rng.integers(0, 16, values.shape).astype(np.uint16) << 12)
        with_pixels(one, values)
        one.BitsStored, one.HighBit = 12, 11
        return one

    _changed_pixels(out, "sagittal_t2", change)


@case(13)
def overlay_in_bit_15(out: Path) -> None:
    """A graphic in the highest bit, as old scanners wrote overlays."""

    def change(one: Dataset) -> Dataset:
        values = one.pixel_array.astype(np.uint16)
        values[10:30, 10:60] |= 0x8000
        with_pixels(one, values)
        one.BitsStored, one.HighBit = 12, 11
        return one

    _changed_pixels(out, "sagittal_t2", change)


@case(13, must_say=True)
def signed_said_unsigned_meant(out: Path) -> None:
    """Values over 32767 with PixelRepresentation 1."""

    def change(one: Dataset) -> Dataset:
        with_pixels(one, one.pixel_array / float(one.pixel_array.max()) * 60000)
        one.PixelRepresentation = 1
        return one

    _changed_pixels(out, "sagittal_t2", change)


@case(13, must_say=True)
def unsigned_said_signed_meant(out: Path) -> None:
    """Values around 0 stored as signed, said to be unsigned."""

    def change(one: Dataset) -> Dataset:
        values = (one.pixel_array.astype(np.int32) - 30).astype("<i2")
        one.PixelData, one.PixelRepresentation = values.tobytes(), 0
        return one

    _changed_pixels(out, "axial_t2", change)


@case(13, must_say=True)
def sagittal_rows_upside_down(out: Path) -> None:
    _changed_pixels(out, "sagittal_t2", lambda one: with_pixels(one, one.pixel_array[::-1]))


@case(13, must_say=True)
def sagittal_columns_mirrored(out: Path) -> None:
    """Front and back exchanged under a straight header."""
    _changed_pixels(out, "sagittal_t2", lambda one: with_pixels(one, one.pixel_array[:, ::-1]))


@case(13, must_say=True)
def axial_rows_upside_down(out: Path) -> None:
    _changed_pixels(out, "axial_t2", lambda one: with_pixels(one, one.pixel_array[::-1]))


@case(13)
def axial_columns_mirrored_alone(out: Path) -> None:
    """Left and right exchanged, and no sagittal series that could tell."""
    saved([with_pixels(one, one.pixel_array[:, ::-1]) for one in slices("axial_t2")], out / "axial_t2")


@case(13, must_say=True)
def everything_turned_by_180(out: Path) -> None:
    """Both series hold their images turned by 180° under straight headers."""
    for name in ("sagittal_t2", "axial_t2"):
        saved([with_pixels(one, one.pixel_array[::-1, ::-1]) for one in slices(name)], out / name)


@case(13, must_say=True)
def text_in_images(out: Path) -> None:
    def change(one: Dataset) -> Dataset:
        image = Image.fromarray(one.pixel_array.astype(np.int32))
        ImageDraw.Draw(image).text((3, 3), "DOE JANE 1961", fill=int(one.pixel_array.max()))
        return with_pixels(one, np.asarray(image))

    _changed_pixels(out, "axial_t2", change)


@case(13, must_say=True)
def grey_text_in_images(out: Path) -> None:
    """Text that is not the brightest thing in the images, with a number that differs from slice to slice."""

    def change(one: Dataset) -> Dataset:
        image = Image.fromarray(one.pixel_array.astype(np.int32))
        ImageDraw.Draw(image).text((3, 3), f"DOE JANE 1961  Im {one.InstanceNumber}", fill=int(0.6 * one.pixel_array.max()))
        return with_pixels(one, np.asarray(image))

    _changed_pixels(out, "sagittal_t2", change)


@case(13, must_say=True)
def half_of_the_slices_empty(out: Path) -> None:
    made = slices("sagittal_t2")
    copied("axial_t2", out)
    saved([one if number % 2 else with_pixels(one, one.pixel_array * 0) for number, one in enumerate(made)], out / "sagittal_t2")


@case(13, must_say=True)
def inverted_grey(out: Path) -> None:
    """Black and white exchanged without MONOCHROME1."""
    _changed_pixels(out, "sagittal_t2", lambda one: with_pixels(one, one.pixel_array.max() - one.pixel_array))


@case(13, "_metal", must_say=True)
def metal(out: Path) -> None:
    copied("sagittal_t2", out, "_metal")
    copied("axial_t2", out, "_metal")
