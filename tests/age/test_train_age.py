"""The whole way from images to a model folder and back, on cartoon people whose discs darken with age (slow: a network is trained)."""

import csv
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from lumbar.age.crops import CropOptions  # noqa: E402
from lumbar.age.importance import Explainer  # noqa: E402
from lumbar.age.learn.augment import AgeAugmentOptions, augment, inner  # noqa: E402
from lumbar.age.learn.network import AgeNetwork, AgeNetworkOptions  # noqa: E402
from lumbar.age.learn.train import AgeTraining, RandomSets, held_out  # noqa: E402
from lumbar.age.predict import load  # noqa: E402
from lumbar.age.segments import SEGMENTS, WHOLE  # noqa: E402
from lumbar.age.store import MARGIN, CropStore, open_store, packed, unpacked  # noqa: E402
from lumbar.cli.main import main  # noqa: E402
from lumbar.domain.anatomy import Level  # noqa: E402
from lumbar.domain.geometry import Grid  # noqa: E402
from lumbar.domain.volume import Volume  # noqa: E402
from lumbar.io.nifti import write_nifti  # noqa: E402

PEOPLE = 130


def _store(n: int = 12) -> CropStore:
    random = np.random.default_rng(0)
    options = CropOptions()
    crops = random.integers(0, 255, (n, 5, 4, options.rows + 2 * MARGIN, options.columns + 2 * MARGIN), dtype=np.uint8)
    present = np.ones((n, 5, 4), dtype=np.float32)
    present[0, 2] = 0
    words = np.array([f"s{k}" for k in range(n)])
    ages = random.uniform(20, 80, n).astype(np.float32)
    same = (np.array(["A"] * n), np.array(["1"] * n), np.ones(n, dtype=bool))
    labels = np.zeros((n, 5, 0), dtype=np.float32)
    return CropStore(crops, np.zeros_like(present), present, ages, np.ones(n, dtype=np.float32), words, *same, labels, options)


def test_batches_hold_present_slices_of_every_study_once() -> None:
    store = _store()
    stream = iter(RandomSets(store, AgeTraining(people_per_batch=6, level_absence=0.0)))
    (first, second) = next(stream), next(stream)
    assert sorted([*first[4].tolist(), *second[4].tolist()]) == sorted(store.age_years.tolist())
    assert first[0].shape == (6, 5, 3, 40, 64)
    for _, _, present, _, ages, _ in (first, second):
        empty = [float(age) == float(store.age_years[0]) for age in ages]
        assert [bool((p[2] == 0).all()) for p in present] == empty
        assert present.sum() == present.numel() - 3 * sum(empty)


def test_augmentation_off_is_the_middle_of_the_crop() -> None:
    off = AgeAugmentOptions(turn_degrees=0, zoom=0, shift_pixels=0, gamma=0, gain=0, offset=0, tilt=0, noise=0, blur_probability=0)
    crops = torch.rand(2, 5, 3, 48, 72)
    found = augment(crops, (40, 64), off, torch.Generator().manual_seed(0))
    assert torch.allclose(found, inner(crops, (40, 64)), atol=1e-5)
    changed = augment(crops, (40, 64), AgeAugmentOptions(), torch.Generator().manual_seed(0))
    assert not torch.allclose(changed, found, atol=0.05)


def test_bytes_keep_grey_values() -> None:
    values = np.linspace(-0.2, 1.5, 1000, dtype=np.float32)
    assert np.abs(unpacked(packed(values)) - values).max() < 0.004


