"""The network that outlines the dural sac in axial T2 slices: trains it on phantoms, exports it, and prints its figures.

    python recipes/spine/dural_sac.py train    WORK                                         # 25 minutes on one core; interrupted runs resume
    python recipes/spine/dural_sac.py pack     WORK -o models/dural-sac
    python recipes/spine/dural_sac.py phantoms --model FOLDER [--phantoms 27]                # area and Dice on phantoms not trained on
    python recipes/spine/dural_sac.py grades   --model FOLDER --data ../shared/data/rsna2024 # area against readers' canal grades, 457 studies

No reader has outlined the dural sac on the real images at hand. So the network learns from phantoms alone, with random geometry and contrast, and its check on
real images is an indirect one: the area has to separate the grades of central stenosis that readers gave.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from refine import load, save

from lumbar.datasets.axial_crops import read_crop_table, read_image
from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.imaging.rectangle import centred, rectangle
from lumbar.imaging.resample import resize_image, sample
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import roc_auc
from lumbar.metrics.segmentation import dice
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.registry import find_model
from lumbar.phantom.acquire import AcquiredSeries, grid_of, label_images
from lumbar.phantom.labels import BODY, CANAL, DISC, POSTERIOR
from lumbar.phantom.study import PhantomStudy, StudyOptions, make_study
from lumbar.spine.sac.outline import CLASSES, INPUT, OUTPUT, PIXEL_MM, SIZE, TASK, Network, network_of, outline_sacs
from lumbar.training.examples import LabelledSlice

SITES = "ABCDEFGHI"
FIRST_TRAINED, FIRST_OLD, FIRST_TESTED = 80_000, 80_500, 81_000  # seeds that no other recipe uses
ANY_AGE, OLD, OLD_YEARS = 72, 45, (72.0, 76.0, 80.0, 84.0, 88.0)  # phantoms whose canals are narrow more often
STORED_MM, LEAST_MM2 = 40.0, 15.0  # half width of the stored images; smallest sac that counts as shown
CROP_WIDTH_MM = 48.0  # of the crops of RSNA 2024, whose pixel size is unknown


# Printed by `phantoms --phantoms 18` and `grades` for the shipped weights.
ON_PHANTOMS = "axial T2 of 18 phantoms of all sites not trained on, synthetic"
ON_CROPS = "RSNA 2024 crops with a reliable outline, real"  # 1939 of 2397: 87 % of those without central stenosis, 49 % of moderate, 23 % of severe
RESULTS = (
    Result("dural sac", "dice", 0.971, ON_PHANTOMS, headline=True),
    Result("dural sac", "area_bias_mm2", 2.3, ON_PHANTOMS, (-9.1, 13.8)),
    Result("area of the dural sac", "auc_moderate_or_severe", 0.907, ON_CROPS, (0.877, 0.932), headline=True),
    Result("area of the dural sac", "auc_severe", 0.917, ON_CROPS, (0.845, 0.968)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("train", "pack", "phantoms", "grades"))
    parser.add_argument("work", type=Path, nargs="?", help="folder of the training run")
    parser.add_argument("-o", "--output", type=Path, help="model folder that `pack` writes")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path, help="folder with axial_crops.csv and axial_crops/")
    parser.add_argument("--phantoms", type=int, default=27)
    arguments = parser.parse_args()
    if arguments.action in ("train", "pack"):
        learn(arguments)
        return
    network = network_of(find_model(TASK, arguments.model, threads=1))
    if arguments.action == "phantoms":
        on_phantoms(arguments.phantoms, network)
    else:
        against_grades(arguments.data, network)


def learn(arguments: argparse.Namespace) -> None:
    """Train, and with `pack` export."""
    from lumbar.spine.learn.train import SpineTraining, export, train  # noqa: PLC0415  (PyTorch: only to train)
    from lumbar.training.augment import AugmentOptions  # noqa: PLC0415
    from lumbar.training.fit import FitOptions  # noqa: PLC0415

    any_age = lambda: (phantom(FIRST_TRAINED, number) for number in range(ANY_AGE))  # noqa: E731
    old = lambda: (phantom(FIRST_OLD, number, OLD_YEARS[number % len(OLD_YEARS)]) for number in range(OLD))  # noqa: E731
    sources = [stored(arguments.work / name, studies) for name, studies in (("examples.npz", any_age), ("old.npz", old))]
    contrast = AugmentOptions(rotation_degrees=20, scale=(0.7, 1.4), remap_probability=0.35, tissue_probability=0.6, degrade_probability=0.6)
    fit = FitOptions(steps=1500, threads=1, seed=20261130, checkpoint_every=100, average_decay=0.995)
    first = SpineTraining(PIXEL_MM, (SIZE, SIZE), 16, (16, 32, 64, 96), len(CLASSES), 2e-3, augment=contrast, fit=fit)
    module = train(sources[:1], arguments.work / "run", first)
    second = replace(first, learning_rate=1e-3, fit=replace(fit, steps=1000, seed=20261201))
    module = train(sources, arguments.work / "run2", second, module.state_dict())
    if arguments.action == "pack":
        print(export(module, arguments.output, card(), INPUT, (SIZE, SIZE)))


def stored(path: Path, studies: Callable[[], Iterable[PhantomStudy]]) -> list[LabelledSlice]:
    """The slices of `studies`, made once and kept in `path`."""
    if not path.exists():
        save(path, [example for study in studies() for example in examples(study)])
    return load(path)


def phantom(first: int, number: int, age_years: float | None = None) -> PhantomStudy:
    return make_study(StudyOptions(first + number, age_years, site=SITES[number % len(SITES)], roles=("axial_t2",)))


def examples(study: PhantomStudy) -> list[LabelledSlice]:
    """Every axial slice with a sac, cut to the surroundings of the canal."""
    return [
        LabelledSlice(f"phantom {study.options.seed}", image, classes, pixel_mm)
        for series in study.series.values()
        for image, classes, pixel_mm in slices_with_sac(study, series)
    ]


def slices_with_sac(study: PhantomStudy, series: AcquiredSeries):  # type: ignore[no-untyped-def]
    pixel_mm = grid_of(list(series.planes)).spacing_mm[1]
    reach = round(STORED_MM / pixel_mm)
    for image, labels in zip(series.images, label_images(study.anatomy, series), strict=True):
        if np.count_nonzero(labels == CANAL) * pixel_mm**2 < LEAST_MM2:
            continue
        row, column = np.argwhere(labels == CANAL).mean(axis=0).round().astype(int)
        around = np.s_[max(0, row - reach) : row + reach, max(0, column - reach) : column + reach]
        classes = np.zeros(labels[around].shape, dtype=np.uint8)
        for number, values in enumerate(([CANAL], [*BODY.values(), *DISC.values()], list(POSTERIOR.values())), start=1):
            classes[np.isin(labels[around], values)] = number
        yield image[around].astype(np.float32), classes, pixel_mm


def card() -> Card:
    meaning = f"axial T2 slices, {PIXEL_MM} mm pixels, rows front to back, columns from the patient's right to the left, zero mean, unit variance"
    return Card(
        name="dural-sac",
        version="0.1.0",
        task=TASK,
        description="2-D U-Net that outlines the dural sac in axial T2 slices.",
        intended_use="Research. The cross-sectional area of the dural sac at disc level. Not a medical device.",
        inputs=(TensorSpec(INPUT, ("batch", 1, "rows", "columns"), meaning),),
        outputs=(TensorSpec(OUTPUT, ("batch", len(CLASSES), "rows", "columns"), "logits of the classes"),),
        classes=CLASSES,
        training_data=(TrainingData("lumbar phantoms", "Apache-2.0", f"synthetic: axial T2 of {ANY_AGE} phantoms of any age and {OLD} of 72 to 88 years"),),
        results=RESULTS,
        parameters={"pixel_mm": PIXEL_MM},
    )


def on_phantoms(count: int, network: Network) -> None:
    """Dice and area of every slice with a sac, patch centred on it with an error of up to 4 mm."""
    rng = np.random.default_rng(0)
    rows: list[tuple[float, float, float, bool]] = []
    for number in range(count):
        for example in examples(phantom(FIRST_TESTED, number)):
            image, truth = patch_of(example, rng.uniform(-4, 4, 2))
            (sac,) = outline_sacs(image[None], network)
            true_mm2 = np.count_nonzero(truth) * PIXEL_MM**2
            rows.append((true_mm2, sac.area_mm2 if sac else np.nan, (dice(truth, sac.mask) or 0.0) if sac else 0.0, bool(sac and sac.reliable)))
    table = np.array(rows)
    kept = table[table[:, 3] > 0]
    away = kept[:, 1] - kept[:, 0]
    print(f"{len(table)} slices of {count} phantoms; reliable {len(kept)}; Dice of these {kept[:, 2].mean():.3f} "
          f"(5th percentile {np.percentile(kept[:, 2], 5):.3f}), of all {table[:, 2].mean():.3f}")  # fmt: skip
    limits = away.mean() + np.array([-1.96, 1.96]) * away.std(ddof=1)
    print(f"area: true {kept[:, 0].mean():.0f} mm² on average, bias {away.mean():+.1f}, limits {limits[0]:+.1f} to {limits[1]:+.1f} mm²")


def patch_of(example: LabelledSlice, shift_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image and true mask of one patch, `shift_mm` off the middle of the sac."""
    step = np.array([0, example.pixel_mm, 0]), np.array([example.pixel_mm, 0, 0])
    grid = Grid(np.zeros((1, 3)), *step, *example.image.shape)
    row, column = np.argwhere(example.labels == 1).mean(axis=0) * example.pixel_mm + shift_mm
    points = rectangle(np.array([column, row, 0.0]), centred(SIZE, PIXEL_MM), np.array([0.0, 1, 0]), centred(SIZE, PIXEL_MM), np.array([1.0, 0, 0]))
    truth = sample(Volume((example.labels == 1)[None].astype(np.float32), grid), points) > 0.5
    return sample(Volume(example.image[None], grid), points), truth


