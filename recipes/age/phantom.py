"""The age network on synthetic people: a table of variants, and all published results of the shipped model. Synthetic data only.

    python recipes/age/phantom_cohort.py WORK train --people 1100     # then test, then calibrate
    python recipes/age/phantom.py WORK train [--variant NAME]      # one network per variant; interrupted runs resume
    python recipes/age/phantom.py WORK table                       # errors at sites G, H, I, left out of all trainings
    python recipes/age/phantom.py WORK model -o MODEL              # calibrated, exported; prints coverage, deltas, Selta, retest, heat map

Trained on sites A to F with known discs (with random offsets), tested with the discs of the spine model. Bias, intervals and Selta are fitted on other
people of the test sites than they are evaluated on (five folds by person). Best possible: quadratic regression on the exact state of what a sagittal T2 crop
shows, fitted on 8,000 other people; marked "all latents" with the rest of the phantom's state.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from phantom_cohort import AHEAD_YEARS, LOWER, Study, marrow_fat, state, stores
from sklearn.metrics import roc_auc_score

from lumbar.age.calibration import Calibration, HeldOut, fit_calibration
from lumbar.age.crops import SliceSet
from lumbar.age.engine import POSITION_UNIT_MM, AgeEngine, Ages
from lumbar.age.evaluate import evaluate
from lumbar.age.importance import Explainer
from lumbar.age.learn.augment import AgeAugmentOptions
from lumbar.age.learn.build import ModelTexts, build_model, trained_ages
from lumbar.age.learn.network import AgeNetwork, AgeNetworkOptions
from lumbar.age.learn.train import AgeTraining, held_out, train
from lumbar.age.learn.training_run import table_of
from lumbar.age.out_of_distribution import fit_feature_distribution
from lumbar.age.predict import Predictor, load
from lumbar.age.segments import BASELINE, LOWER_SEGMENTS, SEGMENT_LEVELS, WHOLE
from lumbar.age.selta import fit_selta
from lumbar.age.store import CropStore
from lumbar.domain.anatomy import Level
from lumbar.io.staging import staged_folder
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.conformal import fit_conformal
from lumbar.metrics.regression import pearson
from lumbar.models.card import Result, TrainingData
from lumbar.models.folder import write_card
from lumbar.phantom.build import person_degeneration
from lumbar.phantom.population import Person, disc_degeneration, muscle_fat, sample_person
from lumbar.training.fit import FitOptions


@dataclass(frozen=True)
class Variant:
    """One variant of the comparison."""

    pooling: str
    contrast: str
    labels: bool = False  # labels of the levels as auxiliary targets (phantom_cohort.labels); the others use ages alone


VARIANTS = {
    "attention+rnc": Variant("attention", "rank-n-contrast"),
    "attention": Variant("attention", "none"),
    "mean+rnc": Variant("mean", "rank-n-contrast"),
    "mean": Variant("mean", "none"),
    "attention+yaware": Variant("attention", "y-aware"),
    "max": Variant("max", "none"),
    "recurrent": Variant("recurrent", "none"),
    "attention+rnc+labels": Variant("attention", "rank-n-contrast", labels=True),
    "shipped": Variant("attention", "rank-n-contrast", labels=True),
}
# Weaker than the default contrast augmentation: phantoms vary only between sites, and fat of marrow and muscle changes the signal by a tenth.
GREY = AgeAugmentOptions(gamma=0.06, gain=0.04, offset=0.02, tilt=0.05, noise=0.03)
REFERENCE = "attention+rnc"  # the reference of the comparison
SHIPPED = "shipped"  # with labels, trained on more people and longer than the comparison
FOLDS = 5

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def training(variant: str, steps: int) -> AgeTraining:
    chosen = VARIANTS[variant]
    fit = FitOptions(steps=steps, threads=1, average_decay=0.995)
    return AgeTraining(network=AgeNetworkOptions(pooling=chosen.pooling), contrast=chosen.contrast, augment=GREY, fit=fit)


def trained(work: Path, variant: str) -> AgeNetwork:
    path = work / "runs" / f"{variant}.pt"
    network = AgeNetwork(training(variant, 1).network)
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


def train_variant(work: Path, variant: str, steps: int, people: int) -> None:
    store = stores(work, "train")
    store = store.rows(np.arange(len(store)) < people)
    if not VARIANTS[variant].labels:
        store = replace(store, labels=store.labels[:, :, :0])
    print(f"{variant}: {len(store)} people, {steps} steps", flush=True)
    network = train(store, work / "runs" / variant, training(variant, steps))
    torch.save(network.state_dict(), work / "runs" / f"{variant}.pt")
    (work / "runs" / f"{variant}.txt").write_text(f"{len(store)} people, {steps} steps\n")


def shown_features(person: Person, everything: bool) -> list[float]:
    """The exact state that the crops of a person show: five discs, 25 narrowings, fat of the back muscles, marrow, sex; or the whole state."""
    state = person_degeneration(person)
    discs = disc_degeneration(person, state.normal)
    fat = muscle_fat(person)
    chief = [*discs[0 if everything else 3 : 8], *(np.log(v) for name, v in fat.items() if everything or name in ("multifidus", "erector_spinae"))]
    return [*chief, marrow_fat(person), float(person.sex == "F"), *state.normal.ravel()]


def best_possible(store: CropStore, everything: bool, fitted_on: int = 8000) -> Array:
    """(n,) ages by the best possible observer for the people of `store`."""
    seeds = [int(name[1:]) for name in store.subject]
    people = [sample_person(seed) for seed in (*range(90_000_000, 90_000_000 + fitted_on), *seeds)]
    table = np.array([shown_features(person, everything) for person in people])
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    chief = table[:, : table.shape[1] - 25]
    pairs = [chief[:, i] * chief[:, j] for i in range(chief.shape[1]) for j in range(i, chief.shape[1])]
    design = np.column_stack([np.ones(len(table)), table, *pairs])
    ages = np.array([person.age_years for person in people])
    first = design[:fitted_on]
    return np.asarray(design[fitted_on:] @ np.linalg.solve(first.T @ first + np.eye(design.shape[1]), first.T @ ages[:fitted_on]))


def segment_ages(studies: list[Study], fitted: dict[str, Array] | None = None) -> tuple[dict[str, Array], dict[str, Array], Array]:
    """Ages of each segment for an observer with exact knowledge of its discs and narrowings, by linear regression; also the coefficients and the true ages."""
    states = [state(study) for study in studies]
    ages = np.array([person.age_years for person, _ in states])
    years, fits = {}, {}
    for name, levels in SEGMENT_LEVELS.items():
        columns = [list(Level).index(level) for level in levels]
        rows = [[1.0, *disc_degeneration(p, worn.normal)[[3 + c for c in columns]], *worn.normal[:, columns].ravel()] for p, worn in states]
        table = np.array(rows)
        fits[name] = fitted[name] if fitted else np.linalg.lstsq(table, ages, rcond=None)[0]
        years[name] = table @ fits[name]
    return years, fits, ages


def best_selta(healthy: int = 2000, ahead: int = 300) -> None:
    """Best possible detection by Selta of a segment that is ahead, from the exact state of the segments."""
    people = [Study(91_000_000 + k, "A") for k in range(healthy)]
    years, fits, ages = segment_ages(people)
    references = fit_selta({name: y for name, y in years.items() if name != WHOLE}, ages)
    for more in AHEAD_YEARS:
        value, truth = [], []
        for level in LOWER:
            own, _, own_ages = segment_ages([Study(92_000_000 + k, "A", ahead=level, ahead_years=more) for k in range(ahead)], fits)
            reference = references[level.value]
            value += [*reference.value(years[level.value], years[BASELINE], ages), *reference.value(own[level.value], own[BASELINE], own_ages)]
            truth += [0] * healthy + [1] * ahead
        print(f"best possible AUC of Selta, one lower segment {more:.0f} years ahead, its state known exactly: {roc_auc_score(truth, value):.3f}")


def first_scans(store: CropStore) -> Mask:
    return np.asarray(store.repeat == "0")


def interval(age: Array, predicted: Array, subjects: NDArray[np.str_]) -> str:
    found = bootstrap_interval(lambda rows: float(np.abs(predicted[rows] - age[rows]).mean()), subjects, 2000)
    return f"{found.estimate:.2f} ({found.low:.2f} to {found.high:.2f})"


def table(work: Path) -> None:
    store = stores(work, "test")
    people = store.rows(first_scans(store))
    age = people.age_years.astype(np.float64)
    best = {everything: best_possible(people, everything) for everything in (False, True)}
    print(f"synthetic; trained on sites A-F, tested on {len(people)} people of sites G, H, I; mean absolute error, 95 % interval")
    print(f"{'guessing the median age':44s}{interval(age, np.full(len(age), np.median(age)), people.subject)}")
    print(f"{'best possible, all latents':44s}{interval(age, best[True], people.subject)}")
    print(f"{'best possible, what the crops show':44s}{interval(age, best[False], people.subject)}")
    found = {name: held_out(trained(work, name), people).segment_years for name in VARIANTS if (work / "runs" / f"{name}.pt").exists()}
    limit = float(np.abs(best[False] - age).mean())
    for name, years in found.items():
        predicted = years[WHOLE]
        ahead = [np.abs(found[REFERENCE][WHOLE] - age), np.abs(predicted - age)]
        gain = bootstrap_interval(lambda rows, ahead=ahead: float((ahead[0][rows] - ahead[1][rows]).mean()), people.subject, 2000)
        words = (work / "runs" / f"{name}.txt").read_text().strip()
        ratio = np.abs(predicted - age).mean() / limit
        line = f"{f'{name} ({words})':44s}{interval(age, predicted, people.subject)}  {ratio:.2f} x best   r {pearson(age, predicted):.3f}"
        print(line + ("" if name == REFERENCE else f"   {REFERENCE} better by {-gain.estimate:.2f} ({-gain.high:.2f} to {-gain.low:.2f})"))
    last = list(found)[-1]
    for name, years in found[last].items():
        print(f"  {last}, segment {name:24s}{interval(age, years, people.subject)}")
    for site in np.unique(people.site):
        own = people.site == site
        errors = found[last][WHOLE][own] - age[own]
        at_best = np.abs(best[False] - age)[own].mean()
        print(f"  {last}, site {site}: {np.abs(errors).mean():.2f}, bias {errors.mean():+.2f}; best possible {at_best:.2f}")


def person_folds(store: CropStore) -> NDArray[np.int64]:
    names = np.unique(store.subject)
    fold = np.random.default_rng(0).permutation(len(names)) % FOLDS
    return np.asarray(fold[np.searchsorted(names, store.subject)])


def crossed(store: CropStore, found: HeldOut, network: AgeNetwork, work: Path) -> list[tuple[Mask, Calibration]]:
    """Per fold of people the rows to judge and the calibration fitted on the others' first scans."""
    distribution = fit_feature_distribution(held_out(network, stores(work, "train")).features, found.features[first_scans(store)])
    fold = person_folds(store)
    return [(fold == k, fit_calibration(found.rows((fold != k) & first_scans(store)), distribution, (18.0, 92.0))) for k in range(FOLDS)]


