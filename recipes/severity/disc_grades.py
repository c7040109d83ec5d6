"""Pfirrmann grades and other findings of discs from mid-sagittal images: trains and measures in five folds by patient, prints the table.

python recipes/severity/disc_grades.py ../shared/data runs/discs                            # trains the folds missing in runs/discs, prints the table
python recipes/severity/disc_grades.py ../shared/data runs/discs --folds 0 2                # trains only these folds and prints nothing
python recipes/severity/disc_grades.py ../shared/data runs/discs -o models/disc-grades      # and writes the model folder
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lumbar.datasets.pfirrmann import read_image_table
from lumbar.datasets.spider_gradings import read_spider_gradings
from lumbar.discs.crops import HIGHEST, STORED_COLUMNS, STORED_ROWS, DiscCrops, cut_discs
from lumbar.discs.features import NAMES
from lumbar.discs.find import map_image
from lumbar.discs.grader import FINDINGS
from lumbar.discs.learn.ensemble import (
    DiscsOutOfFold,
    GradedImage,
    discs_out_of_fold,
    fold_numbers,
    scaler_of,
    train_disc_fold,
    write_disc_model,
)
from lumbar.discs.learn.network import DiscNetworkOptions
from lumbar.discs.learn.train import UNGRADED, DiscTraining
from lumbar.discs.model import GRADES, Floats, median_grade
from lumbar.domain.anatomy import Level
from lumbar.errors import InputError
from lumbar.io.staging import staged_folder
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import confusion_matrix, quadratic_kappa, roc_auc
from lumbar.models.card import Result, TrainingData
from lumbar.models.registry import find_model
from lumbar.severity.axial.data import read_grey_image
from lumbar.spine.network import Network, network_of
from lumbar.training.fit import FitOptions

FOLDS = 5
SEED = 7
T1_WEIGHT = 0.5  # T1 images are sampled half as often, as the grades are read on T2
LUMBAR_DISCS = 5
Marks = dict[tuple[str, int], tuple[int, list[int]]]  # (image or patient, discs above L5/S1) → Pfirrmann grade 0 … 4 and findings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with pfirrmann/ and spider/")
    parser.add_argument("runs", type=Path, help="folder that keeps crops, checkpoints and networks")
    parser.add_argument("--folds", type=int, nargs="*", help="train only these")
    parser.add_argument("--steps", type=int, default=750)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="model folder to write")
    arguments = parser.parse_args()
    images = extract_crops(arguments.data, arguments.runs / "crops", arguments.threads)
    folds, scaler = fold_numbers(images, FOLDS, SEED), scaler_of(images)
    for fold in range(FOLDS) if arguments.folds is None else arguments.folds:
        options = FitOptions(steps=arguments.steps, seed=SEED + fold, average_decay=0.99, checkpoint_every=200, threads=arguments.threads)
        config = DiscTraining(network=DiscNetworkOptions(measurements=len(NAMES), findings=len(FINDINGS)), fit=options)
        train_disc_fold(images, folds, scaler, arguments.runs, fold, config)
    if arguments.folds is not None:
        return
    results = table(images, discs_out_of_fold(images, folds, scaler, arguments.runs, arguments.threads))
    if arguments.out:
        with staged_folder(arguments.out, overwrite=False) as folder:
            write_disc_model(folder, arguments.runs, FOLDS, images, results, training_data(images))


def extract_crops(data: Path, runs: Path, threads: int) -> list[GradedImage]:
    """All images in which a spine was found, with crops cached in files, so that interrupted runs resume."""
    runs.mkdir(parents=True, exist_ok=True)
    network = network_of(find_model("spine", None, threads))
    images, lost = [], []
    for path, source, patient, marks, weight in tqdm(listed(data), disable=None):
        crops = kept_crops(path, runs / f"{source}_{path.stem}.npz", network)
        if crops is None:
            lost.append(path.name)
            continue
        ungraded = (UNGRADED, [UNGRADED] * len(FINDINGS))
        found = [marks.get(int(steps), ungraded) for steps in crops.steps_up]
        images.append(GradedImage(patient, source, crops, np.array([g for g, _ in found]), np.array([f for _, f in found]), weight))
    print(f"{len(images)} images of {len({p.patient for p in images})} patients; no spine found in {lost or 'none'}")
    return images


def listed(data: Path) -> list[tuple[Path, str, str, dict[int, tuple[int, list[int]]], float]]:
    """Image, data set, patient, marks by discs above L5/S1, weight."""
    above = {level: steps for steps, level in enumerate(tuple(Level)[::-1])}
    nothing = [UNGRADED] * len(FINDINGS)
    result = []
    for row in read_image_table(data / "pfirrmann" / "grades.csv"):
        marks = {above[level]: (grade - 1, nothing) for level, grade in row.grades.items()}
        result.append((data / "pfirrmann" / "images" / row.file, "yolospine", f"yolospine {row.patient}", marks, 1.0))
    of_patient: dict[str, dict[int, tuple[int, list[int]]]] = {}
    for disc in read_spider_gradings(data / "spider" / "radiological_gradings.csv", HIGHEST):
        of_patient.setdefault(disc.patient, {})[disc.number - 1] = disc.pfirrmann_grade - 1, [int(disc.findings[name]) for name in FINDINGS]
    for path in sorted((data / "spider" / "midsagittal").glob("*.webp")):
        patient, weighting = path.stem.split("_")[:2]
        if patient in of_patient:
            result.append((path, f"spider {weighting}", f"spider {patient}", of_patient[patient], T1_WEIGHT if weighting == "t1" else 1.0))
    return result


def kept_crops(path: Path, kept: Path, network: Network) -> DiscCrops | None:
    """The crops of the image in `path`, from the cache `kept` if it exists; None where no spine is found."""
    if not kept.exists():
        try:
            discs = cut_discs(map_image(read_grey_image(path), network), STORED_ROWS, STORED_COLUMNS)
            np.savez(kept, **{name: getattr(discs, name) for name in DiscCrops.__dataclass_fields__})
        except InputError as error:
            np.savez(kept, failure=str(error))
    with np.load(kept) as file:
        return None if "failure" in file else DiscCrops(**{name: file[name] for name in DiscCrops.__dataclass_fields__})


def table(images: list[GradedImage], oof: DiscsOutOfFold) -> tuple[Result, ...]:
    """Print and return the out-of-fold figures of the models."""
    results: list[Result] = []
    for source in ("yolospine", "spider t2", "spider t1"):
        own = [place for place, image in enumerate(images) if image.source == source]
        shown = [images[place] for place in own]
        for name, given in (("network", oof.seen), ("measurements", oof.measured), ("both", oof.both)):
            parts = [part for place in own if (part := given[place]) is not None]
            if len(parts) < len(own):  # the logistic model does not grade T1 images
                continue
            figures = rows_of_table(shown, parts, source)
            for figure in figures:
                print(f"{name:<13}{figure.text:<60}   {figure.data}")
            results += figures if name == "both" and source != "spider t1" else []
    return tuple(results)


def rows_of_table(images: list[GradedImage], parts: list[Floats], source: str) -> list[Result]:
    """The figures of one set of images, over its lumbar discs."""
    lumbar = np.concatenate([p.crops.steps_up for p in images]) < LUMBAR_DISCS
    p = np.concatenate(parts)[lumbar]
    grades, findings = np.concatenate([p.grades for p in images])[lumbar], np.concatenate([p.findings for p in images])[lumbar]
    patients = np.concatenate([np.repeat(p.patient, len(p.grades)) for p in images])[lumbar]
    graded = grades != UNGRADED
    y, z, who = grades[graded], np.array([median_grade(row) - 1 for row in p[graded, :GRADES]]), patients[graded]
    where = f"{len(y)} real discs of {len(set(who))} patients, {source}, five folds by patient"
    figures = [
        interval("pfirrmann", "quadratic_kappa", lambda r: quadratic_kappa(confusion_matrix(z[r], y[r], GRADES)), who, where),
        interval("pfirrmann", "within_one_grade", lambda r: float(np.mean(np.abs(y[r] - z[r]) <= 1)), who, where),
        interval("pfirrmann", "exact", lambda r: float(np.mean(y[r] == z[r])), who, where),
    ]
    if (findings != UNGRADED).any():
        for column, name in enumerate(FINDINGS):
            yes, probability = findings[graded, column] == 1, p[graded, GRADES + column]
            figures.append(interval(name, "auc", lambda r, y=yes, c=probability: roc_auc(c[r], y[r]), who, f"{int(yes.sum())} yes of {where}"))
    return figures


def interval(structure: str, metric: str, statistic, who: np.ndarray, where: str) -> Result:
    span = bootstrap_interval(statistic, who, repeats=500)
    bounds = round(span.low, 4), round(span.high, 4)
    return Result(structure, metric, round(span.estimate, 4), where, bounds, headline=metric in {"quadratic_kappa", "auc"})


def training_data(images: list[GradedImage]) -> tuple[TrainingData, ...]:
    count = {name: len({p.patient for p in images if p.source.startswith(name)}) for name in ("yolospine", "spider")}
    return (
        TrainingData("YOLOspine's graded images", "academic and research use", f"Pfirrmann grades of three discs of {count['yolospine']} patients, T2"),
        TrainingData("SPIDER's mid-sagittal images and gradings", "CC BY 4.0", f"{count['spider']} patients, T2 and T1"),
    )


if __name__ == "__main__":
    main()
