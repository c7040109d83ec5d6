"""From a table of people and their images to a feature model, with leave-site-out validation. Needs no PyTorch."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lumbar.age.crops import cut_slices
from lumbar.age.features.linear import FeatureModel, Support, to_parameters
from lumbar.age.features.measure import NETWORK, Contrast, contrast_of, measure_features
from lumbar.age.features.predict import TASK
from lumbar.age.features.table import FeatureTable, SeriesFeatures, read_features, write_features
from lumbar.age.learn.feature_fit import Data, by_person, fit_features, fitted, support_of
from lumbar.age.predict import Predictor, disc_points
from lumbar.datasets.age_images import sagittal_volume
from lumbar.datasets.age_table import AgeTable
from lumbar.domain.study import Plane
from lumbar.errors import InputError
from lumbar.io.staging import staged_file
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card
from lumbar.spine.network import Network
from lumbar.spine.spine_map import map_spine

FEATURES = "features.csv"
SHAPE = ("disc_height_to_depth", "canal_to_depth", "body_flatness")
_SEEN_SETS = (("disc_to_marrow",), ("disc_to_marrow", "csf_to_marrow", *SHAPE, "dorsal_tissue"))
_NETWORK_SETS = (
    NETWORK,
    ("disc_to_marrow", NETWORK[0]),
    ("disc_to_marrow", "dorsal_tissue", NETWORK[0]),
    ("disc_to_marrow", "csf_to_marrow", *SHAPE, "dorsal_tissue", *NETWORK),
)
# Sets of features whose regressions are averaged. The network was not trained on T1 images.
SETS = {Contrast.T2_3D: (*_SEEN_SETS, *_NETWORK_SETS), Contrast.T2: (*_SEEN_SETS, *_NETWORK_SETS), Contrast.T1: _SEEN_SETS}
TRAINED_ON = {Contrast.T2_3D: (Contrast.T2_3D, Contrast.T2), Contrast.T2: (Contrast.T2_3D, Contrast.T2), Contrast.T1: tuple(Contrast)}


@dataclass(frozen=True, eq=False)
class Measurers:
    """The models used to measure a series."""

    spine: Network
    network: Predictor


def measured_series(table: AgeTable, row: int, folder: Path, measurers: Measurers) -> SeriesFeatures:
    """The features of one row of a table.

    Raises:
        InputError: the image cannot be used, or is of a contrast that features are not defined for.
    """
    volume, weighting = sagittal_volume(table, row, folder)
    contrast = contrast_of(weighting, volume)
    if contrast is None:
        raise InputError(f"{table.name}, line {table.lines[row]}: features need T2 without fat suppression, or T1; this series is {weighting.value}")
    spine = map_spine(volume, Plane.SAGITTAL, weighting, measurers.spine)
    slices = cut_slices(volume, disc_points(spine.finding.levels), measurers.network.options)
    sex = str(table.sex[row])
    years = measurers.network.predict_slices(slices, None, sex, explained=False).segment_years if contrast is not Contrast.T1 else None
    features = measure_features(spine, slices, years)
    name = str(table.image[row]) if table.image is not None else str(row)
    return SeriesFeatures(str(table.subject[row]), str(table.site[row]), sex, float(table.age_years[row]), name, contrast, features)


def gather_features(
    table: AgeTable, folder: Path, runs: Path, measurers: Callable[[], Measurers], track: Callable[[Iterable[int]], Iterable[int]]
) -> tuple[FeatureTable, list[str]]:
    """The features of all rows, from `runs`/features.csv if it is there, and the errors of rows that cannot be used."""
    kept = runs / FEATURES
    if kept.exists():
        return read_features(kept), []
    tools, rows, failures = measurers(), [], []
    for row in track(range(len(table))):
        try:
            rows.append(measured_series(table, row, folder, tools))
        except InputError as error:
            failures.append(f"{table.name}, line {table.lines[row]}: {error}")
    if not rows:
        raise InputError(f"none of the {len(table)} rows of {table.name} can be used; the first: {failures[0] if failures else 'there are no rows'}")
    runs.mkdir(parents=True, exist_ok=True)
    with staged_file(kept, overwrite=True) as path:
        write_features(path, rows)
    return FeatureTable(tuple(rows)), failures


def left_out_sites(table: FeatureTable, contrast: Contrast) -> Iterator[tuple[str, Support]]:
    """Each site with the errors of a model of the other sites, against guessing these sites' median age; sites with fewer than three people are skipped."""
    kinds = TRAINED_ON[contrast]
    own = table.keep(np.array([kind in kinds for kind in table.contrast], dtype=bool) & np.isfinite(table.age_years))
    for site in np.unique(own.site):
        test, train = own.keep(own.site == site), own.keep(own.site != site)
        shown = test.keep(test.contrast == contrast)
        if len(set(shown.subject)) < 3 or len(set(train.subject)) < 3:
            continue
        model = fitted(train, SETS[contrast])
        if contrast not in model.scales:
            continue
        ages = np.array([model.years(model.z(row.features, contrast)) for row in shown.rows])
        data = Data(np.zeros((len(shown.rows), 0)), shown.age_years, shown.subject)
        guess = np.full(len(data.people), float(np.median(by_person(train.age_years, Data(np.zeros((len(train.rows), 0)), train.age_years, train.subject)))))
        yield str(site), support_of(by_person(ages, data), by_person(data.age_years, data), guess)