def judge(work: Path, network: AgeNetwork, store: CropStore, found: HeldOut, parts: list[tuple[Mask, Calibration]]) -> list[Result]:
    """Coverage, deltas, Selta and retest of the calibrated network."""
    first, age, whole = first_scans(store), found.age_years, found.segment_years[WHOLE]
    low, high, delta = np.empty((3, len(age)))
    selta = {name: np.empty(len(age)) for name in LOWER_SEGMENTS}
    flagged = {name: np.zeros(len(age), dtype=bool) for name in LOWER_SEGMENTS}
    for rows, calibration in parts:
        low[rows], high[rows] = calibration.conformal.interval(whole[rows])
        delta[rows] = calibration.bias.delta(whole[rows], age[rows])
        for name, reference in calibration.selta.items():
            selta[name][rows] = reference.value(found.segment_years[name][rows], found.segment_years[BASELINE][rows], age[rows])
            flagged[name][rows] = reference.flagged(selta[name][rows])
    held = (age >= low) & (age <= high)
    cover = bootstrap_interval(lambda r: float(held[first][r].mean()), store.subject[first], 2000)
    where = f"{first.sum()} synthetic people of sites not trained on"
    print(f"90 % intervals hold the age of {cover.estimate:.1%} ({cover.low:.1%} to {cover.high:.1%}); mean width {np.mean((high - low)[first]):.1f} years")
    elsewhere = stores(work, "calibrate")
    other = held_out(network, elsewhere)
    ends = fit_conformal(other.age_years, other.segment_years[WHOLE], 0.9, 2).interval(whole[first])
    hit = (age[first] >= ends[0]) & (age[first] <= ends[1])
    mae = np.abs(other.segment_years[WHOLE] - other.age_years).mean()
    print(f"  if calibrated on {len(elsewhere)} further people of the sites of training instead (their error {mae:.2f} years): {hit.mean():.1%}")
    print(f"delta against age: r {pearson(age[first], (whole - age)[first]):+.3f} raw, {pearson(age[first], delta[first]):+.3f} corrected")
    false = np.mean([flagged[name][first].mean() for name in LOWER_SEGMENTS])
    each = ", ".join(f"{name} {flagged[name][first].mean():.1%}" for name in LOWER_SEGMENTS)
    print(f"Selta, healthy people flagged a segment: {false:.1%} ({each})")
    results = [Result("age", "coverage_of_90_percent_intervals", cover.estimate, where, headline=True)]
    results.append(Result("age", "coverage_of_90_percent_intervals_calibrated_on_training_sites", float(hit.mean()), where))
    results.append(Result("Selta", "false_flags_per_segment", float(false), where))
    for years in AHEAD_YEARS:
        value, truth = [], []
        for level in LOWER:
            own = store.repeat == f"{level.slug}+{years:.0f}"
            value += [*selta[level.value][first], *selta[level.value][own]]
            truth += [0] * int(first.sum()) + [1] * int(own.sum())
        share = np.mean(np.concatenate([flagged[v.value][store.repeat == f"{v.slug}+{years:.0f}"] for v in LOWER]))
        auc = float(roc_auc_score(truth, value))
        print(f"Selta, one lower segment {years:.0f} years ahead: AUC {auc:.3f}, flagged {share:.0%} ({sum(truth)} people)")
        who = f"{sum(truth)} synthetic people with such a segment, {first.sum()} without"
        results.append(Result("Selta", f"auc_{years:.0f}_years_ahead", auc, who, headline=years >= 30))
    twice = np.isin(store.repeat, ["0", "1"]) & np.isin(store.subject, store.subject[store.repeat == "1"])
    again = evaluate(replace(table_of(store).rows(twice), predicted_years=whole[twice])).retest
    assert again is not None
    icc = again.icc
    print(f"two scans of one person: ICC {icc.estimate:.3f} ({icc.low:.3f} to {icc.high:.3f}), SD within {again.within_subject_sd_years:.2f} years")
    results.append(Result("age", "retest_icc_1_1", icc.estimate, f"{again.subjects} synthetic people"))
    return results


