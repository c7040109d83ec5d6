"""Kinds 1, 2, 5, 6 and 7: places and angles of slices and series."""

import copy
from pathlib import Path

import numpy as np
from base import another, case, center, copied, cropped, directions, moved, normal, place, position, reordered, resliced, rotation, saved, slices, turned
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid


def _blocks(datasets: list[Dataset]) -> list[list[Dataset]]:
    """The slices of an axial series by the block that they belong to."""
    groups: dict[tuple[str, ...], list[Dataset]] = {}
    for one in datasets:
        groups.setdefault(tuple(map(str, one.ImageOrientationPatient)), []).append(one)
    return list(groups.values())


@case(1)
def blocks_overlap_as_series(out: Path) -> None:
    """Each axial block once more, shifted along its normal by two slices and a half, as series of their own."""
    copied("sagittal_t2", out)
    for number, block in enumerate(_blocks(slices("axial_t2"))):
        saved(another(block, str(number), 10 + number), out / f"ax{number}")
        grid_step = position(block[1]) - position(block[0])
        shifted = _between(block, 2.5, grid_step)
        saved(another(shifted, f"{number}9", 20 + number), out / f"again{number}")


def _between(block: list[Dataset], steps: float, step_mm: np.ndarray) -> list[Dataset]:
    """Slices between those of a block, moved by a part of the spacing: only those that the block shows."""
    from base import volume_of, with_pixels  # noqa: PLC0415

    array = volume_of(block).array
    made = copy.deepcopy(block)
    kept = []
    for index, one in enumerate(made):
        source = index + steps
        if source > len(array) - 1:
            continue
        low = int(source)
        share = source - low
        values = array[low] * (1 - share) + array[min(low + 1, len(array) - 1)] * share
        place(one, position(one) + steps * step_mm)
        kept.append(with_pixels(one, values))
    return kept


@case(1)
def blocks_overlap_within_a_series(out: Path) -> None:
    """A repeat of two blocks, moved by half a slice, inside the one axial series."""
    copied("sagittal_t2", out)
    everything = slices("axial_t2")
    extra = [one for block in _blocks(everything)[1:3] for one in _between(block, 1.5, position(block[1]) - position(block[0]))]
    together = [*everything, *extra]
    for number, one in enumerate(together):
        one.InstanceNumber = number + 1
        one.SeriesInstanceUID = everything[0].SeriesInstanceUID
    saved(together, out / "axial")


