"""Pfirrmann grades and other findings of discs from mid-sagittal T2 pictures: measures all discs, fits by patient in five folds, prints the table.

python recipes/severity_disc_grades.py ../shared/data runs/discs                            # prints the table; measurements are kept in runs/discs
python recipes/severity_disc_grades.py ../shared/data runs/discs -o models/disc-grades      # and writes the model folder
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lumbar.datasets.pfirrmann import read_picture_table
from lumbar.datasets.spider import read_midsagittal
from lumbar.datasets.spider_gradings import FINDINGS, read_spider_gradings
from lumbar.domain.anatomy import Level
from lumbar.errors import InputError
from lumbar.io.staging import staged_folder
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import confusion_matrix, quadratic_kappa, roc_auc
from lumbar.models.card import Card, Result, TrainingData
from lumbar.models.folder import write_card
from lumbar.models.registry import find_model
from lumbar.severity.data import read_grey_picture
from lumbar.severity.disc_features import NAMES, measure_discs
from lumbar.severity.disc_model import GRADES, PFIRRMANN, TASK, Scaler, fit_logistic, median_grade, softmax
from lumbar.severity.discs import map_picture
from lumbar.severity.folds import assign_folds
from lumbar.spine.segment import network_of

PENALTY = 3.0
SPIDER_WEIGHT = 0.3  # of a SPIDER disc in the Pfirrmann fit: those pictures were re-windowed, so that their grey values compare less well
LEVELS = tuple(Level)


@dataclass(frozen=True)
class Discs:
    """Measured discs with their grades."""

    sources: np.ndarray  # (n,) data set
    patients: np.ndarray  # (n,)
    features: np.ndarray  # (n, k)
    grades: np.ndarray  # (n,) Pfirrmann 1 to 5
    findings: dict[str, np.ndarray]  # (n,) 1 yes, 0 no, -1 not graded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with pfirrmann/ and spider/")
    parser.add_argument("runs", type=Path, help="folder that keeps the measurements")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="model folder to write")
    arguments = parser.parse_args()
    discs = gather(arguments.data, arguments.runs, arguments.threads)
    results = evaluate(discs)
    if arguments.out:
        with staged_folder(arguments.out, overwrite=False) as folder:
            write_card(folder, card(discs, results))


def gather(data: Path, runs: Path, threads: int) -> Discs:
    graded: dict[tuple[str, str, Level], tuple[int, dict[str, bool] | None]] = {}
    pictures: dict[tuple[str, str], tuple[str, np.ndarray, float | None]] = {}
    for row in read_picture_table(data / "pfirrmann" / "grades.csv"):
        for level, grade in row.grades.items():
            graded["pfirrmann", row.file, level] = grade, None
        pictures["pfirrmann", row.file] = row.patient, read_grey_picture(data / "pfirrmann" / "images" / row.file), None
    spider = data / "spider"
    shown = {p.series: p for p in read_midsagittal(spider / "midsagittal", spider / "overview.csv") if p.series.endswith("_t2")}
    for disc in read_spider_gradings(spider / "radiological_gradings.csv"):
        picture = shown.get(f"{disc.patient}_t2")
        if picture is not None:
            graded["spider", picture.series, disc.level] = disc.pfirrmann_grade, disc.findings
            pictures["spider", picture.series] = f"spider {disc.patient}", picture.image, picture.pixel_mm
    measured = measure_all(pictures, runs, threads)
    rows = [(key, value, measured[key]) for key, value in graded.items() if key in measured]
    lost = {source: sum(key[0] == source and key not in measured for key in graded) for source in ("pfirrmann", "spider")}
    print(f"{len(rows)} graded discs measured; not found: {lost}")
    return Discs(
        np.array([key[0] for key, _, _ in rows]),
        np.array([pictures[key[0], key[1]][0] for key, _, _ in rows]),
        np.stack([features for _, _, features in rows]),
        np.array([grade for _, (grade, _), _ in rows]),
        {name: np.array([-1 if found is None else int(found[name]) for _, (_, found), _ in rows]) for name in FINDINGS},
    )


def measure_all(pictures: dict, runs: Path, threads: int) -> dict[tuple[str, str, Level], np.ndarray]:
    """Features of every disc found, kept in one file a picture so that a killed run goes on."""
    network = network_of(find_model("spine", None, threads))
    runs.mkdir(parents=True, exist_ok=True)
    result = {}
    for (source, name), (_, picture, pixel_mm) in tqdm(pictures.items(), disable=None):
        kept = runs / f"{source}_{Path(name).stem}.npz"
        if not kept.exists():
            try:
                discs = measure_discs(map_picture(picture, network, pixel_mm))
            except InputError:
                discs = []
            np.savez(kept, **{disc.level.slug: disc.features for disc in discs})
        with np.load(kept) as file:
            result.update({(source, name, level): file[level.slug] for level in Level if level.slug in file})
    return result


def evaluate(discs: Discs) -> list[Result]:
    """Print and return what five folds by patient come to."""
    worst = {patient: float(discs.grades[discs.patients == patient].max()) for patient in np.unique(discs.patients)}
    fold_of = assign_folds(worst, 5, seed=7)
    folds = np.array([fold_of[patient] for patient in discs.patients])
    p = np.zeros((len(folds), GRADES))
    weights = np.where(discs.sources == "spider", SPIDER_WEIGHT, 1.0)
    for fold in range(5):
        train = folds != fold
        scaler = Scaler.fit(discs.features[train])
        p[~train] = softmax(
            scaler(discs.features[~train]) @ fit_logistic(scaler(discs.features[train]), discs.grades[train] - 1, GRADES, PENALTY, weights[train])
        )
    predicted = np.array([median_grade(row) for row in p])
    results = []
    for source in ("pfirrmann", "spider"):
        own = discs.sources == source
        y, z = discs.grades[own], predicted[own]
        where = f"{own.sum()} discs of {len(np.unique(discs.patients[own]))} real patients of the set {source}, five folds by patient"

        def kappa(rows: np.ndarray, y: np.ndarray = y, z: np.ndarray = z) -> float:
            return quadratic_kappa(confusion_matrix(z[rows] - 1, y[rows] - 1, GRADES))

        span = bootstrap_interval(kappa, discs.patients[own], repeats=500)
        within, exact = np.mean(np.abs(y - z) <= 1), np.mean(y == z)
        common = np.mean(y == np.bincount(y).argmax())
        print(f"{where}: kappa {span.estimate:.3f} ({span.low:.3f} to {span.high:.3f}), within one {within:.3f}, exact {exact:.3f} (commonest {common:.3f})")
        print(confusion_matrix(z - 1, y - 1, GRADES))
        results += [Result("quadratic kappa", round(span.estimate, 4), where), Result("within one grade", round(float(within), 4), where)]
    for name, yes in discs.findings.items():
        known = yes >= 0
        score = np.full(len(yes), np.nan)
        for fold in range(5):
            train, test = known & (folds != fold), known & (folds == fold)
            scaler = Scaler.fit(discs.features[train])
            score[test] = softmax(scaler(discs.features[test]) @ fit_logistic(scaler(discs.features[train]), yes[train], 2, PENALTY))[:, 1]
        rows = np.flatnonzero(known)
        span = bootstrap_interval(lambda r, rows=rows, s=score, y=yes: roc_auc(s[rows[r]], y[rows[r]] == 1), discs.patients[known], repeats=500)
        print(f"{name:<18} AUC {span.estimate:.3f} ({span.low:.3f} to {span.high:.3f}), {int(yes[known].sum())} of {known.sum()} discs of the set spider")
        results.append(Result(f"{name}: AUC", round(span.estimate, 4), f"{known.sum()} discs of the set spider, five folds by patient"))
    return results


def card(discs: Discs, results: list[Result]) -> Card:
    scaler = Scaler.fit(discs.features)
    x = scaler(discs.features)
    coefficients = {PFIRRMANN: fit_logistic(x, discs.grades - 1, GRADES, PENALTY, np.where(discs.sources == "spider", SPIDER_WEIGHT, 1.0))}
    for name, yes in discs.findings.items():
        coefficients[name] = fit_logistic(x[yes >= 0], yes[yes >= 0], 2, PENALTY)
    patients = {source: len(np.unique(discs.patients[discs.sources == source])) for source in ("pfirrmann", "spider")}
    return Card(
        name="disc-grades",
        version="1",
        task=TASK,
        description="Pfirrmann grade and yes-or-no findings of discs on mid-sagittal T2 pictures: a logistic model on measured signal and height.",
        intended_use="Research on graded lumbar MRI. Not a medical device; not for decisions about patients.",
        inputs=(),
        outputs=(),
        classes=tuple(str(grade + 1) for grade in range(GRADES)),
        training_data=(
            TrainingData("YOLOspine's graded pictures", "academic and research use", f"Pfirrmann grades of {patients['pfirrmann']} patients"),
            TrainingData("SPIDER's mid-sagittal pictures and gradings", "CC BY 4.0", f"{patients['spider']} patients, T2"),
        ),
        results=tuple(results),
        research_only=True,
        parameters={
            "features": list(NAMES),
            "mean": np.nan_to_num(scaler.mean).round(6).tolist(),
            "deviation": scaler.deviation.round(6).tolist(),
            "coefficients": {name: values.round(6).tolist() for name, values in coefficients.items()},
        },
    )


if __name__ == "__main__":
    main()
