"""Full pipeline on the RSNA 2024 data set: prepare, train five folds, evaluate out of fold, pack the model, write the submission.

    python recipes/severity/rsna2024.py rsna-2024-lumbar-spine work --jobs 8 --devices 4 --encoder large --steps 20000
    python recipes/severity/rsna2024.py data work --rehearse 12 --encoder tiny --steps 40 --folds 2     # on a phantom cohort in the same layout

Interrupted steps resume. WORK receives store/ (2 GB for all 1,975 studies), runs/ (checkpoints, splits, logs), model/, out_of_fold.csv and, if the
data has test images, submission.csv with the rows of its sample. With --rehearse, DATA is made first: synthetic studies, and one more as test images.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from lumbar.cli.predict_rsna2024 import SAMPLE, predict_rsna2024
from lumbar.cli.prepare_rsna2024 import prepare_rsna2024
from lumbar.cli.train_severity import train_severity
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.datasets.rsna2024_labels import row_id
from lumbar.datasets.submission import read_submission, write_submission
from lumbar.domain.anatomy import Condition, Level
from lumbar.phantom.cohort import CohortOptions, make_cohort
from lumbar.severity.evaluate import evaluate
from lumbar.severity.learn.calibrate import crossfitted
from lumbar.severity.learn.studies.model import grade_held_out_studies
from lumbar.severity.studies.data import InputOptions, from_store
from lumbar.severity.studies.grader import by_level
from lumbar.severity.studies.rows import submission_rows
from lumbar.severity.studies.store import open_store


def main() -> None:
    arguments = parse()
    data, work = arguments.data, arguments.work
    if arguments.rehearse:
        rehearsal(data, arguments.rehearse, arguments.jobs)
    store, model = work / "store", work / "model"
    run(prepare_rsna2024, data, "-o", store, "--jobs", arguments.jobs, *(["--masks"] if arguments.masks else []))
    if not (model / "card.json").is_file():
        licence = "synthetic" if arguments.rehearse else "RSNA 2024 challenge: non-commercial research only"
        how = ("--folds", arguments.folds, "--steps", arguments.steps, "--kind", arguments.kind, "--encoder", arguments.encoder, "--slices", arguments.slices)
        machine = ("--devices", arguments.devices, "--nodes", arguments.nodes, "--workers", arguments.workers, "--threads", arguments.threads)
        common = ("--store", store, "--grades", data / "train.csv", "--runs", work / "runs", "-o", model, "--licence", licence)
        run(train_severity, *common, *how, *machine, *([] if arguments.rehearse else ["--research-only"]))
    out_of_fold(data, work, arguments)
    if (data / SAMPLE).is_file() and (data / "test_images").is_dir():
        run(predict_rsna2024, data, "-o", work / "submission.csv", "--models", model, "--threads", arguments.threads, "--overwrite")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the data set: tables, train_images, test_images, sample_submission.csv")
    parser.add_argument("work", type=Path, help="output folder")
    parser.add_argument("--kind", default="hybrid", choices=["hybrid", "vit"])
    parser.add_argument("--encoder", default="medium", help="tiny, small, medium, large or timm/NAME")
    parser.add_argument("--slices", type=int, default=3, choices=[3, 5], help="of sagittal crops; with five, attention runs over slices too")
    parser.add_argument("--steps", type=int, default=12000, help="most optimiser steps per fold; early stopping by the official score")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--masks", action="store_true", help="run the spine model in preparation: its masks and measurements become inputs")
    parser.add_argument("--jobs", type=int, default=1, help="processes of the preparation")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="loader processes")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rehearse", type=int, default=0, metavar="STUDIES", help="make a phantom cohort of so many studies in DATA first")
    return parser.parse_args()


def run(command, *words: object) -> None:  # type: ignore[no-untyped-def]
    """Run one command of the command line."""
    text = [str(word) for word in words]
    print(f"lumbar {command.name if command.name != 'rsna2024' else command.callback.__name__.replace('_', ' ')} {' '.join(text)}", flush=True)
    command.main(text, standalone_mode=False)


def out_of_fold(data: Path, work: Path, arguments: argparse.Namespace) -> None:
    """Write and evaluate the out-of-fold grades."""
    grades, wanted = read_grades(data / "train.csv"), InputOptions(arguments.masks, arguments.slices)
    oof = grade_held_out_studies(from_store(open_store(work / "store"), grades), work / "runs", arguments.kind, wanted, arguments.threads)
    folds = oof.folds if len(np.unique(oof.folds)) > 1 else np.arange(len(oof.folds)) % 2
    metric = crossfitted(by_level(oof.raw), by_level(oof.studies.targets), np.repeat(folds, 5))[0].metric
    predictions = metric.reshape(len(oof.raw), 5, 5, 3).swapaxes(1, 2)
    write_submission(work / "out_of_fold.csv", submission_rows(oof.studies.names.tolist(), predictions))
    result = evaluate(read_submission(work / "out_of_fold.csv"), grades, allow_missing=True, repeats=200)
    interval = result.intervals["official_score"]
    print(f"out of fold, {result.studies} studies: official score {result.score.official_score:.4f} ({interval.low:.3f} to {interval.high:.3f})")
    for name in ("spinal", "foraminal", "subarticular", "any_severe_spinal"):
        print(f"  {name:<18} {getattr(result.score, name):.4f}   frequencies only {getattr(result.prior, name):.4f}")
    clinical = result.deweighted
    print(f"  accuracy {clinical.accuracy:.3f}, always the commonest grade of a column {result.column_majority_accuracy:.3f}; ECE {clinical.ece:.3f}")


def rehearsal(data: Path, studies: int, jobs: int) -> None:
    """A phantom cohort in DATA, and one more study as test images, with a sample submission."""
    for _ in make_cohort(CohortOptions("rsna2024", studies, 43, "ABCDEF", matrix_scale=0.5), data, jobs):
        pass
    test = data.parent / f"{data.name}_test"
    for _ in make_cohort(CohortOptions("rsna2024", 1, 44, "GHI", matrix_scale=0.5), test, jobs):
        pass
    if not (data / "test_images").exists():
        (data / "test_images").symlink_to((test / "train_images").resolve())
    with (data / SAMPLE).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("row_id", "normal_mild", "moderate", "severe"))
        writer.writerows((row_id(study, c, v), 1 / 3, 1 / 3, 1 / 3) for study in read_grades(test / "train.csv") for c in Condition for v in Level)


if __name__ == "__main__":
    main()