@case(1)
def one_block_repeated_at_another_resolution(out: Path) -> None:
    """The L4/L5 block once more with 1.4 times the pixel size."""
    from base import with_pixels  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    copied("sagittal_t2", out)
    copied("axial_t2", out)
    block = another(_blocks(slices("axial_t2"))[-2], "r", 30)
    for one in block:
        size = round(one.Columns / 1.4), round(one.Rows / 1.4)
        values = np.asarray(Image.fromarray(one.pixel_array.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
        step = [float(value) * one.Rows / size[1] for value in one.PixelSpacing]
        along, down = directions(one)
        half = [(new - float(old)) / 2 for new, old in zip(step, one.PixelSpacing, strict=True)]
        place(one, position(one) + along * half[1] + down * half[0])
        one.PixelSpacing = [f"{value:.6f}" for value in step]
        with_pixels(one, values)
    saved(block, out / "repeat")


def _moved_axial(out: Path, by_mm: tuple[float, float, float], uid: str = "") -> None:
    copied("sagittal_t2", out)
    made = moved(slices("axial_t2"), by_mm)
    for one in made:
        if uid:
            one.FrameOfReferenceUID = uid
    saved(made, out / "axial_t2")


@case(2)
def axial_moved_5_mm(out: Path) -> None:
    _moved_axial(out, (0, 0, 5))


@case(2, must_say=True)
def axial_moved_10_mm(out: Path) -> None:
    _moved_axial(out, (0, 0, -10))


@case(2, must_say=True)
def axial_moved_20_mm(out: Path) -> None:
    _moved_axial(out, (0, 0, 20))


@case(2, must_say=True)
def axial_moved_sideways_15_mm(out: Path) -> None:
    _moved_axial(out, (15, 0, 0))


@case(2, must_say=True)
def axial_moved_back_12_mm(out: Path) -> None:
    _moved_axial(out, (3, 12, 4))


@case(2, must_say=True)
def axial_one_level_up_same_frame(out: Path) -> None:
    _moved_axial(out, (0, 0, 33))


@case(2, must_say=True)
def axial_one_level_down_other_frame(out: Path) -> None:
    _moved_axial(out, (0, 0, -36), "1.2.3.9")


@case(2)
def axial_turned_6_degrees(out: Path) -> None:
    """The patient turned about the long axis between the series: headers of the axial series are 6° off."""
    copied("sagittal_t2", out)
    axial = slices("axial_t2")
    saved(turned(axial, 6, 2, center(slices("sagittal_t2"))), out / "axial_t2")


@case(2, must_say=True)
def t1_moved_against_t2(out: Path) -> None:
    """The sagittal T1 shows everything one level lower."""
    copied("sagittal_t2", out)
    copied("axial_t2", out)
    saved(moved(slices("sagittal_t1"), (0, 0, -34)), out / "sagittal_t1")


@case(2, must_say=True)
def t1_moved_12_mm_sideways(out: Path) -> None:
    copied("sagittal_t2", out)
    copied("axial_t2", out)
    saved(moved(slices("sagittal_t1"), (12, 0, 0)), out / "sagittal_t1")


@case(2, must_say=True)
def one_axial_block_moved(out: Path) -> None:
    """Of five blocks as series, the patient moved before the last two: 18 mm."""
    copied("sagittal_t2", out)
    for number, block in enumerate(_blocks(slices("axial_t2"))):
        made = another(block, str(number), 10 + number)
        saved(moved(made, (0, 0, 18)) if number >= 3 else made, out / f"ax{number}")


@case(2, "_dixon", must_say=True)
def dixon_moved_against_sagittal(out: Path) -> None:
    copied("sagittal_t2", out, "_dixon")
    for series in ("dixon_water", "dixon_fat"):
        saved(moved(slices(series, "_dixon"), (0, 0, 33)), out / series)


@case(2, must_say=True)
def axial_images_mirrored(out: Path) -> None:
    """Columns run against the header: left is right."""
    from base import with_pixels  # noqa: PLC0415

    copied("sagittal_t2", out)
    saved([with_pixels(one, one.pixel_array[:, ::-1]) for one in slices("axial_t2")], out / "axial_t2")


@case(2, must_say=True)
def sagittal_order_reversed(out: Path) -> None:
    """The positions of the sagittal T2 run against its images: left is right in one of the series."""
    copied("axial_t2", out)
    copied("sagittal_t1", out)
    made = slices("sagittal_t2")
    saved(reordered(made, range(len(made))[::-1]), out / "sagittal_t2")


@case(5)
def slices_drift_by_a_tenth(out: Path) -> None:
    """Each sagittal slice is turned by 0.1° against the one before."""
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    middle = center(made)
    for number, one in enumerate(made):
        turned([one], 0.1 * number, 2, middle)
    saved(made, out / "sagittal_t2")


@case(5, must_say=True)
def thirds_of_a_series_differ(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    middle = center(made)
    for number, one in enumerate(made):
        turned([one], 0.35 * (number // 5), 0, middle)
    saved(made, out / "sagittal_t2")


@case(5)
def every_second_slice_turned(out: Path) -> None:
    copied("sagittal_t2", out)
    made = slices("axial_t2")
    middle = center(made)
    for number, one in enumerate(made):
        turned([one], 0.4 * (number % 2), 2, middle)
    saved(made, out / "axial_t2")


@case(5, must_say=True)
def slices_turned_by_three_degrees(out: Path) -> None:
    """Motion correction turned half of the slices by 3°."""
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    middle = center(made)
    for number, one in enumerate(made):
        turned([one], 3.0 * (number >= len(made) // 2), 1, middle)
    saved(made, out / "sagittal_t2")


@case(6)
def stations_lower_before_upper(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    rows = made[0].Rows
    for number, part in enumerate((slice(int(0.45 * rows), rows), slice(0, int(0.55 * rows)))):
        saved([cropped(one, part) for one in another(made, str(number), 3 + number)], out / f"st{number}")


@case(6)
def stations_within_one_series(out: Path) -> None:
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    rows = made[0].Rows
    parts = [
        cropped(one, part) for part in (slice(0, int(0.55 * rows)), slice(int(0.45 * rows), int(0.45 * rows) + int(0.55 * rows))) for one in another(made, "s")
    ]
    for number, one in enumerate(parts):
        one.InstanceNumber, one.SOPInstanceUID = number + 1, generate_uid(entropy_srcs=[one.SOPInstanceUID, str(number)])
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    saved(parts, out / "sag")


@case(6, must_say=True)
def one_station_upside_down(out: Path) -> None:
    """The lower of two stations holds its rows upside down."""
    from base import with_pixels  # noqa: PLC0415

    copied("axial_t2", out)
    made = slices("sagittal_t2")
    rows = made[0].Rows
    saved([cropped(one, slice(0, int(0.6 * rows))) for one in another(made, "0", 3)], out / "st0")
    saved([with_pixels(one, one.pixel_array[::-1]) for one in (cropped(one, slice(int(0.4 * rows), rows)) for one in another(made, "1", 4))], out / "st1")


@case(6, must_say=True)
def one_station_moved(out: Path) -> None:
    """Between two overlapping stations the patient moved by 15 mm."""
    copied("axial_t2", out)
    made = slices("sagittal_t2")
    rows = made[0].Rows
    saved([cropped(one, slice(0, int(0.6 * rows))) for one in another(made, "0", 3)], out / "st0")
    saved(moved([cropped(one, slice(int(0.4 * rows), rows)) for one in another(made, "1", 4)], (0, 0, 15)), out / "st1")


@case(6, must_say=True)
def repeat_of_lower_resolution_first(out: Path) -> None:
    """A coarse sagittal T2 with a lower series number beside the good one."""
    from base import with_pixels  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    copied("axial_t2", out)
    copied("sagittal_t2", out)
    coarse = another(slices("sagittal_t2"), "c", 1)
    for one in coarse:
        size = one.Columns // 2, one.Rows // 2
        one.PixelSpacing = [f"{float(value) * 2:.6f}" for value in one.PixelSpacing]
        along, down = directions(one)
        place(one, position(one) + (along + down) * float(one.PixelSpacing[0]) / 4)
        with_pixels(one, np.asarray(Image.fromarray(one.pixel_array.astype(np.float32)).resize(size, Image.Resampling.BOX)))
    saved(coarse, out / "coarse")


@case(6)
def upper_spine_beside_the_lumbar_one(out: Path) -> None:
    """A thoracic field of view (no sacrum) as a series of its own, before the lumbar one."""
    copied("axial_t2", out)
    copied("sagittal_t2", out)
    made = another(slices("sagittal_t2"), "t", 1)
    saved([cropped(one, slice(0, int(0.55 * one.Rows))) for one in made], out / "thoracic")


@case(7, turned_degrees=24.0)
def steep_whole_study(out: Path) -> None:
    """The study turned about the left-right axis, so that the lowest block lies far from axial."""
    saved(turned(slices("sagittal_t2"), 24, 0), out / "sagittal_t2")
    saved(turned(slices("axial_t2"), 24, 0), out / "axial_t2")


@case(7, turned_degrees=32.0)
def steep_blocks_as_series(out: Path) -> None:
    saved(turned(slices("sagittal_t2"), 32, 0), out / "sagittal_t2")
    for number, block in enumerate(_blocks(slices("axial_t2"))):
        saved(turned(another(block, str(number), 10 + number), 32, 0), out / f"ax{number}")


@case(7)
def only_the_lowest_block_at_50_degrees(out: Path) -> None:
    """L5/S1 cut anew at 50° from axial."""
    copied("sagittal_t2", out)
    *others, last = sorted(_blocks(slices("axial_t2")), key=lambda block: -center(block)[2])
    now = float(np.degrees(np.arctan2(abs(normal(last[0])[1]), abs(normal(last[0])[2]))))
    saved([one for block in others for one in block], out / "axial")
    sagittal, about = slices("sagittal_t2"), center(last)
    best = max((1, -1), key=lambda sign: abs((rotation(sign * (50 - now), 0) @ normal(last[0]))[1]))
    saved(another(resliced(sagittal, last, rotation(best * (50 - now), 0), about), "steep", 20), out / "steep")


@case(7)
def oblique_pair(out: Path) -> None:
    """Sagittal and axial series of a patient who lies turned by 15° about the long axis: headers and pixels agree."""
    sagittal, axial = slices("sagittal_t2"), slices("axial_t2")
    about = center(sagittal)
    saved(resliced(sagittal, sagittal, rotation(15, 2), about), out / "sagittal_t2")
    saved(axial, out / "axial_t2")


@case(7)
def three_axial_slices_only(out: Path) -> None:
    """A block of three slices at L4/L5 is no localizer."""
    copied("sagittal_t2", out)
    block = sorted(_blocks(slices("axial_t2")), key=lambda block: -center(block)[2])[3]
    saved(block[len(block) // 2 - 1 : len(block) // 2 + 2], out / "axial")