def against_grades(data: Path, network: Network) -> None:
    """AUC of a small area for each grade, over the crops whose outline is reliable."""
    crops = [crop for crop in read_crop_table(data / "axial_crops.csv") if (data / "axial_crops" / crop.file).is_file()]
    grades, areas, studies, levels = [], [], [], []
    for crop in crops:
        grade = crop.grades[Condition.SPINAL_CANAL_STENOSIS]
        (sac,) = outline_sacs(crop_patch(read_image(data / "axial_crops" / crop.file)[..., 1])[None], network)
        if grade is None:
            continue
        grades.append(list(Severity).index(grade))
        areas.append(sac.area_mm2 if sac and sac.reliable else np.nan)
        studies.append(crop.study_id)
        levels.append(crop.level)
    table, area, groups = np.array(grades), np.array(areas), np.array(studies)
    known = np.isfinite(area)
    print(f"{len(area)} crops of {len(set(studies))} studies; outline reliable in {known.sum()} ({known.mean():.1%}); by grade "
          + ", ".join(f"{name.value} {known[table == k].mean():.1%}" for k, name in enumerate(Severity)))  # fmt: skip
    for k, name in enumerate(Severity):
        own = area[known & (table == k)]
        print(f"  {name.value}: {len(own)} crops, median {np.median(own):.0f} mm² (quartiles {np.percentile(own, 25):.0f} to {np.percentile(own, 75):.0f})")
    for title, positive in (("moderate or severe", table > 0), ("severe", table > 1)):
        rows = np.flatnonzero(known)
        statistic = lambda chosen, positive=positive, rows=rows: roc_auc(-area[rows[chosen]], positive[rows[chosen]])  # noqa: E731
        print(f"  AUC of a small area for {title}: {statistic(np.arange(len(rows))):.3f}, {bootstrap_interval(statistic, groups[rows], repeats=500)}")
    print("  medians of normal or mild by level: "
          + ", ".join(f"{level.value} {np.median(area[known & (table == 0) & (np.array(levels) == level)]):.0f}" for level in Level))  # fmt: skip


def crop_patch(crop: np.ndarray) -> np.ndarray:
    """A crop of RSNA 2024 as a patch; where the patch is larger, the border is repeated."""
    pixel_mm = CROP_WIDTH_MM / crop.shape[1]
    shape = round(crop.shape[0] * pixel_mm / PIXEL_MM), round(crop.shape[1] * pixel_mm / PIXEL_MM)
    image = resize_image(crop.astype(np.float32), shape)
    rows, columns = (max(0, SIZE - n) for n in shape)
    image = np.pad(image, ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)), mode="edge")
    top, left = ((n - SIZE) // 2 for n in image.shape)
    return np.asarray(image[top : top + SIZE, left : left + SIZE])


if __name__ == "__main__":
    main()