def train_features(table: FeatureTable, network: Predictor, folder: Path, name: str, data: TrainingData) -> Iterator[str]:
    """Fit every kind of series with enough people, validate across sites, and write the model folder; yields lines of what was found.

    Raises:
        InputError: no kind of series has enough people.
    """
    model = _fit(table, network.use.sha256)
    results = []
    for contrast, support in model.support.items():
        where = f"{support.people} people, {contrast.value}, each by a model without them; guessing the median: {support.guess_mae_years:.1f}"
        gain = round(support.gain_years[0], 2), round(support.gain_years[1], 2)
        results += [
            Result(f"age from {contrast.value}", "mae_years", round(support.mae_years, 2), where, headline=True),
            Result(f"age from {contrast.value}", "gain_over_guess_years", round(support.guess_mae_years - support.mae_years, 2), where, gain),
        ]
        yield f"{contrast.value}: {_words(support)}"
        for site, left_out in left_out_sites(table, contrast):
            results.append(Result(f"age from {contrast.value}, site {site} left out", "mae_years", round(left_out.mae_years, 2), f"{left_out.people} people"))
            yield f"{contrast.value}, site {site} left out: {_words(left_out)}"
    write_card(folder, _card(name, data, tuple(results), model))


def _fit(table: FeatureTable, network_sha256: str) -> FeatureModel:
    """The model of the kinds of series that have enough people."""
    aged = table.keep(np.isfinite(table.age_years))
    counts = {kind: len(set(aged.keep(aged.contrast == kind).subject)) for kind in SETS}
    sets = {kind: sets for kind, sets in SETS.items() if counts[kind] > 2}
    if not sets:
        raise InputError("no kind of series (T2, T2 3-D, T1) has three people with known ages; add people")
    return fit_features(table, sets, TRAINED_ON, network_sha256)


def _words(support: Support) -> str:
    low, high = support.gain_years
    verdict = "shown" if support.shown else "not shown"
    return (
        f"error {support.mae_years:.2f} years on {support.people} people, guessing the median {support.guess_mae_years:.2f}, "
        f"gain {low:+.2f} to {high:+.2f} ({verdict}), r {support.correlation:+.2f}"
    )


def _card(name: str, data: TrainingData, results: tuple[Result, ...], model: FeatureModel) -> Card:
    return Card(
        name=name,
        version="1",
        task=TASK,
        description="Age of a lumbar spine from measured features (signal of discs and CSF against marrow, shape of discs, bodies and canal, tissue behind the"
        " canal, and the ages that a network gives the segments): mean of ridge regressions, a scale for each kind of series.",
        intended_use="Research on groups. Wide intervals. Not a medical device; not for decisions about patients.",
        inputs=(TensorSpec("features", ("features", 5), "names in parameters.weights, at L1/L2 to L5/S1; see lumbar.age.features.measure"),),
        outputs=(TensorSpec("age", (), "years"),),
        classes=(),
        training_data=(data,),
        results=results,
        parameters=to_parameters(model),
    )
