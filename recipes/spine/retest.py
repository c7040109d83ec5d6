"""How far two measurements of the same person differ: from T1 and from T2, and from the same images with other pixels.

    python recipes/spine/retest.py ../shared/data [--model FOLDER] [--only contrasts,stacks,pixels]

* `contrasts`: near-mid-sagittal T1 and T2 images of one SPIDER patient, of the same size and pixels. Levels whose discs lie more than 5 mm apart in the two
  images are left out: names may differ, or one image lies off the midline.
* `stacks`: the sagittal T1 and STIR stacks of one RSNA 2024 study.
* `pixels`: SPIDER T2 SPACE stacks, as they are and resampled to pixels of 0.47 mm.

Prints the bias of the second against the first measurement, the limits of agreement and ICC(2,1). This is repeatability, not accuracy: the network has seen
these SPIDER images.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
from measurements import Pairs, show, values_of

from lumbar.datasets.spider import read_midsagittal, space_volumes
from lumbar.domain.findings import SpineFinding
from lumbar.domain.study import Plane, Role, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.imaging.resample import resize_image, resized_grid
from lumbar.io.read import read_study
from lumbar.models.registry import find_model
from lumbar.spine.network import TASK, Network, network_of
from lumbar.spine.segment import segment_image
from lumbar.spine.spine_map import map_segmentation, map_spine

CLOSE_MM = 5.0
FINE_MM = 0.47
Two = tuple[SpineFinding, SpineFinding]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--only", default="contrasts,stacks,pixels")
    arguments = parser.parse_args()
    network = network_of(find_model(TASK, arguments.model, threads=1))
    for name in arguments.only.split(","):
        title, measured = REPETITIONS[name]
        pairs, people, levels = compared(measured(arguments.data, network))
        show(f"{title}, {people} people, {levels} levels", pairs, icc=True)


def contrasts(data: Path, network: Network) -> Iterator[Two]:
    images = read_midsagittal(data / "spider" / "midsagittal", data / "spider" / "overview.csv")
    for _, own in groupby(sorted(images, key=lambda i: int(i.patient)), key=lambda i: i.patient):
        of_kind = {image.series.split("_")[1]: image for image in own}
        t1, t2 = of_kind.get("t1"), of_kind.get("t2")
        if t1 is None or t2 is None or (t1.image.shape, t1.pixel_mm) != (t2.image.shape, t2.pixel_mm):
            continue
        try:
            first, second = (
                map_segmentation(segment_image(i.image, i.pixel_mm, network), Plane.SAGITTAL, kind).finding
                for i, kind in ((t1, Weighting.T1), (t2, Weighting.T2))
            )
        except InputError:
            continue  # an image that is upside down, for example
        yield first, second


def stacks(data: Path, network: Network) -> Iterator[Two]:
    study = read_study(next(p for p in sorted((data / "rsna2024" / "train_images").iterdir()) if p.is_dir()))
    found = [study.with_role(role)[0] for role in (Role.SAGITTAL_T1, Role.SAGITTAL_T2)]
    first, second = (map_spine(series.stacks[0].volume, series.plane, series.weighting, network).finding for series in found)
    yield first, second


def pixels(data: Path, network: Network) -> Iterator[Two]:
    for _, volume in space_volumes(data / "spider" / "t2_space"):
        _, row_mm, column_mm = volume.grid.spacing_mm
        shape = round(volume.grid.rows * row_mm / FINE_MM), round(volume.grid.columns * column_mm / FINE_MM)
        fine = Volume(np.stack([resize_image(image, shape) for image in volume.array]), resized_grid(volume.grid, shape))
        first, second = (map_spine(v, Plane.SAGITTAL, Weighting.T2, network).finding for v in (volume, fine))
        yield first, second


def compared(repetitions: Iterable[Two]) -> tuple[Pairs, int, int]:
    """Both values of every measurement, the number of people, and that of levels at the same place in both."""
    pairs: Pairs = defaultdict(list)
    people, levels = 0, 0
    for first, second in repetitions:
        places = {entry.level: np.array(entry.center_mm) for entry in second.levels}
        same = {e.level.value for e in first.levels if e.level in places and np.linalg.norm(places[e.level] - e.center_mm) <= CLOSE_MM}
        people, levels = people + bool(same), levels + len(same)
        values, again = values_of(first), values_of(second)
        kept = same | {level.split("/")[0] for level in same} | ({"all"} if len(same) == len(first.levels) else set())
        for key in values.keys() & again.keys():
            if key[1] in kept:
                pairs[key[0]].append((values[key], again[key]))
    return pairs, people, levels


REPETITIONS = {
    "contrasts": ("T2 against T1 images of one person (near-mid-sagittal images of SPIDER)", contrasts),
    "stacks": ("STIR against T1 stack of one person (RSNA 2024)", stacks),
    "pixels": (f"pixels of {FINE_MM} mm against the original ones (SPIDER T2 SPACE)", pixels),
}

if __name__ == "__main__":
    main()
