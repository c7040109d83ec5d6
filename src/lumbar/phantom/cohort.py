"""Cohorts of synthetic studies in the layouts of training data, made sequentially or in parallel; interrupted runs resume."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import MISSING, asdict, dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from lumbar.errors import UsageError
from lumbar.phantom.cohort_age import AGE_COLUMNS, INDEX_COLUMNS, write_age_study
from lumbar.phantom.cohort_dixon import dataset_document, write_dixon_study
from lumbar.phantom.cohort_options import LAYOUTS, MOST_BLANK, CohortOptions
from lumbar.phantom.cohort_rsna import GRADE_COLUMNS, POINT_COLUMNS, SERIES_COLUMNS, write_rsna_study
from lumbar.phantom.sites import SITES
from lumbar.phantom.study import MATRIX_SCALES, StudyOptions

_PLAN = "cohort.json"
_MARKS = "truth"  # one JSON per finished study: its ground truth and its table rows


@dataclass(frozen=True)
class _Work:
    """One study of a cohort."""

    cohort: CohortOptions
    out: Path
    number: int
    options: StudyOptions


_WRITERS: dict[str, Callable[[Path, int, StudyOptions, CohortOptions], dict[str, Any]]] = {
    "rsna2024": write_rsna_study,
    "dixon": write_dixon_study,
    "age": write_age_study,
}


def make_cohort(options: CohortOptions, out: Path, jobs: int = 1) -> Iterator[int]:
    """Write the cohort into `out`, yielding the number of each finished study; existing studies are skipped.

    Raises:
        UsageError: `out` holds anything but this cohort, or an option is out of range.
    """
    _check(options)
    _claim(options, out)
    work = [w for w in _plan(options, out) if not _mark(w.out, w.number).exists()]
    if jobs <= 1:
        for item in work:
            yield _make(item)
    elif work:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            for future in as_completed([pool.submit(_make, item) for item in work]):
                yield future.result()
    _write_tables(options, out)


def study_options(options: CohortOptions, number: int) -> StudyOptions:
    """The options of study `number` (from 0) of a cohort: person, age and site depend on the cohort's seed and the number only."""
    seed = options.seed * 1_000_000 + number
    random = np.random.default_rng([seed, 6])
    age = round(float(random.uniform(*options.ages_years)), 1) if options.ages_years else None
    place = options.sites[int(random.integers(len(options.sites)))]
    metal = bool(random.random() < options.metal_share)
    return StudyOptions(seed, age_years=age, site=place, stages_years=options.stages_years, matrix_scale=options.matrix_scale, metal=metal)


def _check(options: CohortOptions) -> None:
    known = "".join(site.name for site in SITES)
    if options.layout not in LAYOUTS:
        raise UsageError(f"unknown layout {options.layout}; choose from {', '.join(LAYOUTS)}")
    if not options.sites or set(options.sites) - set(known):
        raise UsageError(f"sites are letters of {known}, not {options.sites!r}")
    if not 1 <= options.studies <= 1_000_000 or options.repeats < 1:
        raise UsageError(f"a cohort has 1 to 1000000 studies and 1 or more repeats, not {options.studies} and {options.repeats}")
    if not MATRIX_SCALES[0] <= options.matrix_scale <= MATRIX_SCALES[1]:
        raise UsageError(f"the matrix can be scaled by {MATRIX_SCALES[0]} to {MATRIX_SCALES[1]}, not by {options.matrix_scale}")
    if not 0 <= options.blank_share <= MOST_BLANK or not 0 <= options.metal_share <= 1:
        raise UsageError(f"blank grades are a share of 0 to {MOST_BLANK}, metal one of 0 to 1, not {options.blank_share} and {options.metal_share}")


def _claim(options: CohortOptions, out: Path) -> None:
    """Record the options of the cohort in `out`, so that it can be resumed but not mixed with another. The number of studies may grow.

    The record of an older version lacks later options; these had their defaults.
    """
    plan = {**json.loads(json.dumps(asdict(options))), "synthetic": True}
    plan.pop("studies")
    note = out / _PLAN
    if note.exists():
        defaults = {field.name: field.default for field in fields(options) if field.default is not MISSING}
        if {**json.loads(json.dumps(defaults)), **json.loads(note.read_text())} != plan:
            raise UsageError(f"{out} holds another cohort ({note.read_text().strip()}); choose another folder, or the same options to resume")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not empty and holds no cohort; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARKS).mkdir()
    note.write_text(json.dumps(plan) + "\n")


def _plan(options: CohortOptions, out: Path) -> list[_Work]:
    return [_Work(options, out, n, study_options(options, n)) for n in range(options.studies)]


def _mark(out: Path, number: int) -> Path:
    return out / _MARKS / f"{number + 1:06d}.json"


def _make(work: _Work) -> int:
    """Make one study in a folder of its own, move its files into place, and mark it as finished last."""
    stage = work.out / f".study{work.number:06d}"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        record = _WRITERS[work.cohort.layout](stage, work.number, work.options, work.cohort)
        for path in sorted(p for p in stage.rglob("*") if p.is_file()):
            target = work.out / path.relative_to(stage)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        draft = stage / "mark.json"
        draft.write_text(json.dumps(record, indent=1) + "\n")
        draft.replace(_mark(work.out, work.number))
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return work.number


def _write_tables(options: CohortOptions, out: Path) -> None:
    """The tables of the layout, from the records of the finished studies in their order."""
    records = [json.loads(_mark(out, number).read_text()) for number in range(options.studies)]
    if options.layout == "dixon":
        _replace(out / "dataset.json", json.dumps(dataset_document(records), indent=1) + "\n")
        return
    layouts: dict[str, dict[str, tuple[str, ...]]] = {
        "rsna2024": {"train.csv": GRADE_COLUMNS, "train_series_descriptions.csv": SERIES_COLUMNS, "train_label_coordinates.csv": POINT_COLUMNS},
        "age": {"ages.csv": AGE_COLUMNS, "indices.csv": INDEX_COLUMNS},
    }
    for name, columns in layouts[options.layout].items():
        draft = out / f".{name}"
        with draft.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            for record in records:
                writer.writerows(record["rows"][name])
        draft.replace(out / name)


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(text)
    draft.replace(path)
