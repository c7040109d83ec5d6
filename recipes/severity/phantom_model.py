"""The model without restrictions on use: trained on synthetic studies only, evaluated on 2,397 real axial crops and on one real study with images.

    python recipes/severity/phantom_table.py WORK                                                  # trains it
    python recipes/severity/phantom_model.py pack WORK ../shared/data/rsna2024 -o MODEL            # calibrates, measures, writes the model folder
    python recipes/severity/phantom_model.py evaluate MODEL ../shared/data/rsna2024                # measures again
    python recipes/severity/phantom_model.py repack MODEL ../shared/data/rsna2024                  # writes the measured figures and the share into its card

No real image or label is used to train or calibrate the model. The probabilities of a network trained on synthetic images are overconfident on patients,
so they are averaged with the known grade frequencies at equal weights, fixed in advance. For real crops the recipe prints the loss of the network, of the
frequencies, and of the average. The other columns of the table are after calibration (one temperature per group of conditions) fitted on other real
studies in five folds: they separate errors of discrimination from errors of calibration.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
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
from lumbar.metrics.calibration import conformal_sets
from lumbar.metrics.classification import weighted_log_loss
from lumbar.models.card import Result, TrainingData
from lumbar.models.folder import load_folder, write_card
from lumbar.models.registry import find_model
from lumbar.models.runtime import Network, open_network
from lumbar.severity.axial.data import stored_images, targets
from lumbar.severity.calibration import Calibration, CropGrades
from lumbar.severity.learn.axial.ensemble import FoldOptions, split
from lumbar.severity.learn.axial.out_of_fold import HEADLINES, PARTS, OutOfFold, figures
from lumbar.severity.learn.calibrate import fit_calibration
from lumbar.severity.learn.studies.model import StudyModelTexts, pack_networks, score_results
from lumbar.severity.learn.studies.prepare import PrepareOptions, crops_at_spine
from lumbar.severity.prior import TASK as PRIOR_TASK
from lumbar.severity.prior import Prior
from lumbar.severity.score import GRADE_WEIGHTS, official_score
from lumbar.severity.studies.data import InputOptions, StudySet, from_axial_crops, study_targets
from lumbar.severity.studies.grader import StudyGrader, by_level, calibrated, one_study, raw_predictions
from lumbar.severity.studies.rows import graded
from lumbar.training.fold_runs import NETWORK, read_record

LEVELS = tuple(Level)
HOW = "a hybrid network trained on synthetic studies only"
PRIOR_SHARE = 0.5  # weight of the frequencies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["pack", "evaluate", "repack"])
    parser.add_argument("folder", type=Path, help="WORK of phantom_table.py, or a model folder to evaluate")
    parser.add_argument("data", type=Path, help="RSNA 2024 folder with axial_crops.csv, axial_crops/, train.csv and train_images/")
    parser.add_argument("--network", default="hybrid", help="name of the trained network, without masks as input")
    parser.add_argument("-o", "--out", type=Path, help="model folder that `pack` writes")
    arguments = parser.parse_args()
    if arguments.action == "pack":
        pack(arguments.folder, arguments.network, arguments.data, arguments.out)
    if arguments.action == "repack":
        repack(arguments.folder, arguments.data)
    evaluate(StudyGrader(load_folder(arguments.out if arguments.action == "pack" else arguments.folder)), arguments.data)


def pack(work: Path, name: str, data: Path, out: Path) -> None:
    """Write the model folder; calibrated on the synthetic validation studies, evaluated on synthetic sites left out of training and on real crops."""
    trained, wanted = work / "runs" / name, InputOptions()
    network = open_network(trained / NETWORK)
    own = table_arguments([str(work)])
    train_set, test = prepared("train", own), prepared("test", own)
    aside = train_set.subset(np.isin(train_set.names, read_record(trained)["stopped_by"]))
    calibration = fit_calibration(by_level(raw_predictions((network,), aside, wanted)), by_level(aside.targets))
    score = official_score(graded(calibrated(raw_predictions((network,), test, wanted), calibration).metric, test.targets))
    usual = official_score(graded(np.broadcast_to(prior(train_set), (len(test.names), 5, 5, 3)), test.targets))
    where = f"{len(test.names)} synthetic studies of sites not trained on"
    oof = on_crops((network,), wanted, data)
    results = (*real_results(oof, calibration), *score_results("loss_synthetic", score, where), *score_results("prior_synthetic", usual, where))
    learnt = TrainingData("lumbar phantoms", "Apache-2.0", f"{len(train_set.names)} synthetic studies, seed 41, sites A to F, half the matrix")
    with staged_folder(out, overwrite=False) as folder:
        words = StudyModelTexts("severity-phantom", "1", HOW, (learnt,), research_only=False, synthetic_only=True)
        card = pack_networks(folder, (trained,), calibration, results, words, wanted)
        write_card(folder, replace(card, parameters={**card.parameters, "prior_share": PRIOR_SHARE}))


def repack(folder: Path, data: Path) -> None:
    """Measure the model in `folder` on real crops again, and write the figures and the share of the frequencies into its card."""
    grader = StudyGrader(load_folder(folder))
    card = grader.model.card
    kept = tuple(result for result in card.results if result.metric.endswith("_synthetic"))
    results = (*real_results(on_crops(grader.model.networks, grader.wanted, data), grader.calibration), *kept)
    write_card(folder, replace(card, version="2", results=results, parameters={**card.parameters, "prior_share": PRIOR_SHARE}))


def averaged(oof: OutOfFold, calibration: Calibration) -> CropGrades:
    """The grades of real crops as in `analyze`: averaged with the frequencies."""
    return Prior(find_model(PRIOR_TASK)).blended(calibration.apply(oof.raw), [crop.level for crop in oof.crops], PRIOR_SHARE)


def loss_of(probabilities: np.ndarray, oof: OutOfFold, places: Sequence[int]) -> float:
    """Weighted log loss of the rows of some conditions."""
    p, y = (np.concatenate([values[:, place] for place in places]) for values in (probabilities, oof.targets))
    return weighted_log_loss(p[y >= 0], y[y >= 0], np.array(GRADE_WEIGHTS))


def coverage_of(clinical: np.ndarray, oof: OutOfFold, places: Sequence[int], calibration: Calibration) -> float:
    """Coverage of the reader's grade by the prediction sets."""
    sets = np.concatenate([conformal_sets(clinical[:, place], calibration.conformal_threshold[place]) for place in places])
    y = np.concatenate([oof.targets[:, place] for place in places])
    return float(sets[y >= 0][np.arange(int((y >= 0).sum())), y[y >= 0]].mean())


