"""The model that any use is allowed of: trained on synthetic studies alone, and how it grades real ones, 2,397 axial crops and one study with its images.

    python recipes/severity/phantom_table.py WORK                                                  # trains it
    python recipes/severity/phantom_model.py pack WORK ../shared/data/rsna2024 -o MODEL            # calibrates, measures, writes the model folder
    python recipes/severity/phantom_model.py evaluate MODEL ../shared/data/rsna2024                # measures again

No real picture or label is used to make the model. Of real crops `uncalibrated` is what it says as it is; the other columns are after a calibration
(a temperature a group of conditions) fitted on other real studies, five folds: they tell how much of the error lies in what it sees, and how much in how
sure it is.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from axial_crops import print_table
from phantom_table import parse as table_arguments
from phantom_table import prepared, prior

from lumbar.datasets.axial_crops import read_crop_table
from lumbar.datasets.rsna2024 import read_rsna2024
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.domain.anatomy import Level
from lumbar.io.read import read_study
from lumbar.io.staging import staged_folder
from lumbar.metrics.classification import weighted_log_loss
from lumbar.models.card import Result, TrainingData
from lumbar.models.folder import load_folder
from lumbar.models.runtime import Network
from lumbar.severity.axial.data import stored_pictures, targets
from lumbar.severity.learn.axial.ensemble import FoldOptions, split
from lumbar.severity.learn.axial.out_of_fold import HEADLINES, NETWORK, OutOfFold, PartFigures, figures
from lumbar.severity.learn.calibrate import fit_calibration
from lumbar.severity.learn.studies.model import EXPORT, StudyModelWords, pack_networks, score_results
from lumbar.severity.learn.studies.prepare import PrepareOptions, crops_at_spine
from lumbar.severity.score import GRADE_WEIGHTS, official_score
from lumbar.severity.studies.data import InputOptions, StudySet, from_axial_crops, study_targets
from lumbar.severity.studies.grader import StudyGrader, by_level, calibrated, one_study, raw_answers
from lumbar.severity.studies.rows import graded

LEVELS = tuple(Level)
HOW = "a hybrid network trained on synthetic studies alone, which has seen no patient"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["pack", "evaluate"])
    parser.add_argument("folder", type=Path, help="WORK of severity_phantom_table.py, or a model folder to evaluate")
    parser.add_argument("data", type=Path, help="RSNA 2024 folder with axial_crops.csv, axial_crops/, train.csv and train_images/")
    parser.add_argument("--network", default="hybrid", help="which of the trained ones that see no masks")
    parser.add_argument("-o", "--out", type=Path, help="model folder that `pack` writes")
    arguments = parser.parse_args()
    if arguments.action == "pack":
        pack(arguments.folder, arguments.network, arguments.data, arguments.out)
    evaluate(StudyGrader(load_folder(arguments.out if arguments.action == "pack" else arguments.folder)), arguments.data)


def pack(work: Path, name: str, data: Path, out: Path) -> None:
    """Write the model folder; calibrated on the synthetic studies that decided when to stop, measured on synthetic sites not trained on and on real crops."""
    trained, wanted = work / "runs" / name, InputOptions()
    network = Network((trained / NETWORK).read_bytes(), str(trained))
    own = table_arguments([str(work)])
    train_set, test = prepared("train", own), prepared("test", own)
    aside = train_set.subset(np.isin(train_set.names, json.loads((trained / EXPORT).read_text())["stopped_by"]))
    calibration = fit_calibration(by_level(raw_answers((network,), aside, wanted)), by_level(aside.targets))
    score = official_score(graded(calibrated(raw_answers((network,), test, wanted), calibration).metric, test.targets))
    usual = official_score(graded(np.broadcast_to(prior(train_set), (len(test.names), 5, 5, 3)), test.targets))
    where = f"{len(test.names)} synthetic studies of sites not trained on"
    real = figures(on_crops((network,), wanted, data))
    results = (*real_results(real), *score_results("loss_synthetic", score, where), *score_results("prior_synthetic", usual, where))
    learnt = TrainingData("lumbar phantoms", "Apache-2.0", f"{len(train_set.names)} synthetic studies, seed 41, sites A to F, half the matrix")
    with staged_folder(out, overwrite=False) as folder:
        words = StudyModelWords("severity-phantom", "1", HOW, (learnt,), research_only=False, synthetic_only=True)
        pack_networks(folder, (trained,), calibration, results, words, wanted)


def real_results(measured: dict[str, PartFigures]) -> tuple[Result, ...]:
    """What is known of real patients, named as on the cards of other graders; the loss is that of the answers as they are."""
    where = "2,397 real axial crops of 457 patients, from the axial slice alone, none of them trained on"
    names = {"loss": "uncalibrated", "prior": "prior", "auc_severe": "auc_severe", "kappa": "kappa"}
    return tuple(
        Result(part, name, round(asdict(values)[field], 4), where, headline=part in HEADLINES)
        for part, values in measured.items()
        for name, field in names.items()
    )


def evaluate(grader: StudyGrader, data: Path) -> None:
    """Print what the model makes of real crops and of the real study."""
    oof = on_crops(grader.model.networks, grader.wanted, data)
    print_table(oof, figures(oof))
    tables = read_rsna2024(data)
    for name in tables.imaged_studies:
        crops = crops_at_spine(read_study(data / "train_images" / name), PrepareOptions("spine", grader.wanted.masks))
        on_study(grader, one_study(crops, name), study_targets([name], tables.grades))


def on_crops(networks: Sequence[Network], wanted: InputOptions, folder: Path) -> OutOfFold:
    """The answers to all real crops, each study by its axial slices alone."""
    images = folder / "axial_crops"
    crops = [crop for crop in read_crop_table(folder / "axial_crops.csv") if (images / crop.file).is_file()]
    labels = targets(crops, read_grades(folder / "train.csv"))
    studies = from_axial_crops(crops, labels, stored_pictures(crops, images))
    raw = raw_answers(networks, studies, wanted)
    row = {name: number for number, name in enumerate(studies.names.tolist())}
    fold_of = split(crops, labels, FoldOptions())
    answers = np.stack([raw[row[crop.study_id], :, LEVELS.index(crop.level)] for crop in crops])
    return OutOfFold(crops, labels, answers, np.array([fold_of[crop.study_id] for crop in crops]))


def on_study(grader: StudyGrader, study: StudySet, truth: np.ndarray) -> None:
    """The 25 rows of one real study, with what each group of conditions comes to."""
    metric = grader.grade(study).metric[0]
    for title, places in (("canal", (0,)), ("foramina", (1, 2)), ("recesses", (3, 4)), ("all", range(5))):
        p, y = metric[list(places)].reshape(-1, 3), truth[0][list(places)].ravel()
        right = (p[y >= 0].argmax(axis=1) == y[y >= 0]).mean()
        print(f"study {study.names[0]}, {title}: weighted log loss {weighted_log_loss(p[y >= 0], y[y >= 0], np.array(GRADE_WEIGHTS)):.3f}, right {right:.0%}")


if __name__ == "__main__":
    main()
