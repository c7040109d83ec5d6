"""Age of 30 real people from measured features: the table of models, and the model folder (SPIDER, CC BY 4.0).

    python recipes/age/features.py gather ../shared/data/spider WORK          # features of 319 series of 174 people; 15 minutes
    python recipes/age/features.py table WORK                                 # leave one person out, features and penalty chosen among the others
    python recipes/age/features.py model WORK -o src/lumbar/models/weights/age-features

The ages of 30 people are known: all have a T2 SPACE volume, 11 a mid-sagittal T2 and 9 a T1 image, too. The series of the other 144 people give the scale of
each kind of series (median and spread of every feature). The sets of features and the penalties were written down before any error of theirs was computed,
after the correlations of single features with age had been seen. The spine model was trained on masks of the 30 SPACE volumes, not on ages; the disc
grader from the grades of some of these patients: expect a little more error on others. Priors: published prevalences of disc degeneration by decade
(Brinjikji et al., AJNR 2015;36:811) as seven pseudo-people of 20 to 80 years.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.cross_decomposition import PLSRegression
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from lumbar.age.crops import cut_slices
from lumbar.age.features.linear import Support, to_parameters
from lumbar.age.features.measure import GRADES, NETWORK, SEEN, Contrast, measure_features
from lumbar.age.features.table import FeatureTable, SeriesFeatures, read_features, write_features
from lumbar.age.learn.feature_fit import (
    PENALTIES,
    Data,
    by_person,
    chosen_penalty,
    data_of,
    fit_features,
    fitted,
    left_out_ages,
    median_of_others,
    nested_ages,
    nested_mean,
    ridge,
    scales_of,
    support_of,
)
from lumbar.age.learn.feature_training import SETS as FEATURE_SETS
from lumbar.age.learn.feature_training import TRAINED_ON
from lumbar.age.predict import TASK as AGE_TASK
from lumbar.age.predict import Predictor, disc_points
from lumbar.age.segments import SEGMENTS
from lumbar.datasets.spider import space_volumes
from lumbar.discs.find import map_image
from lumbar.discs.grader import DiscGrader
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.io.staging import staged_folder
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card
from lumbar.models.registry import find_model
from lumbar.spine.network import network_of
from lumbar.spine.spine_map import SpineMap, map_spine

Array = NDArray[np.float64]

SIGNAL, DORSAL, SHAPE = ("disc_to_marrow",), ("dorsal_tissue",), ("disc_height_to_depth", "canal_to_depth", "body_flatness")
NETWORK_TOP = ("network_l1_l3",)
SETS: dict[str, tuple[str, ...]] = {  # fixed before any error was computed
    "signal": SIGNAL,
    "signal, shape, tissue": (*SIGNAL, "csf_to_marrow", *SHAPE, *DORSAL),
    "disc grades": GRADES,
    "all features": (*SEEN, *GRADES),
    "network": NETWORK,
    "signal + network": (*SIGNAL, *NETWORK_TOP),
    "signal, tissue + network": (*SIGNAL, *DORSAL, *NETWORK_TOP),
    "signal, shape, tissue + network": (*SIGNAL, "csf_to_marrow", *SHAPE, *DORSAL, *NETWORK),
    "all features + network": (*SEEN, *GRADES, *NETWORK),
}
FREE = ("signal", "signal, shape, tissue", "network", "signal + network", "signal, tissue + network", "signal, shape, tissue + network")  # no disc grader
# Share of people without symptoms who have the finding, at 20, 30 … 80 years (Brinjikji 2015, table 2).
PREVALENCE = {
    "disc_to_marrow": (0.17, 0.33, 0.54, 0.73, 0.86, 0.94, 0.97),  # loss of signal
    "narrowing": (0.24, 0.34, 0.45, 0.56, 0.67, 0.76, 0.84),  # loss of height
    "bulging": (0.30, 0.40, 0.50, 0.60, 0.69, 0.77, 0.84),
    "pfirrmann": (0.37, 0.52, 0.68, 0.80, 0.88, 0.93, 0.96),  # degeneration
}
DECADES = np.arange(20.0, 90.0, 10.0)


def series_of(spider: Path, ages: dict[str, dict[str, str]]) -> Iterator[tuple[str, str, Contrast, Volume | None, Path | None]]:
    """Patient, series, kind, and its volume or image."""
    for patient, volume in space_volumes(spider / "t2_space"):
        yield patient, f"{patient}_space", Contrast.T2_3D, volume, None
    for path in sorted((spider / "midsagittal").glob("*.webp")):
        patient, kind = path.stem.split("_")[:2]
        yield patient, path.stem, Contrast.T1 if kind == "t1" else Contrast.T2, None, path


def gather(spider: Path, work: Path) -> None:
    with (spider / "overview.csv").open() as file:
        people = {row["new_file_name"].split("_")[0]: row for row in csv.DictReader(file)}
    with (spider / "overview.csv").open() as file:
        ages = {row["new_file_name"].split("_")[0]: row for row in csv.DictReader(file) if row["age_years"]}
    network = network_of(find_model("spine", None, 1))
    predictor, grader = Predictor(find_model(AGE_TASK, None, 1)), DiscGrader(find_model("disc_grades", None, 1))

    def measured(spine: SpineMap, volume: Volume, sex: str):  # type: ignore[no-untyped-def]
        slices = cut_slices(volume, disc_points(spine.finding.levels), predictor.options)
        found = predictor.engine.ages(predictor.engine.describe(slices)[None], slices, sex)
        return measure_features(spine, slices, dict(zip(SEGMENTS, map(float, found.segment_years[0]), strict=True)), grader.grade(spine))

    rows = []
    for patient, series, contrast, volume, path in series_of(spider, ages):
        sex = people[patient]["sex"] or "U"
        try:
            if volume is not None:
                features = measured(map_spine(volume, Plane.SAGITTAL, Weighting.T2, network), volume, sex)
            else:
                spine = map_image(np.asarray(Image.open(path).convert("L"), dtype=np.float32), network)
                features = measured(spine, spine.segmentation.image, sex)
        except InputError as error:
            print(f"{series} left out: {error}", flush=True)
            continue
        age = float(ages[patient]["age_years"]) if patient in ages else float("nan")
        rows.append(SeriesFeatures(patient, "SPIDER", sex, age, series, contrast, features))
    work.mkdir(parents=True, exist_ok=True)
    write_features(work / "features.csv", rows)
    print(f"{len(rows)} series of {len({row.subject for row in rows})} people")


def data_for(table: FeatureTable, names: Sequence[str]) -> Data:
    return data_of(table, names, scales_of(table, names))


def with_priors(data: Data, table: FeatureTable, names: Sequence[str], weight: float) -> Data:
    """`data` with one pseudo-person a decade, who has the mean standardized features of patients with and without a finding, mixed by its prevalence."""
    scales = scales_of(table, names)
    z = np.stack([scales[c].z(row) for c, row in zip(table.contrast, table.means(names), strict=True)])
    found = table.means(("pfirrmann",))[:, 0] >= 3  # half of the discs degenerated
    rows = np.zeros((len(DECADES), len(names)))
    for column, name in enumerate(names):
        if name in PREVALENCE:
            have = found if name in ("disc_to_marrow", "pfirrmann") else table.means((name,))[:, 0] > 0
            share = np.array(PREVALENCE[name])
            rows[:, column] = share * z[have, column].mean() + (1 - share) * z[~have, column].mean()
    repeats = max(1, round(weight))
    subjects = np.repeat([f"prior {age:.0f}" for age in DECADES], 1)
    return Data(
        np.concatenate([data.z, *[rows] * repeats]),
        np.concatenate([data.age_years, *[DECADES] * repeats]),
        np.concatenate([data.subject, *[np.array([f"{s} {k}" for s in subjects]) for k in range(repeats)]]),
    )


def nested_with_priors(data: Data, table: FeatureTable, names: Sequence[str], weight: float) -> Array:
    result = np.empty(len(data.age_years))
    for name in data.people:
        out = data.subject == name
        penalty, _ = chosen_penalty(data.keep(~out))
        center, weights, mean = ridge(with_priors(data.keep(~out), table, names, weight), penalty)
        result[out] = mean + (data.z[out] - center) @ weights
    return result


def left_out_by(fit, data: Data) -> Array:  # type: ignore[no-untyped-def]
    """Ages by another regression, without each person."""
    result = np.empty(len(data.age_years))
    for name in data.people:
        out = data.subject == name
        model = fit().fit(data.z[~out], data.age_years[~out])
        result[out] = np.ravel(model.predict(data.z[out]))
    return result


def gaussian_process() -> GaussianProcessRegressor:
    kernel = ConstantKernel(1.0, (0.05, 20)) * RBF(4.0, (1.0, 50.0)) + WhiteKernel(0.5, (0.05, 2))
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


def line(name: str, support: Support) -> None:
    low, high = support.gain_years
    shown = "shown" if support.shown else "not shown"
    text = f"error {support.mae_years:5.2f} (guess {support.guess_mae_years:.2f}), gain {low:+.2f} to {high:+.2f} {shown:9s} r {support.correlation:+.2f}"
    print(f"{name:42s} n {support.people:2d}  {text}", flush=True)


def judged(name: str, ages: Array, data: Data, guess: dict[str, float]) -> Support:
    support = support_of(by_person(ages, data), by_person(data.age_years, data), np.array([guess[person] for person in data.people]))
    line(name, support)
    return support


def with_line(values: Array, age: Array) -> Array:
    result = np.empty(len(age))
    for k, keep in enumerate(~np.eye(len(age), dtype=bool)):
        slope, offset = np.polyfit(values[keep], age[keep], 1)
        result[k] = slope * values[k] + offset
    return result


def chosen_in_folds(candidates: Sequence[Data], repeats: int = 10) -> Array:
    """(n,) mean over repeated five-fold cross-validations in which set of features and penalty are chosen by the squared error among the other folds."""
    first, random = candidates[0], np.random.default_rng(0)
    found = []
    for _ in range(repeats):
        people = np.array(first.people)
        fold = dict(zip(people, random.permutation(len(people)) % 5, strict=True))
        number, ages = np.array([fold[name] for name in first.subject]), np.empty(len(first.subject))
        for test in (number == k for k in range(5)):
            inner = [(data, data.keep(~test), penalty) for data in candidates for penalty in PENALTIES]
            data, train, penalty = min(inner, key=lambda one: float(np.mean((left_out_ages(one[1], one[2]) - one[1].age_years) ** 2)))
            center, weights, mean = ridge(train, penalty)
            ages[test] = mean + (data.z[test] - center) @ weights
        found.append(ages)
    return np.asarray(np.mean(found, axis=0))


def coverage_of(table: FeatureTable, sets: Sequence[Sequence[str]], coverage: float = 0.9) -> tuple[float, float, Array]:
    """Share of people within the interval of the model fitted without them, mean width, and the flags."""
    aged = table.keep(np.isfinite(table.age_years))
    inside, widths = [], []
    for name in dict.fromkeys(aged.subject.tolist()):
        model = fitted(table.keep(table.subject != name), sets)
        own = [row for row in aged.rows if row.subject == name]
        low, high = np.mean([model.interval(model.z(row.features, row.contrast), coverage) for row in own], axis=0)
        inside.append(low <= own[0].age_years <= high)
        widths.append(high - low)
    return float(np.mean(inside)), float(np.mean(widths)), np.array(inside, float)


def table_of_models(work: Path) -> None:
    table = read_features(work / "features.csv")
    volumes = table.keep(table.contrast == Contrast.T2_3D)
    known = volumes.keep(np.isfinite(volumes.age_years))
    first = data_for(volumes, SIGNAL)
    guess, age = median_of_others(first), known.age_years
    guesses = np.array([guess[name] for name in first.people])
    print(f"T2 SPACE, {len(age)} people, {age.min():.0f} to {age.max():.0f} years; each age by a model without the person")
    network = known.means(NETWORK).mean(axis=1)
    line("network trained on phantoms, as it is", support_of(network, age, guesses))
    line("network trained on phantoms, with a line", support_of(with_line(network, age), age, guesses))
    for name, names in SETS.items():
        judged(name, nested_ages([data_for(volumes, names)]), first, guess)
    for name in ("all features", "all features + network"):
        data = data_for(volumes, SETS[name])
        judged(f"{name}, PLS with 2 components", left_out_by(lambda: PLSRegression(2, scale=False), data), data, guess)
        judged(f"{name}, Gaussian process", left_out_by(gaussian_process, data), data, guess)
    for name in ("all features", "signal, tissue + network"):
        data = data_for(volumes, SETS[name])
        for weight in (1, 2):
            judged(f"{name}, prior of weight {weight}", nested_with_priors(data, volumes, SETS[name], weight), data, guess)
    judged("set and penalty chosen in five folds", chosen_in_folds([data_for(volumes, names) for names in SETS.values()]), first, guess)
    judged("mean over all sets", nested_mean(volumes, list(SETS.values())), first, guess)
    judged("mean over the sets without disc grades", nested_mean(volumes, [SETS[name] for name in FREE]), first, guess)
    print("\nthe shipped model: mean over the sets without disc grades, T2 and T2 SPACE together, T1 with both but without the network")
    for contrast, sets in FEATURE_SETS.items():
        own = table.keep(np.array([kind in TRAINED_ON[contrast] for kind in table.contrast]))
        rows = own.keep(np.isfinite(own.age_years)).contrast == contrast
        judged(contrast.value, nested_mean(own, sets)[rows], data_for(own, SIGNAL).keep(rows), guess)
    share, width, inside = coverage_of(table.keep(table.contrast != Contrast.T1), FEATURE_SETS[Contrast.T2_3D])
    interval = bootstrap_interval(lambda rows: float(inside[rows].mean()), np.arange(len(inside)), 2000)
    print(f"\njackknife+ 90 % interval: covers {share:.0%} ({interval.low:.0%} to {interval.high:.0%}) of {len(inside)} people, {width:.0f} years wide")


def write_model(work: Path, out: Path) -> None:
    table = read_features(work / "features.csv")
    network = find_model(AGE_TASK, None, 1)
    model = fit_features(table, FEATURE_SETS, TRAINED_ON, network.use.sha256)
    share, width, _ = coverage_of(table.keep(table.contrast != Contrast.T1), FEATURE_SETS[Contrast.T2_3D])
    results = []
    for contrast, support in model.support.items():
        line(contrast.value, support)
        where = f"{support.people} real people (SPIDER, {contrast.value}), each by a model without them; guessing the median: {support.guess_mae_years:.1f}"
        gain = round(support.gain_years[0], 2), round(support.gain_years[1], 2)
        results.append(Result(f"age from {contrast.value}", "mae_years", round(support.mae_years, 2), where, headline=contrast is Contrast.T2_3D))
        results.append(Result(f"age from {contrast.value}", "gain_over_guess_years", round(support.guess_mae_years - support.mae_years, 2), where, gain))
        results.append(Result(f"age from {contrast.value}", "pearson", round(support.correlation, 3), where))
    results.append(Result("interval", "coverage_90", round(share, 3), f"{model.people} real people (SPIDER), jackknife+ without them; {width:.0f} years wide"))
    card = Card(
        name="age-features", version="1", task="age_features",
        description="Age of a lumbar spine from measured features (signal of discs and CSF against marrow, shape of discs, bodies and canal, tissue behind the"
        " canal, and the ages that a network trained on synthetic people gives the segments): mean of ridge regressions, a scale for each kind of series.",
        intended_use="Research on groups. Thirty patients with low back pain: wide intervals. Not a medical device; not for decisions about patients.",
        inputs=(TensorSpec("features", ("features", 5), "names in parameters.weights, at L1/L2 to L5/S1; see lumbar.age.features.measure"),),
        outputs=(TensorSpec("age", (), "years"),), classes=(),
        training_data=(TrainingData("SPIDER: series of 174 patients, ages of 30", "CC BY 4.0", "van der Graaf et al. 2024"),),
        results=tuple(results), parameters=to_parameters(model),
    )  # fmt: skip
    with staged_folder(out, overwrite=out.exists()) as folder:
        write_card(folder, replace(card))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    for name, words in (("gather", ("spider", "work")), ("table", ("work",)), ("model", ("work",))):
        part = parts.add_parser(name)
        for word in words:
            part.add_argument(word, type=Path)
        if name == "model":
            part.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    print(f"penalties {PENALTIES}")
    if arguments.part == "gather":
        gather(arguments.spider, arguments.work)
    elif arguments.part == "table":
        table_of_models(arguments.work)
    else:
        write_model(arguments.work, arguments.out)


if __name__ == "__main__":
    main()
