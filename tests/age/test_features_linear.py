"""The linear model of features: fit against brute force, exact contributions, intervals, and refusal where nothing is shown."""

from dataclasses import replace

import numpy as np
import pytest

from lumbar.age.features.linear import Scale, Weights, from_parameters, to_parameters
from lumbar.age.features.measure import NAMES, SEEN, AgeFeatures, Contrast
from lumbar.age.features.predict import FeatureAge, MeasuredSeries
from lumbar.age.features.table import FeatureTable, SeriesFeatures, read_features, write_features
from lumbar.age.learn.feature_fit import Data, fit_features, left_out_ages, nested_ages, person_weights
from lumbar.errors import InputError, ModelError
from lumbar.models.card import read_card
from lumbar.models.folder import load_folder
from lumbar.models.registry import find_folder

SETS = {Contrast.T2: [SEEN]}
FROM = {Contrast.T2: [Contrast.T2]}


def people(count: int, signal: float, seed: int = 0) -> FeatureTable:
    """People whose discs darken with age by `signal` standard deviations of the noise in 30 years; two series each."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        age = random.uniform(20, 85)
        for repeat in range(2):
            values = np.full((len(NAMES), 5), np.nan)
            values[: len(SEEN)] = random.standard_normal((len(SEEN), 5))
            values[0] += -signal * (age - 50) / 30 + random.standard_normal() * 0.3
            rows.append(SeriesFeatures(f"p{number}", "AB"[number % 2], "F", age, f"s{number}.{repeat}", Contrast.T2, AgeFeatures(values)))
    return FeatureTable(tuple(rows))


def brute_force(data: Data, penalty: float) -> np.ndarray:
    """Leave-one-person-out ages by minimizing the penalized squares with a numerical solver."""
    result = np.empty(len(data.age_years))
    for name in data.people:
        out = data.subject == name
        share = person_weights(data.subject[~out])
        design = np.column_stack([np.ones(int((~out).sum())), data.z[~out]]) * np.sqrt(share)[:, None]
        design = np.vstack([design, np.sqrt(penalty) * np.eye(data.z.shape[1] + 1)[1:]])
        target = np.concatenate([data.age_years[~out] * np.sqrt(share), np.zeros(data.z.shape[1])])
        found = np.linalg.lstsq(design, target, rcond=None)[0]
        result[out] = found[0] + data.z[out] @ found[1:]
    return result


def test_left_out_ages_are_those_of_models_without_the_person():
    random = np.random.default_rng(1)
    subject = np.repeat([f"p{k}" for k in range(9)], [1, 2, 3, 1, 1, 2, 2, 1, 1])
    data = Data(random.standard_normal((14, 4)), np.repeat(random.uniform(20, 80, 9), [1, 2, 3, 1, 1, 2, 2, 1, 1]), subject)
    for penalty in (1.0, 30.0):
        np.testing.assert_allclose(left_out_ages(data, penalty), brute_force(data, penalty), rtol=1e-6)


def test_a_planted_relation_is_shown_and_noise_is_not():
    shown = fit_features(people(40, 3.0), SETS, FROM, "sha").support[Contrast.T2]
    assert shown.shown and shown.mae_years < 0.6 * shown.guess_mae_years and shown.correlation > 0.8
    noise = fit_features(people(40, 0.0), SETS, FROM, "sha").support[Contrast.T2]
    assert not noise.shown


def test_nested_ages_do_not_see_the_person():
    table = people(20, 3.0)
    data = Data(table.means(SEEN), table.age_years, table.subject)
    wrong = replace(data, age_years=np.where(data.subject == "p3", 1000.0, data.age_years))
    one, two = nested_ages([data]), nested_ages([wrong])
    assert one[data.subject == "p3"] == pytest.approx(two[data.subject == "p3"])


def test_contributions_sum_to_the_age():
    model = fit_features(people(40, 3.0), SETS, FROM, "sha").weights[Contrast.T2]
    values = people(1, 3.0, seed=5).rows[0].features.values.copy()
    values[0, 2] = np.nan  # a level that was not seen
    values[1] = 40.0  # beyond what counts
    values[2] = np.nan  # a feature that was not seen
    features = AgeFeatures(values)
    contributions = model.contributions(features, Contrast.T2)
    assert contributions.shape == (len(SEEN), 5)
    assert model.mean_years + contributions.sum() == pytest.approx(model.years(model.z(features, Contrast.T2)))


def test_an_older_looking_level_has_an_older_segment():
    model = fit_features(people(40, 3.0), SETS, FROM, "sha").weights[Contrast.T2]
    values = np.zeros((len(NAMES), 5))
    values[0, 3] = -2.0
    older = model.segment_years(AgeFeatures(values), Contrast.T2, [3], "network_l4_l5")
    assert older > model.segment_years(AgeFeatures(values), Contrast.T2, [0, 1], "network_l1_l3") + 5


def test_intervals_cover_new_people():
    model = fit_features(people(40, 3.0), SETS, FROM, "sha").weights[Contrast.T2]
    inside = []
    for row in people(400, 3.0, seed=9).rows[::2]:
        low, high = model.interval(model.z(row.features, Contrast.T2), 0.9)
        inside.append(low <= row.age_years <= high)
    assert 0.84 <= np.mean(inside) <= 0.97


def test_too_few_people_for_an_interval_give_an_infinite_one():
    nothing = Scale(np.zeros(1), np.ones(1))
    few = Weights(("disc_to_marrow",), {Contrast.T2: nothing}, np.zeros(1), np.ones(1), 50.0, np.zeros((5, 3)))
    assert few.interval(np.zeros(1), 0.9) == (float("-inf"), float("inf"))


def test_a_card_gives_back_the_model():
    model = fit_features(people(40, 3.0), SETS, FROM, "sha")
    again = from_parameters(to_parameters(model))
    row = people(1, 3.0, seed=4).rows[0]
    z = again.weights[Contrast.T2].z(row.features, Contrast.T2)
    assert again.weights[Contrast.T2].years(z) == pytest.approx(model.weights[Contrast.T2].years(z), abs=0.01)
    assert again.support[Contrast.T2] == model.support[Contrast.T2]
    document = to_parameters(model)
    document["weights"]["t2"]["names"][0] = "unheard_of"
    with pytest.raises(ModelError, match="unheard_of"):
        from_parameters(document)


def test_a_table_gives_back_the_features(tmp_path):
    rows = people(3, 3.0).rows
    unknown = replace(rows[0], age_years=float("nan"), subject="0012", series="x")
    write_features(tmp_path / "features.csv", [*rows, unknown])
    table = read_features(tmp_path / "features.csv")
    assert table.subject.tolist()[-1] == "0012" and np.isnan(table.age_years[-1])
    np.testing.assert_allclose(table.means(SEEN)[:6], FeatureTable(rows).means(SEEN), rtol=1e-4)


def test_too_few_people_are_rejected():
    with pytest.raises(InputError, match="at least 12"):
        fit_features(people(8, 3.0), SETS, FROM, "sha")


def shipped() -> FeatureAge:
    return FeatureAge(load_folder(find_folder("age_features"), 1, "age_features"))


def test_the_shipped_model_belongs_to_the_shipped_network():
    network = load_folder(find_folder("age"), 1, "age")
    assert shipped().model.network_sha256 == network.use.sha256
    card = read_card(find_folder("age_features"))
    assert any(result.metric == "mae_years" for result in card.results)


@pytest.mark.parametrize("contrast", [Contrast.T1, None])
def test_no_age_where_it_is_not_supported(contrast):
    features = AgeFeatures(np.zeros((len(NAMES), 5)))
    result = shipped().predict(MeasuredSeries(features, contrast, None), None, 50.0)
    assert result.finding.predicted_age_years is None and result.finding.interval_years is None and not result.finding.supported
    assert result.finding.features and result.warnings[0].startswith("age not supported")


def test_an_age_with_delta_and_years_by_level():
    model = shipped()
    weights = model.model.weights[Contrast.T2]
    values = np.full((len(NAMES), 5), np.nan)
    for name, median in zip(weights.names, weights.scales[Contrast.T2].median, strict=True):
        values[NAMES.index(name)] = median
    values[0, 4] -= 1.0  # a dark L5/S1
    result = model.predict(MeasuredSeries(AgeFeatures(values), Contrast.T2, None), None, 40.0)
    finding = result.finding
    assert finding.age_delta_years == pytest.approx(finding.predicted_age_years - 40)
    assert finding.interval_years[0] < finding.predicted_age_years < finding.interval_years[1]
    years = {one.level: one.delta_years for one in finding.importance}
    assert max(years, key=years.get) == "L5/S1"
    assert weights.mean_years + sum(years.values()) == pytest.approx(finding.predicted_age_years)
    assert not result.out_of_distribution
    far = values + 50
    far[NAMES.index("csf_to_marrow")] = values[NAMES.index("csf_to_marrow")]
    assert model.predict(MeasuredSeries(AgeFeatures(far), Contrast.T2, None), None, None).out_of_distribution


def test_no_age_where_marrow_is_as_dark_as_with_fat_suppression():
    """A STIR series whose header says T2: CSF was 7.1 times as bright as marrow (1.96 as logarithm) in a real one."""
    model = shipped()
    weights = model.model.weights[Contrast.T2]
    values = np.full((len(NAMES), 5), np.nan)
    for name, median in zip(weights.names, weights.scales[Contrast.T2].median, strict=True):
        values[NAMES.index(name)] = median
    values[NAMES.index("csf_to_marrow")] = 1.96
    result = model.predict(MeasuredSeries(AgeFeatures(values), Contrast.T2, None), None, 40.0)
    assert not result.finding.supported and result.finding.predicted_age_years is None
    assert "fat suppression" in result.warnings[0]