def real_results(oof: OutOfFold, calibration: Calibration) -> tuple[Result, ...]:
    """Results on real patients, named as on the cards of other graders; the loss is that of the average with the frequencies."""
    where = f"{len(oof.crops):,} real axial crops of {len({c.study_id for c in oof.crops})} patients, from the axial slice alone, none of them trained on"
    measured, average = figures(oof), averaged(oof, calibration)
    results = []
    for part, places in PARTS.items():
        values = asdict(measured[part])
        row = {"loss": loss_of(average.metric, oof, places), "prior": values["prior"], "auc_severe": values["auc_severe"], "kappa": values["kappa"]}
        row["coverage"] = coverage_of(average.clinical, oof, places, calibration)
        row["loss_network_alone"] = loss_of(calibration.apply(oof.raw).metric, oof, places)
        results += [Result(part, name, round(value, 4), where, headline=(part, name) in HEADLINES) for name, value in row.items()]
    return tuple(results)


def evaluate(grader: StudyGrader, data: Path) -> None:
    """Print the evaluation on real crops and on the real study."""
    oof = on_crops(grader.model.networks, grader.wanted, data)
    print_table(oof, figures(oof))
    alone, average = grader.calibration.apply(oof.raw).metric, averaged(oof, grader.calibration).metric
    frequencies = Prior(find_model(PRIOR_TASK)).blended(grader.calibration.apply(oof.raw), [crop.level for crop in oof.crops], 1.0).metric
    for part, places in PARTS.items():
        row = [f"{title} {loss_of(p, oof, places):.3f}" for title, p in (("network", alone), ("frequencies", frequencies), ("average", average))]
        print(f"{part:<14} weighted log loss: {', '.join(row)}")
    tables = read_rsna2024(data)
    for name in tables.imaged_studies:
        crops = crops_at_spine(read_study(data / "train_images" / name), PrepareOptions("spine", grader.wanted.masks))
        on_study(grader, one_study(crops, name), study_targets([name], tables.grades))


def on_crops(networks: Sequence[Network], wanted: InputOptions, folder: Path) -> OutOfFold:
    """Predictions for all real crops, each study from its axial slices only."""
    images = folder / "axial_crops"
    crops = [crop for crop in read_crop_table(folder / "axial_crops.csv") if (images / crop.file).is_file()]
    labels = targets(crops, read_grades(folder / "train.csv"))
    studies = from_axial_crops(crops, labels, stored_images(crops, images))
    raw = raw_predictions(networks, studies, wanted)
    row = {name: number for number, name in enumerate(studies.names.tolist())}
    fold_of = split(crops, labels, FoldOptions())
    average = np.stack([raw[row[crop.study_id], :, LEVELS.index(crop.level)] for crop in crops])
    return OutOfFold(crops, labels, average, np.array([fold_of[crop.study_id] for crop in crops]))


def on_study(grader: StudyGrader, study: StudySet, truth: np.ndarray) -> None:
    """Print the 25 rows of one real study, with the loss of each group of conditions."""
    grades = grader.grade(study)
    flat = CropGrades(grades.metric[0].swapaxes(0, 1), grades.clinical[0].swapaxes(0, 1))
    metric = Prior(find_model(PRIOR_TASK)).blended(flat, LEVELS, PRIOR_SHARE).metric.swapaxes(0, 1)
    for title, places in (("canal", (0,)), ("foramina", (1, 2)), ("recesses", (3, 4)), ("all", range(5))):
        p, y = metric[list(places)].reshape(-1, 3), truth[0][list(places)].ravel()
        right = (p[y >= 0].argmax(axis=1) == y[y >= 0]).mean()
        print(f"study {study.names[0]}, {title}: weighted log loss {weighted_log_loss(p[y >= 0], y[y >= 0], np.array(GRADE_WEIGHTS)):.3f}, right {right:.0%}")


if __name__ == "__main__":
    main()
