"""A whole training: crops, folds, calibration, final network, model folder (needs lumbar[train])."""

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.age.crops import CropOptions
from lumbar.age.evaluate import evaluate
from lumbar.age.extract_crops import Finder, extract_crops, known_finder, spine_finder
from lumbar.age.learn.build import ModelTexts, build_model, trained_ages
from lumbar.age.learn.cross_validate import OutOfFold, calibrate, cross_validate, joined, splits
from lumbar.age.learn.network import AgeNetworkOptions
from lumbar.age.learn.train import AgeTraining, train
from lumbar.age.segments import SEGMENTS, WHOLE
from lumbar.age.store import CropStore, open_store, wide, write_store
from lumbar.datasets.age_table import AgeTable
from lumbar.domain.anatomy import Level
from lumbar.domain.geometry import Points
from lumbar.models.card import Result, TrainingData
from lumbar.models.registry import find_model
from lumbar.spine.network import TASK as SPINE_TASK
from lumbar.spine.network import network_of

OUT_OF_FOLD = "out_of_fold.csv"
_SEXES = {1.0: "F", -1.0: "M", 0.0: "U"}


@dataclass(frozen=True)
class RunOptions:
    """Options of a whole training."""

    training: AgeTraining = field(default_factory=AgeTraining)
    folds: int = 5
    by_site: bool = False  # one fold per site
    synthetic_only: bool = False
    coverage: float = 0.9  # of the intervals
    seed: int = 0  # of the folds


@dataclass(frozen=True)
class Places:
    """Source of the disc levels of images."""

    points: Mapping[str, Mapping[Level, Points]] | None = None  # known disc middles, by image; None: from the spine model
    models: Path | None = None  # model folders that are searched before those of the package

    @property
    def finder(self) -> Finder:
        """The finder of levels.

        Raises:
            ModelError: there is no spine model, and no points are given.
        """
        return known_finder(self.points) if self.points is not None else spine_finder(network_of(find_model(SPINE_TASK, self.models)))


def run_options(head: str, pooling: str, contrast: str, folds: int, by_site: bool, synthetic_only: bool, **fitting: object) -> RunOptions:
    """The default settings with some choices changed; `fitting` are fields of `FitOptions`."""
    usual = AgeTraining()
    network, fit = AgeNetworkOptions(pooling=pooling, head=head), replace(usual.fit, **fitting)  # type: ignore[arg-type]
    return RunOptions(replace(usual, network=network, contrast=contrast, fit=fit), folds=folds, by_site=by_site, synthetic_only=synthetic_only)


def gather_crops(table: AgeTable, path: Path, runs: Path, places: Places, track: Callable[[Iterable[int]], Iterable[int]]) -> tuple[CropStore, list[str]]:
    """Crops of all rows of `table`, read from `path`, that can be used, and the errors of the others; stored in `runs/crops` and reused.

    Raises:
        UsageError: no row can be used.
        ModelError: there is no spine model, and no points are given.
    """
    folder, options = runs / "crops", CropOptions()
    note = folder / "crops.json"
    labels = "" if table.labels is None else hashlib.sha256(table.labels.tobytes()).hexdigest()
    mark = {"table": hashlib.sha256(path.read_bytes()).hexdigest(), "points": places.points is not None, "crops": asdict(options), "labels": labels}
    if note.is_file():
        kept = json.loads(note.read_text(encoding="utf-8"))
        if kept["mark"] == mark:
            return open_store(folder, options), kept["failures"]
    failures: list[str] = []
    studies = extract_crops(table, path.parent, track(range(len(table))), places.finder, wide(options), failures)
    store = write_store(folder, studies, len(table), options)
    note.write_text(json.dumps({"mark": mark, "failures": failures}), encoding="utf-8")
    return store, failures


def run(store: CropStore, runs: Path, folder: Path, name: str, data: tuple[TrainingData, ...], options: RunOptions) -> Iterator[str]:
    """Cross-validate, calibrate, train on all people, write the model to `folder`; yields a line on each step.

    Raises:
        UsageError: too few people for the folds, the intervals or Selta.
    """
    table = table_of(store)
    parts: list[OutOfFold] = []
    for fold, found in cross_validate(store, table, runs, options.training, splits(table, options.folds, options.by_site, options.seed)):
        parts.append(found)
        yield f"fold {fold}: mean absolute error {_mae(found):.2f} years, {len(found.rows)} series left out"
        yield from (f"warning: {word}" for word in found.warnings)
    found = joined(parts)
    _write_out_of_fold(runs / OUT_OF_FOLD, table, found)
    network = train(store, runs / "all", options.training)
    calibration = calibrate(network, store, found, trained_ages(store), options.coverage)
    scored = evaluate(replace(table.rows(_mask(len(store), found)), predicted_years=found.people.segment_years[WHOLE]))
    where = f"{scored.subjects} people, each left out of training ({'by site' if options.by_site else f'{options.folds} folds'}), "
    where += "synthetic" if options.synthetic_only else "real"
    mae, guess = scored.mae_years, scored.baseline.mae_years
    results = (
        Result("age", "mae_years", mae.estimate, where, (mae.low, mae.high), headline=True),
        Result("age: median of the others", "mae_years", guess, where, headline=True),
    )
    build_model(folder, network, store, calibration, ModelTexts(name, data, results, options.synthetic_only))
    yield f"all: mean absolute error of people left out {mae.estimate:.2f} years ({mae.low:.2f} to {mae.high:.2f}), predicting the median age {guess:.2f}"


def table_of(store: CropStore) -> AgeTable:
    """The people of a store as a table."""
    return AgeTable(
        name="crops",
        lines=np.arange(2, len(store) + 2),
        subject=store.subject,
        site=store.site,
        sex=np.array([_SEXES[float(value)] for value in store.sex]),
        age_years=store.age_years.astype(np.float64),
        repeat=store.repeat,
    )


def _mask(count: int, found: OutOfFold) -> NDArray[np.bool_]:
    mask = np.zeros(count, dtype=bool)
    mask[found.rows] = True
    return mask


def _mae(found: OutOfFold) -> float:
    return float(np.abs(found.people.segment_years[WHOLE] - found.people.age_years).mean())


def _write_out_of_fold(path: Path, table: AgeTable, found: OutOfFold) -> None:
    lower = [name for name in SEGMENTS if name != WHOLE]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["subject", "site", "sex", "age", "repeat", "predicted", *(f"predicted_{name}" for name in lower)])
        for place, row in enumerate(found.rows):
            assert table.repeat is not None
            who = (table.subject[row], table.site[row], table.sex[row], f"{table.age_years[row]:.2f}", table.repeat[row])
            writer.writerow([*who, *(f"{found.people.segment_years[name][place]:.2f}" for name in (WHOLE, *lower))])
