"""Kind 14: anatomy out of the ordinary, and a sacrum out of view."""

from pathlib import Path

from base import case, copied, cropped, saved, slices


@case(14, "_lumbarised")
def lumbarised(out: Path) -> None:
    copied("sagittal_t2", out, "_lumbarised")
    copied("axial_t2", out, "_lumbarised")


@case(14, "_sacralised")
def sacralised(out: Path) -> None:
    copied("sagittal_t2", out, "_sacralised")
    copied("axial_t2", out, "_sacralised")


@case(14, "_lumbarised", must_say=True)
def lumbarised_cut_above_the_sacrum(out: Path) -> None:
    """The lower end of the images is cut off above the sacrum."""
    made = slices("sagittal_t2", "_lumbarised")
    saved([cropped(one, slice(0, int(0.72 * one.Rows))) for one in made], out / "sagittal_t2")


@case(14, must_say=True)
def no_sacrum_in_view(out: Path) -> None:
    made = slices("sagittal_t2")
    saved([cropped(one, slice(0, int(0.68 * one.Rows))) for one in made], out / "sagittal_t2")