def heat_maps(predictor: Predictor, store: CropStore) -> list[Result]:
    """Share, on one level, of the difference between the heat maps of two people who differ in that level only."""
    first = {name: k for k, name in enumerate(store.subject) if store.repeat[k] == "0"}
    shares: dict[float, list[tuple[float, ...]]] = {years: [] for years in AHEAD_YEARS}
    for k in np.flatnonzero(~store.healthy):
        if store.subject[k] not in first:
            continue
        slug, years = str(store.repeat[k]).split("+")
        level = next(level.value for level in Level if level.slug == slug)
        pair = [predictor.predict_slices(store.slices(int(n)), None, None) for n in (first[store.subject[k]], k)]
        a, b = (result.heat_map for result in pair)
        assert a is not None and b is not None
        change = {name: float(np.abs(b.maps[name] - a.maps[name]).sum()) for name in a.maps if name in b.maps}
        net = {name: abs(float((b.maps[name] - a.maps[name]).sum())) for name in change}
        bars = {s.name: abs(s.delta_years - t.delta_years) for s, t in zip(pair[1].structures, pair[0].structures, strict=True)}
        shares[float(years)].append((change[level] / sum(change.values()), net[level] / sum(net.values()), bars[level] / sum(bars.values())))
    results = []
    for years, found in shares.items():
        both = np.array(found)
        where = f"{len(both)} pairs of synthetic people alike but for one level"
        results.append(Result("heat map", f"share_on_changed_level_{years:.0f}_years_ahead", round(float(both[:, 0].mean()), 3), where))
        print(f"heat map, {len(both)} pairs {years:.0f} years apart at one level, share of the change that lies on that level:")
        print(f"  pixel by pixel {both[:, 0].mean():.0%} (median {np.median(both[:, 0]):.0%}, at least 60 % in {np.mean(both[:, 0] >= 0.6):.0%} of pairs)")
        print(f"  of the levels' sums {both[:, 1].mean():.0%} (median {np.median(both[:, 1]):.0%}); its disc among discs and vertebrae {both[:, 2].mean():.0%}")
    return results


