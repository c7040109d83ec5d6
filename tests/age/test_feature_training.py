"""From a table to a feature model: validation across sites, the folder, and images of drawn people."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from cartoon import GREY, STEP, Drawing, draw, read

from lumbar.age.features.measure import NAMES, SEEN, AgeFeatures, Contrast
from lumbar.age.features.predict import TASK, FeatureAge, MeasuredSeries
from lumbar.age.features.table import FeatureTable, SeriesFeatures
from lumbar.age.learn.feature_training import Measurers, gather_features, left_out_sites, train_features
from lumbar.age.predict import Predictor
from lumbar.datasets.age_table import read_age_table
from lumbar.domain.anatomy import SpineClass
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.io.nifti import write_nifti
from lumbar.models.card import TrainingData
from lumbar.models.folder import load_folder
from lumbar.models.registry import find_model

NETWORK = SimpleNamespace(use=SimpleNamespace(sha256="abc"))


def people(count: int, contrast: Contrast = Contrast.T2, offset_b: float = 0.0) -> FeatureTable:
    """People of the sites A and B whose discs darken with age; at B every signal is shifted."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        age, site = random.uniform(20, 85), "AB"[number % 2]
        values = np.full((len(NAMES), 5), np.nan)
        values[: len(SEEN)] = random.standard_normal((len(SEEN), 5))
        values[0] += -3 * (age - 50) / 30 + (offset_b if site == "B" else 0.0)
        rows.append(SeriesFeatures(f"p{number}", site, "M", age, f"s{number}", contrast, AgeFeatures(values)))
    return FeatureTable(tuple(rows))


def test_a_site_that_differs_shows_when_it_is_left_out():
    alike = dict(left_out_sites(people(60), Contrast.T2))
    shifted = dict(left_out_sites(people(60, offset_b=4.0), Contrast.T2))
    assert set(alike) == {"A", "B"} and alike["B"].shown
    assert shifted["B"].mae_years > 2 * alike["B"].mae_years


def test_the_folder_predicts_again(tmp_path):
    table = people(60)
    said = list(train_features(table, NETWORK, tmp_path, "mine", TrainingData("people", "own")))
    assert said[0].startswith("t2: error") and any("site B left out" in line for line in said)
    model = FeatureAge(load_folder(tmp_path, 1, TASK))
    assert model.use.name == "mine" and model.model.network_sha256 == "abc"
    ages = [model.predict(MeasuredSeries(row.features, row.contrast, None), None, None).finding.predicted_age_years for row in table.rows]
    assert np.corrcoef(ages, table.age_years)[0, 1] > 0.9


def test_too_few_people_are_rejected(tmp_path):
    with pytest.raises(InputError, match="at least 12"):
        list(train_features(people(8), NETWORK, tmp_path, "mine", TrainingData("people", "own")))


@pytest.mark.slow
def test_from_images_to_features(tmp_path, whole_images):
    """Drawn people: a row's features are measured on its image, and one that shows no spine is named."""
    volume, _ = draw(Drawing())
    rows = []
    for number, step in enumerate((0.0, -0.4)):  # discs as drawn, and darker
        array = np.where(np.abs(volume.array - GREY[SpineClass.DISC] * STEP) < 1, (GREY[SpineClass.DISC] + step) * STEP, volume.array)
        write_nifti(tmp_path / f"p{number}_t2_sag.nii.gz", Volume(array.astype(np.float32), volume.grid))
        rows.append([f"p{number}", "A", "F", 40 + number, f"p{number}_t2_sag.nii.gz"])
    write_nifti(tmp_path / "empty_t2_sag.nii.gz", Volume(np.ones_like(volume.array), volume.grid))
    rows.append(["p9", "A", "F", 50, "empty_t2_sag.nii.gz"])
    with (tmp_path / "ages.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["subject", "site", "sex", "age", "image"], *rows])
    measurers = Measurers(read, Predictor(find_model("age", None, 1)))
    found, failures = gather_features(read_age_table(tmp_path / "ages.csv"), tmp_path, tmp_path / "runs", lambda: measurers, lambda numbers: numbers)
    signal = found.means(("disc_to_marrow",))[:, 0]
    assert signal == pytest.approx([np.log(5 / 4), np.log(4.6 / 4)], abs=0.04)
    assert np.isfinite(found.means(("network_l1_l3",))).all()
    assert len(failures) == 1 and "line 4" in failures[0]
    again, _ = gather_features(read_age_table(tmp_path / "ages.csv"), tmp_path, tmp_path / "runs", lambda: pytest.fail("measured again"), lambda n: n)
    assert again.means(("disc_to_marrow",))[:, 0] == pytest.approx(signal, rel=1e-4)
