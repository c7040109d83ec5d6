"""Kind 8: positions of slices that are missing, wrong, or in another unit or order."""

from pathlib import Path

from base import case, center, copied, directions, normal, place, position, reordered, saved, slices


@case(8, must_say=True)
def one_place_with_numbers(out: Path) -> None:
    """All sagittal slices at one place; the instance numbers are in order."""
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    for number, one in enumerate(made):
        place(one, position(made[0]))
        one.InstanceNumber = number + 1
    saved(made, out / "sagittal_t2")


@case(8, must_say=True)
def one_place_axial(out: Path) -> None:
    copied("sagittal_t2", out)
    made = slices("axial_t2")
    for number, one in enumerate(made):
        place(one, position(made[0]), *directions(made[0]))
        one.InstanceNumber = number + 1
    saved(made, out / "axial_t2")


def _in_unit(factor: float, out: Path, pixels: bool) -> None:
    for series in ("sagittal_t2", "axial_t2"):
        made = slices(series)
        for one in made:
            place(one, position(one) * factor)
            if pixels:
                one.PixelSpacing = [f"{float(value) * factor:.8g}" for value in one.PixelSpacing]
                one.SliceThickness = f"{float(one.SliceThickness) * factor:.8g}"
        saved(made, out / series)


@case(8, must_say=True)
def positions_in_centimetres(out: Path) -> None:
    _in_unit(0.1, out, pixels=False)


@case(8, must_say=True)
def everything_in_centimetres(out: Path) -> None:
    _in_unit(0.1, out, pixels=True)


@case(8, must_say=True)
def everything_half_size(out: Path) -> None:
    """All lengths halved: a plausible image of an impossible spine."""
    _in_unit(0.5, out, pixels=True)


@case(8, must_say=True)
def positions_in_metres(out: Path) -> None:
    _in_unit(0.001, out, pixels=False)


@case(8, must_say=True)
def positions_by_name_as_text(out: Path) -> None:
    """Images were put at the positions in the order 1, 10, 11, …, 2."""
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    places = [position(one) for one in made]
    order = sorted(range(len(made)), key=lambda k: str(k + 1))
    for k, one in zip(order, made, strict=True):
        place(one, places[k])
    saved(made, out / "sagittal_t2")


@case(8, must_say=True)
def halves_exchanged(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    half = len(made) // 2
    saved(reordered(made, [*range(half, len(made)), *range(half)]), out / "sagittal_t2")


@case(8)
def neighbours_exchanged(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    order = list(range(len(made)))
    half = len(made) // 2
    order[half], order[half - 1] = order[half - 1], order[half]
    saved(reordered(made, order), out / "sagittal_t2")


@case(8, must_say=True)
def positions_missing_in_half(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    for one in made[::2]:
        del one.ImagePositionPatient
    saved(made, out / "sagittal_t2")


@case(8, must_say=True)
def pixel_spacing_swapped_for_one(out: Path) -> None:
    """PixelSpacing 1\\1, as converters write who do not know it."""
    for series in ("sagittal_t2", "axial_t2"):
        made = slices(series)
        for one in made:
            one.PixelSpacing = ["1", "1"]
        saved(made, out / series)


@case(8, must_say=True)
def spacing_of_slices_halved(out: Path) -> None:
    """Sagittal positions twice as dense as the slices are: the spine half as wide."""
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    middle = center(made)
    for one in made:
        along = (position(one) - middle) @ normal(one)
        place(one, position(one) - 0.5 * along * normal(one))
    saved(made, out / "sagittal_t2")