class RandomEngine(AgeEngine):
    """An untrained network of the same shape."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.network = AgeNetwork(AgeNetworkOptions()).eval()

    @torch.no_grad()
    def encode(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.network.encoder(torch.from_numpy(crops[:, None])).numpy()

    @torch.no_grad()
    def ages(self, described: NDArray[np.float32], slices: SliceSet, sex: str | None) -> Ages:
        sets = [np.broadcast_to(v, (len(described), *v.shape)).copy() for v in (slices.position_mm / np.float32(POSITION_UNIT_MM), slices.present)]
        years, _, features = self.network.set(*map(torch.from_numpy, (described, *sets)), torch.zeros(len(described)))
        return Ages(years.double().numpy(), features[:, -1].double().numpy())


def sanity(predictor: Predictor, store: CropStore, people: int = 40) -> None:
    """Sanity checks: randomised weights change the maps, and the deletion curve falls faster in order of importance than in random order."""
    random, alike, areas = np.random.default_rng(0), [], []
    for k in np.flatnonzero(first_scans(store))[:people]:
        slices = store.slices(int(k))
        baseline = predictor.baseline.like(slices)
        sane, drawn = (Explainer(engine, slices, baseline, None) for engine in (predictor.engine, RandomEngine(int(k))))
        a, b = (np.concatenate([m.ravel() for m in e.heat_map().maps.values()]) for e in (sane, drawn))
        alike.append(abs(pearson(a, b)))
        names = [s.name for s in sorted(sane.structures(), key=lambda s: -s.delta_years)]
        by_chance = [np.mean(sane.deletion_curve(list(random.permutation(names)))) for _ in range(5)]
        areas.append((np.mean(sane.deletion_curve(names)), np.mean(by_chance), np.mean(sane.deletion_curve(names[::-1]))))
    first, by_chance, last = np.mean(areas, axis=0)
    print(f"randomised weights: |r| of maps {np.mean(alike):.2f} (1 would mean that the maps depend on the image and not on the network), {people} people")
    print(f"mean age along the deletion curve: {first:.1f} most ageing first, {by_chance:.1f} in random order, {last:.1f} least ageing first")


def model(work: Path, out: Path) -> None:
    best_selta()
    store, network = stores(work, "test"), trained(work, SHIPPED)
    found = held_out(network, store)
    parts = crossed(store, found, network, work)
    results = judge(work, network, store, found, parts)
    first = first_scans(store)
    fitted = stores(work, "train")
    distribution = fit_feature_distribution(held_out(network, fitted).features, found.features[first])
    calibration = fit_calibration(found.rows(first), distribution, trained_ages(fitted))
    mae = float(np.abs(found.segment_years[WHOLE] - found.age_years)[first].mean())
    where = f"{first.sum()} synthetic people of sites not trained on"
    best = float(np.abs(best_possible(store.rows(first), False) - found.age_years[first]).mean())
    results.insert(0, Result("age", "mae_years", mae, where, headline=True))
    results.insert(1, Result("age: best possible from the exact state", "mae_years", best, where))
    words = (work / "runs" / f"{SHIPPED}.txt").read_text().strip()
    note = f"{words} (synthetic, sites A-F; wear, narrowing and fat of the levels as auxiliary targets); calibrated on {first.sum()} of sites G-I"
    data = TrainingData("lumbar phantom", "Apache-2.0", f"{note} (recipes/age/phantom.py)")
    with staged_folder(out, overwrite=False) as folder:
        card = build_model(folder, network, fitted, calibration, ModelTexts(out.name, (data,), tuple(results), synthetic_only=True))
        predictor = load(folder, threads=1)
        write_card(folder, replace(card, results=(*card.results, *heat_maps(predictor, store))))
    sanity(load(out, threads=1), store)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("part", choices=("train", "table", "model"))
    parser.add_argument("--variant", choices=tuple(VARIANTS), help="one alone")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--people", type=int, default=10**6, help="train on the first so many")
    parser.add_argument("-o", "--out", type=Path, help="model folder")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.part == "train":
        for variant in [arguments.variant] if arguments.variant else VARIANTS:
            train_variant(arguments.work, variant, arguments.steps, arguments.people)
    elif arguments.part == "table":
        table(arguments.work)
    else:
        model(arguments.work, arguments.out)


if __name__ == "__main__":
    main()
