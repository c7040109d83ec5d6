"""Age from 30 real people: leave-one-out error of a ridge regression on five features, compared with the median age (SPIDER, T2 SPACE, CC BY 4.0).

    python recipes/age/spider.py ../shared/data/spider [-o predictions.csv]

The five features were fixed before any error was computed: signal of the discs and of the marrow over that of the bright CSF, their spread from disc to
disc, area of the discs over that of the vertebral bodies, and sex. Masks are the data set's own, so the error holds for perfect segmentation. The penalty
is chosen inside each training set. Thirty people cannot distinguish a good age model from a mediocre one: rely on the interval.
"""

import argparse
import csv
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.age.evaluate import evaluate
from lumbar.datasets.age_table import AgeTable
from lumbar.datasets.spider import read_space
from lumbar.domain.anatomy import SpineClass
from lumbar.io.staging import staged_file
from lumbar.report.research.age_evaluation import evaluation_text
from lumbar.training.examples import LabelledSlice

PENALTIES = 10.0 ** np.arange(-1, 3.5, 0.5)
LEAST_DISC_PIXELS = 150

Array = NDArray[np.float64]


def features(slices: list[LabelledSlice]) -> list[float]:
    """Of the slice with the largest canal and its two neighbours."""
    middle = int(np.argmax([(s.labels == SpineClass.CANAL).sum() for s in slices]))
    rows = []
    for s in slices[max(middle - 1, 0) : middle + 2]:
        csf = float(np.percentile(s.image[s.labels == SpineClass.CANAL], 90))
        discs, count = ndimage.label(s.labels == SpineClass.DISC)
        sizes = ndimage.sum_labels(np.ones_like(discs), discs, range(1, count + 1))
        signals = [float(np.percentile(s.image[discs == 1 + k], 75)) / csf for k in range(count) if sizes[k] >= LEAST_DISC_PIXELS]
        body = s.labels == SpineClass.BODY
        rows.append([np.mean(signals), np.std(signals), float(np.median(s.image[body])) / csf, sizes.sum() / body.sum()])
    return [float(value) for value in np.mean(rows, axis=0)]


def ridge(train: Array, age: Array, test: Array, penalty: float) -> Array:
    mean, spread = train.mean(axis=0), train.std(axis=0)
    x, z = (train - mean) / spread, (test - mean) / spread
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (age - age.mean()))
    return np.asarray(age.mean() + z @ weights)


def left_out(table: Array, age: Array, penalty: float) -> Array:
    keep = ~np.eye(len(age), dtype=bool)
    return np.array([ridge(table[k], age[k], table[~k], penalty)[0] for k in keep])


def predictions(table: Array, age: Array) -> Array:
    result = []
    for keep in ~np.eye(len(age), dtype=bool):
        inner = [np.abs(left_out(table[keep], age[keep], p) - age[keep]).mean() for p in PENALTIES]
        result.append(ridge(table[keep], age[keep], table[~keep], PENALTIES[int(np.argmin(inner))])[0])
    return np.array(result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spider", type=Path, help="folder with overview.csv and t2_space/")
    parser.add_argument("-o", "--out", type=Path, help="table of the left-out predictions, for `lumbar evaluate age`")
    arguments = parser.parse_args()
    with (arguments.spider / "overview.csv").open() as file:
        people = {row["new_file_name"].split("_")[0]: row for row in csv.DictReader(file) if row["age_years"]}
    by_patient: dict[str, list[LabelledSlice]] = {}
    for example in read_space(arguments.spider / "t2_space"):
        if example.patient in people:
            by_patient.setdefault(example.patient, []).append(example)
    names = sorted(by_patient, key=int)
    age = np.array([float(people[name]["age_years"]) for name in names])
    sex = np.array([people[name]["sex"] for name in names])
    table = np.array([[*features(by_patient[name]), float(s == "F")] for name, s in zip(names, sex, strict=True)])
    for column, word in enumerate(("disc signal", "its spread", "marrow signal", "disc area")):
        print(f"correlation with age, {word}: {np.corrcoef(table[:, column], age)[0, 1]:+.2f}")
    guessed = np.array([np.median(age[keep]) for keep in ~np.eye(len(age), dtype=bool)])
    print(f"median age of the others: mean absolute error {np.abs(guessed - age).mean():.2f} years")
    predicted = predictions(table, age)
    scored = AgeTable("SPIDER, left out one by one", np.arange(len(age)) + 2, np.array(names), np.full(len(age), "SPIDER"), sex, age, predicted)
    result = evaluate(scored)
    print(evaluation_text(result))
    gain = result.baseline.mae_difference_years
    print(
        "better than the median age" if gain.high < 0 and math.isfinite(gain.high) else "not shown to be better than the median age: the interval contains zero"
    )
    if arguments.out:
        with staged_file(arguments.out, overwrite=False) as path, path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["subject", "site", "sex", "age", "predicted"])
            writer.writerows([name, "SPIDER", s, a, f"{p:.2f}"] for name, s, a, p in zip(names, sex, age, predicted, strict=True))


if __name__ == "__main__":
    main()
