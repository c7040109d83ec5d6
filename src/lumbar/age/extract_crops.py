"""Crops of the images of an age table, at levels of the spine model or of a table of known points."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from lumbar.age.crops import CropOptions, SliceSet, cut_slices
from lumbar.age.predict import disc_points
from lumbar.age.store import Subject
from lumbar.datasets.age_images import sagittal_volume
from lumbar.datasets.age_table import AgeTable
from lumbar.domain.anatomy import Level
from lumbar.domain.geometry import Points
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.spine.network import Network
from lumbar.spine.spine_map import map_spine

Finder = Callable[[Volume, Weighting, str], Mapping[Level, Points]]  # volume, weighting, the table's name of the image → disc middles


def spine_finder(network: Network) -> Finder:
    """Levels from the spine model."""

    def find(volume: Volume, weighting: Weighting, _: str) -> Mapping[Level, Points]:
        return disc_points(map_spine(volume, Plane.SAGITTAL, weighting, network).finding.levels)

    return find


def known_finder(points: Mapping[str, Mapping[Level, Points]]) -> Finder:
    """Known levels."""

    def find(_: Volume, __: Weighting, name: str) -> Mapping[Level, Points]:
        if name not in points:
            raise InputError(f"the table of points has none for {name}")
        return points[name]

    return find


def extract_crops(
    table: AgeTable, folder: Path, rows: Iterable[int], finder: Finder, options: CropOptions, failures: list[str]
) -> Iterator[tuple[Subject, SliceSet]]:
    """Crops of the rows of a table that can be used; the errors of the others are added to `failures`."""
    for row in rows:
        name = str(table.image[row]) if table.image is not None else ""
        try:
            volume, weighting = sagittal_volume(table, row, folder)
            slices = cut_slices(volume, finder(volume, weighting, name), options)
        except InputError as error:
            failures.append(f"{table.name}, line {table.lines[row]}: {error}")
            continue
        repeat = str(table.repeat[row]) if table.repeat is not None else "1"
        healthy = bool(table.healthy[row]) if table.healthy is not None else True
        labels = tuple(tuple(map(float, level)) for level in table.labels[row]) if table.labels is not None else ()
        yield Subject(str(table.subject[row]), str(table.site[row]), str(table.sex[row]), float(table.age_years[row]), repeat, healthy, labels), slices