def _cartoon(age: float, random: np.random.Generator) -> Volume:
    """Discs from bright (young) to dark (old) in grey bodies before a bright canal."""
    origins = np.array([[x, -60.0, 110.0] for x in (-8.0, -4.0, 0.0, 4.0, 8.0)])
    grid = Grid(origins, np.array([0, 0, -1.5]), np.array([0, 1.5, 0]), 150, 90)
    points = grid.points_mm(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    y, z = points[..., 1], points[..., 2]
    image = np.where((y > -20) & (y < 20), 40.0, 20.0)
    image[(y > 24) & (y < 38)] = 100
    for k in range(5):
        disc = (np.abs(z - (72 - 36 * k)) < 6) & (np.abs(y) < 18)
        image[disc] = 90 - 0.9 * age + 3 * random.standard_normal()
    return Volume((image + 2 * random.standard_normal(image.shape)).astype(np.float32), grid)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    random = np.random.default_rng(0)
    with (folder / "ages.csv").open("w", newline="") as people, (folder / "points.csv").open("w", newline="") as points:
        table, places = csv.writer(people), csv.writer(points)
        table.writerow(["subject", "site", "sex", "age", "image"])
        places.writerow(["image", "level", "x_mm", "y_mm", "z_mm"])
        for number in range(PEOPLE):
            age = float(random.uniform(20, 85))
            name = f"{number}_t2.nii.gz"
            write_nifti(folder / name, _cartoon(age, random))
            table.writerow([f"s{number}", "AB"[number % 2], "FM"[number % 3 % 2], f"{age:.1f}", name])
            places.writerows([name, level.value, 0.0, 0.0, 72 - 36 * k] for k, level in enumerate(Level))
    return folder


@pytest.fixture(scope="module")
def trained(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("trained")
    with pytest.raises(SystemExit) as ended:
        arguments = [
            "train",
            "age",
            str(cohort / "ages.csv"),
            "--points",
            str(cohort / "points.csv"),
            "-o",
            str(place / "model"),
            "--runs",
            str(place / "runs"),
        ]
        main([*arguments, "--licence", "none", "--synthetic", "--folds", "2", "--steps", "120", "--threads", "1"])
    assert ended.value.code == 0
    return place / "model", place / "runs"


@pytest.mark.slow
def test_a_trained_model_finds_the_age_without_pytorch(cohort: Path, trained: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    model, _ = trained
    predictor = load(model, threads=1)
    assert predictor.model.card.export_difference is not None
    assert predictor.model.card.export_difference < 0.05
    with pytest.raises(SystemExit) as ended:
        known = ["--table", str(cohort / "ages.csv"), "--points", str(cohort / "points.csv"), "--model", str(model)]
        main(["evaluate", "age", *known, "--importance", "-o", str(model.parent / "evaluation"), "--json"])
    assert ended.value.code == 0
    with (model.parent / "evaluation" / "importance.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["structure"] for row in rows} >= {"L1", "L3/L4", "S1"}
    by_age = {row["ages"]: float(row["mean_delta_years"]) for row in rows if row["structure"] == "L3/L4"}
    assert by_age["80-89"] > 1 > -1 > by_age["20-29"]  # dark discs make the old look older, bright ones the young younger
    shown = capsys.readouterr()
    assert "synthetic" in shown.err
    assert '"mae_years"' in shown.out


@pytest.mark.slow
def test_the_exported_pair_of_networks_is_the_trained_one(trained: tuple[Path, Path]) -> None:
    model, runs = trained
    store = open_store(runs / "crops")
    checkpoint = torch.load(runs / "all" / "last.ckpt", weights_only=False)
    average = checkpoint["callbacks"]["WeightAverage"]["average"]
    network = AgeNetwork(AgeNetworkOptions())
    network.load_state_dict({name.removeprefix("network."): value for name, value in average.items()})
    wanted = held_out(network, store)
    predictor = load(model, threads=1)
    for number in (0, 7, 50):
        slices = store.slices(number)
        found = predictor.engine.ages(predictor.engine.describe(slices)[None], slices, {1.0: "F", -1.0: "M"}[float(store.sex[number])])
        for k, name in enumerate(SEGMENTS):
            assert found.segment_years[0, k] == pytest.approx(wanted.segment_years[name][number], abs=0.05)
    error = np.abs(wanted.segment_years[WHOLE] - wanted.age_years)
    assert error.mean() < 6  # guessing: 16


@pytest.mark.slow
def test_importance_goes_when_the_weights_go(trained: tuple[Path, Path]) -> None:
    """Randomised weights (Adebayo et al. 2018): the map of a trained network is not what any network would draw of these images."""
    model, runs = trained
    predictor, store = load(model, threads=1), open_store(runs / "crops")
    slices = store.slices(int(np.argmax(store.age_years)))
    sane = Explainer(predictor.engine, slices, predictor.baseline.like(slices), None).heat_map().maps["L3/L4"]
    torch.manual_seed(0)
    random = AgeNetwork(AgeNetworkOptions()).eval()

    class Randomised(type(predictor.engine)):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def encode(self, crops: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return random.encoder(torch.from_numpy(crops[:, None])).numpy()

    engine = Randomised()
    engine._set = predictor.engine._set
    drawn = Explainer(engine, slices, predictor.baseline.like(slices), None).heat_map().maps["L3/L4"]
    assert abs(np.corrcoef(sane.ravel(), drawn.ravel())[0, 1]) < 0.6
    middle = sane[14:26, 8:34]  # the disc: 12 mm high, 36 mm deep
    assert np.abs(middle).mean() > 3 * np.abs(sane[:, 45:]).mean()


@pytest.mark.slow
def test_hiding_the_most_important_first_moves_the_age_most(trained: tuple[Path, Path]) -> None:
    """The deletion curve (Petsiuk et al. 2018): the area under it is smaller in the order of importance than in the opposite order."""
    model, runs = trained
    predictor, store = load(model, threads=1), open_store(runs / "crops")
    slices = store.slices(int(np.argmax(store.age_years)))
    explainer = Explainer(predictor.engine, slices, predictor.baseline.like(slices), "F")
    names = [s.name for s in sorted(explainer.structures(), key=lambda s: -s.delta_years)]
    falling, late = explainer.deletion_curve(names), explainer.deletion_curve(names[::-1])
    assert falling[0] == late[0] == explainer.years
    assert falling[-1] == pytest.approx(late[-1], abs=1e-3)
    assert np.mean(falling) < np.mean(late) - 1
