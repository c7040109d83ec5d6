"""Grading networks trained on synthetic studies, compared with the upper bound: `prior · vit · hybrid · best possible`.

    python recipes/severity/phantom_table.py runs/phantoms                       # all of it: phantoms, preparation, training, table; interrupted runs resume
    python recipes/severity/phantom_table.py runs/phantoms --only vit --steps 500
    python recipes/severity/phantom_table.py runs/phantoms --only longer         # the hybrid with twice the steps: the shipped model
    python recipes/severity/phantom_table.py runs/phantoms --ablations           # also without jitter, other levels, mirroring
    python recipes/severity/phantom_table.py runs/phantoms --ablations --masks   # also with the spine model's masks and measurements as inputs

Ablations are trained for fewer steps; `short` is the hybrid with the same number, for comparison.

500 training studies of sites A to F, 150 test studies of sites G to I, left out of training. The ideal observer (best possible) is given the exact
anatomy, but not the reader's noise (recipes/phantom/best_possible.py); prior is the grade frequencies of each column, times the weights. All data are
synthetic.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from lumbar.batch.calls import run_calls
from lumbar.batch.work import EngineOptions
from lumbar.datasets.rsna2024 import read_rsna2024
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.metrics.calibration import reweighted
from lumbar.models.runtime import open_network
from lumbar.phantom.build import person_degeneration
from lumbar.phantom.cohort import CohortOptions, make_cohort, study_options
from lumbar.phantom.degeneration import grade_probabilities
from lumbar.phantom.population import sample_person
from lumbar.severity.learn.calibrate import fit_calibration
from lumbar.severity.learn.studies.measurement_grader import fit_measurement_grader
from lumbar.severity.learn.studies.prepare import PrepareOptions, prepare
from lumbar.severity.score import GRADE_WEIGHTS, official_score, score_gain, score_intervals
from lumbar.severity.studies.data import InputOptions, StudySet, from_store
from lumbar.severity.studies.grader import by_level, calibrated, raw_predictions
from lumbar.severity.studies.rows import graded
from lumbar.severity.studies.store import open_store
from lumbar.training.fold_runs import NETWORK, read_record

SEEDS = {"train": 41, "test": 42}
SITES = {"train": "ABCDEF", "test": "GHI"}
WEIGHTS = np.array(GRADE_WEIGHTS)
MASKED = "with_masks"
LONGER = "longer"
SHORT = "short"
ABLATIONS = (SHORT, "no_jitter", "no_cross_level", "no_mirror")


def main() -> None:
    arguments = parse()
    cohorts = {part: cohort(part, arguments) for part in SEEDS}
    data = {part: prepared(part, arguments) for part in SEEDS}
    names = [arguments.only] if arguments.only else ["hybrid", "vit", *(ABLATIONS if arguments.ablations else ()), *([MASKED] if arguments.masks else [])]
    for name in names:
        train(name, data["train"], arguments)
    table(data, cohorts["test"], arguments)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder of phantoms, stores and runs; about 7 GB at half the matrix")
    parser.add_argument("--train", type=int, default=500, help="training studies")
    parser.add_argument("--test", type=int, default=150, help="test studies")
    parser.add_argument("--matrix-scale", type=float, default=0.5, help="of the phantoms' images: 0.5 has a quarter of the pixels")
    parser.add_argument("--steps", type=int, default=2400, help="optimiser steps of the hybrid; the vit runs half of them in about the same time")
    parser.add_argument("--ablation-steps", type=int, default=1200)
    parser.add_argument("--encoder", default="small", help="of the hybrid")
    parser.add_argument("--only", choices=["hybrid", "vit", LONGER, *ABLATIONS, MASKED], help="train only this network")
    parser.add_argument("--ablations", action="store_true", help="train the ablations too")
    parser.add_argument("--masks", action="store_true", help="run the spine model in preparation, and train a network with its masks as input")
    parser.add_argument("--places", default="labels", choices=["labels", "spine"], help="positions of the test studies' crops")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args(words)


def cohort(part: str, arguments: argparse.Namespace) -> CohortOptions:
    options = CohortOptions("rsna2024", getattr(arguments, part), SEEDS[part], SITES[part], matrix_scale=arguments.matrix_scale)
    for done in make_cohort(options, arguments.work / part, arguments.jobs):
        print(f"phantom {part} {done}", flush=True)
    return options


def prepared(part: str, arguments: argparse.Namespace) -> StudySet:
    folder = arguments.work / part
    places = arguments.places if part == "test" else "labels"
    store = arguments.work / f"{part}_store_{places}{'_masks' if arguments.masks else ''}"
    data = read_rsna2024(folder)
    run = partial(run_calls, folder=store, engine=EngineOptions(arguments.jobs))
    outcomes = list(prepare(data, folder / "train_images", list(data.grades), store, PrepareOptions(places, arguments.masks), run))
    failed = [outcome for outcome in outcomes if outcome.failure]
    print(f"{part}: {len(outcomes)} studies prepared now, {len(failed)} failed {failed[:3]}", flush=True)
    return from_store(open_store(store), read_grades(folder / "train.csv"))


def train(name: str, data: StudySet, arguments: argparse.Namespace) -> None:
    from lumbar.severity.learn.studies.folds import train_and_export  # noqa: PLC0415  (PyTorch: only to train)
    from lumbar.severity.learn.studies.train import default_study_training  # noqa: PLC0415

    folder = arguments.work / "runs" / name
    if (folder / NETWORK).is_file():
        return
    vit = name == "vit"
    steps = {"vit": arguments.steps // 2, "hybrid": arguments.steps, LONGER: 2 * arguments.steps}.get(name, arguments.ablation_steps)
    config = default_study_training("vit" if vit else "hybrid", steps, arguments.encoder, masks=name == MASKED)
    config = replace(config, fit=replace(config.fit, threads=arguments.threads))
    changed = {
        "no_jitter": replace(config, augment=config.augment.still()),
        "no_cross_level": replace(config, network=replace(config.network, cross_level=False)),
        "no_mirror": replace(config, network=replace(config.network, mirror=False), augment=replace(config.augment, mirror_probability=0.0)),
    }
    train_and_export([data], folder, changed.get(name, config), seed=7)


def table(data: dict[str, StudySet], test_cohort: CohortOptions, arguments: argparse.Namespace) -> None:
    train_set, test = data["train"], data["test"]
    order = {name: number for number, name in enumerate(read_grades(arguments.work / "test" / "train.csv"))}
    ideal = np.stack([best_possible(test_cohort, order[name]) for name in test.names.tolist()])
    predictions = {"prior": np.broadcast_to(prior(train_set), (len(test.names), 5, 5, 3))}
    idle = {}
    for name in ("vit", "hybrid", LONGER, *ABLATIONS, *([MASKED] if arguments.masks else [])):
        folder = arguments.work / "runs" / name
        if (folder / NETWORK).is_file():
            predictions[name] = predicted(folder, train_set, test, masks=name == MASKED, threads=arguments.threads)
            idle[name] = read_record(folder)["loader_idle_share"]
    if train_set.measures is not None and test.measures is not None:
        rule = fit_measurement_grader(train_set.measures[train_set.rows], train_set.targets)
        predictions["measurements"] = rule.grade(test.measures[test.rows])
    predictions["best possible"] = ideal
    print(f"synthetic: {len(train_set.names)} training studies (sites {SITES['train']}), {len(test.names)} test studies (sites {SITES['test']}),")
    print(f"test crops cut at places from {'the labels' if arguments.places == 'labels' else 'the spine model'}, matrix scale {arguments.matrix_scale}")
    print(f"{'':<16}{'official':>9}{'95 %':>16}{'spinal':>9}{'foraminal':>10}{'subartic.':>10}{'any':>8}{'closed':>8}{'accuracy':>10}{'idle':>7}")
    rows = {name: graded(np.asarray(predicted_grades), test.targets) for name, predicted_grades in predictions.items()}
    scores = {name: official_score(row) for name, row in rows.items()}
    span = scores["prior"].official_score - scores["best possible"].official_score
    for name, score in scores.items():
        interval = score_intervals(rows[name], repeats=200)["official_score"]
        closed = (scores["prior"].official_score - score.official_score) / span
        right = (reweighted(rows[name].probabilities, 1 / WEIGHTS).argmax(axis=1) == rows[name].targets).mean()
        parts = f"{score.spinal:>9.3f}{score.foraminal:>10.3f}{score.subarticular:>10.3f}{score.any_severe_spinal:>8.3f}"
        waited = f"{100 * idle[name]:>6.0f}%" if name in idle else ""
        print(f"{name:<16}{score.official_score:>9.3f}{interval.low:>9.3f} – {interval.high:.3f}{parts}{100 * closed:>7.0f}%{100 * right:>9.1f}%{waited}")
    for name in ("vit", *ABLATIONS, MASKED):
        other = SHORT if name in (*ABLATIONS, MASKED) else "hybrid"
        if name in predictions and other in predictions and name != other:
            gain = score_gain(rows[other], rows[name].probabilities)
            print(f"{other} better than {name} by {gain.estimate:.3f} ({gain.low:.3f} to {gain.high:.3f})")


def best_possible(options: CohortOptions, number: int) -> np.ndarray:
    """(5, 5, 3) the true probabilities of the grades of test study `number`, times the weights."""
    study = study_options(options, number)
    person = sample_person(study.seed, study.age_years, study.sex, study.stages_years)
    return reweighted(np.clip(grade_probabilities(person_degeneration(person).normal), 1e-9, 1), WEIGHTS)


def prior(data: StudySet) -> np.ndarray:
    """(5, 5, 3) grade frequencies of the training studies in each column, times the weights."""
    return reweighted(np.stack([(data.targets == grade).mean(axis=0) + 1e-6 for grade in range(3)], axis=-1), WEIGHTS)


def predicted(folder: Path, train_set: StudySet, test: StudySet, *, masks: bool, threads: int) -> np.ndarray:
    """Metric-weighted probabilities of the test studies; the temperature is fitted on the validation studies."""
    network = open_network(folder / NETWORK, threads)
    aside = train_set.subset(np.isin(train_set.names, read_record(folder)["stopped_by"]))
    calibration = fit_calibration(by_level(raw_predictions((network,), aside, InputOptions(masks))), by_level(aside.targets))
    return calibrated(raw_predictions((network,), test, InputOptions(masks)), calibration).metric


if __name__ == "__main__":
    main()
