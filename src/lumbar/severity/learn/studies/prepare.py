"""Preparation of a store of crops from a data set in the RSNA 2024 layout. Resumable and parallel, with one study in memory per process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from lumbar.datasets.rsna2024 import LabelPoint, Rsna2024, SeriesRow
from lumbar.domain.geometry import Grid, Points
from lumbar.domain.study import Plane, Role, Stack, Study
from lumbar.domain.volume import Volume
from lumbar.errors import InputError, NoUsableSeries
from lumbar.io.read import read_study
from lumbar.models.registry import find_model
from lumbar.severity.studies.spine_crops import measured, spine_crops
from lumbar.severity.studies.spots import label_spots
from lumbar.severity.studies.store import create_store, open_store
from lumbar.severity.studies.view_cut import cut_views
from lumbar.severity.studies.views import StudyCrops, View
from lumbar.spine.network import TASK as SPINE_TASK
from lumbar.spine.network import Network, network_of
from lumbar.spine.spine_map import SpineMap, map_spine, tissue_mask

# Runs independent calls, named by study, and yields each name with the reason of its failure or an empty text: `lumbar.batch.calls.run_calls`.
Runner = Callable[[Mapping[str, Callable[[], object]]], Iterator[tuple[str, str]]]

_REACH_MM = 14.0  # from the middle of the spine to the last slice for masks: the spine network was trained on none further lateral
_FEWEST_SLICES = 5
KINDS = {View.CANAL: "Sagittal T2/STIR", View.FORAMEN: "Sagittal T1", View.AXIAL: "Axial T2"}


@dataclass(frozen=True)
class PrepareOptions:
    """Options of the preparation."""

    places: str = "labels"  # positions of the crops: the data set's coordinates, or "spine": the levels of the spine model
    masks: bool = False  # also keep the spine model's masks and measurements
    models: Path | None = None  # of the spine model, where it is run

    @property
    def spine(self) -> bool:
        """Whether the spine model is run."""
        return self.masks or self.places == "spine"


@dataclass(frozen=True)
class Outcome:
    """Outcome of one study."""

    study: str
    failure: str  # empty where there are crops


@dataclass(frozen=True)
class _Work:
    """One study, with the arguments of a worker process."""

    store: Path
    images: Path  # of the study
    study: str
    series: tuple[SeriesRow, ...]
    points: tuple[LabelPoint, ...]
    options: PrepareOptions


def prepare(data: Rsna2024, images: Path, studies: Sequence[str], folder: Path, options: PrepareOptions, run: Runner) -> Iterator[Outcome]:
    """Prepare `studies`, whose images lie in `images`, into the store `folder`, yielding each outcome; finished studies are skipped.

    An unusable study yields an outcome with a failure, listed in the store, and does not affect the others.

    Raises:
        UsageError: `folder` contains another store or other files.
    """
    store = create_store(folder, studies, {"places": options.places}, options.masks)
    rows, points = _by_study(data.series), _by_study(data.points)
    waiting = [study for study in studies if store.record(study) is None]
    work = {study: _Work(folder, images / study, study, tuple(rows.get(study, ())), tuple(points.get(study, ())), options) for study in waiting}
    failures: dict[str, str] = {}
    for study, failure in run({study: partial(_prepare_one, one) for study, one in work.items()}):
        if failure:
            failures[study] = failure
        yield Outcome(study, failure)
    store.finish(failures)


def _prepare_one(work: _Work) -> None:
    """Cut the crops of one study into the store.

    Raises:
        InputError: the crops cannot be cut for any reason, so that a damaged study does not stop the others.
    """
    try:
        if not work.images.is_dir():
            raise InputError(f"{work.images} does not exist")
        if work.options.places == "labels":
            crops, problems = _marked(work)
        else:
            crops, problems = crops_at_spine(read_study(work.images), work.options), ()
        open_store(work.store).write(work.study, crops, problems)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{type(error).__name__}: {error}") from error


def _marked(work: _Work) -> tuple[StudyCrops, tuple[str, ...]]:
    """Crops at the label coordinates. Only series with labels are read."""
    kinds = {row.series_id: row.kind for row in work.series}
    wanted = {point.series_id for point in work.points}
    stacks: dict[View, list[tuple[str, Stack]]] = {view: [] for view in View}
    problems: list[str] = []
    studies: list[Study] = []
    for series in sorted(wanted):
        view = next((view for view, kind in KINDS.items() if kind == kinds.get(series)), None)
        if view is None:
            problems.append(f"series {series} has label coordinates but is not in the series table")
            continue
        try:
            study = read_study(work.images / series)
        except InputError as error:
            problems.append(f"series {series}: {error}")
            continue
        studies.append(study)
        stacks[view] += [(series, stack) for one in study.series for stack in one.stacks]
    spots, missing = label_spots(work.points, stacks)
    if not spots:
        raise NoUsableSeries("; ".join([*problems, *missing]) or "the study has no label coordinates for the crops; use the positions of the spine model")
    if not work.options.masks:
        return cut_views(spots), (*problems, *missing)
    sagittal = [stack for view in (View.CANAL, View.FORAMEN) for _, stack in stacks[view]]
    middle_mm = np.mean([spot.point_mm for ((_, side), _), spot in spots.items() if side is None], axis=0)
    spine = _spine(sagittal, studies, work.options, middle_mm)
    return replace(cut_views(spots, tissue_mask(spine)), measures=measured(spine.finding.levels)), (*problems, *missing)


def crops_at_spine(study: Study, options: PrepareOptions) -> StudyCrops:
    """The crops of one study at the levels of the spine model.

    Raises:
        InputError: no series shows a lumbar spine, or none of the views.
    """
    sagittal = [stack for role in (Role.SAGITTAL_T2, Role.SAGITTAL_T1) for series in study.with_role(role) for stack in series.stacks]
    spine = _spine(sagittal, [study], options)
    crops = spine_crops(study, spine.finding.levels, tissue_mask(spine) if options.masks else None)
    if not crops.present.any():
        raise NoUsableSeries("none of the levels found by the spine model lies in a sagittal T1, sagittal T2 or axial T2 series")
    return crops


def _spine(stacks: Sequence[Stack], studies: Sequence[Study], options: PrepareOptions, middle_mm: Points | None = None) -> SpineMap:
    """The spine in the first of `stacks` that shows one; with a known middle, only slices near it are segmented, which is faster."""
    if not stacks:
        raise NoUsableSeries("the study has no sagittal series, which the spine model needs")
    weightings = {id(stack): series.weighting for study in studies for series in study.series for stack in series.stacks}
    failures = []
    for stack in stacks:
        volume = stack.volume if middle_mm is None else _near(stack.volume, middle_mm)
        try:
            return map_spine(volume, Plane.SAGITTAL, weightings[id(stack)], _network(options.models))
        except InputError as error:
            failures.append(str(error))
    raise NoUsableSeries("; ".join(failures))


def _near(volume: Volume, middle_mm: Points) -> Volume:
    """The slices of `volume` within reach on both sides of `middle_mm`."""
    grid = volume.grid
    kept = np.abs((grid.origins_mm - middle_mm) @ grid.normal) <= _REACH_MM
    if kept.sum() < _FEWEST_SLICES:
        return volume
    return Volume(volume.array[kept], Grid(grid.origins_mm[kept], grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns))


@lru_cache(maxsize=1)
def _network(models: Path | None) -> Network:
    return network_of(find_model(SPINE_TASK, models, threads=1))


def _by_study(rows: Sequence[SeriesRow] | Sequence[LabelPoint]) -> dict[str, list]:  # type: ignore[type-arg]
    found: dict[str, list] = {}  # type: ignore[type-arg]
    for row in rows:
        found.setdefault(row.study_id, []).append(row)
    return found
