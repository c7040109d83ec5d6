"""Foraminal grades from sagittal T1: trains five folds by study, prints the out-of-fold figures, and packs the model.

    python recipes/severity/foramina.py train    ../shared/data/rsna2024 runs/foramina [--folds 0 1 2]     # interrupted runs resume
    python recipes/severity/foramina.py evaluate ../shared/data/rsna2024 runs/foramina    # from the saved folds, without PyTorch
    python recipes/severity/foramina.py pack     ../shared/data/rsna2024 runs/foramina -o models/severity-foramina

Studies that also have axial crops are in the fold that `axial_crops.py` puts them in; the others are stratified by severity. Study
100206310 is left out of training. `evaluate` also prints the loss at points shifted by the spine model's error, and on a neighbouring slice.
Training takes about 8 minutes per fold on one idle core with bfloat16 instructions.
"""

import argparse
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from lumbar.datasets.axial_crops import read_crop_table
from lumbar.datasets.foramina import ForamenPoint, read_foramen_table
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.io.staging import staged_folder
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.classification import row_log_losses, weighted_log_loss
from lumbar.models.card import Result, TrainingData
from lumbar.severity.axial.data import targets as axial_targets
from lumbar.severity.foramina.calibration import ForamenGrades, LevelCalibration
from lumbar.severity.foramina.crops import LEVEL_PIXELS
from lumbar.severity.foramina.grader import ONE_SCALE, Foramina, mean_of_sides
from lumbar.severity.foramina.table import crops_on_neighbours, from_points, related_targets, targets
from lumbar.severity.learn.foramina.calibrate import crossfitted_levels, fit_level_calibration
from lumbar.severity.learn.foramina.out_of_fold import CANAL, FORAMEN, KIND, RECESS, ForamenFigures, Measured, figures, grade_held_out
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.training.fold_runs import FoldRuns

HELD_BACK = ("100206310",)  # the study with images: left out of training, so that it can serve for evaluation
USUAL_LEVEL_MM = 34.0  # between lumbar discs: turns millimetres into pixels of a crop
# Standard deviation of the distance, along each axis, from the spine model's foraminal points to the labelled ones; `foramen_points.py` measures it.
SPINE_ERROR_MM = 2.0
ROBUSTNESS_STUDIES = 150  # on which shifted points and neighbouring slices are tried
CACHE = "crops.npz"
WEIGHTS = np.array(GRADE_WEIGHTS)


def main() -> None:
    arguments = parse()
    points = sorted(read_foramen_table(arguments.data / "foramina.csv"), key=lambda p: (p.study_id, p.file))
    arguments.runs.mkdir(parents=True, exist_ok=True)
    foramina, beside, beside_of = stored(points, arguments)
    if arguments.action == "train":
        train(points, foramina, (beside, beside_of), arguments)
        return
    folds = FoldRuns(arguments.runs, KIND).folds_of(point.study_id for point in points)
    raw = predictions(arguments.runs / "held_out.npy", foramina, folds, arguments.runs)
    there = np.isfinite(raw[:, 0, 0])
    parts = graded_parts(raw, points, foramina, arguments.data)
    measured: dict[str, ForamenFigures] = {}
    for part in parts:
        rows = part.rows(there)
        grades = crossfitted_levels(part.raw[rows], part.y[rows], foramina.levels[rows], folds[rows])
        measured |= figures(grades, part.y[rows], foramina.levels[rows], folds[rows], part.name)
        print_interval(part.name, grades, part.y[rows], foramina.studies[rows])
    trained = sorted(set(folds[there].tolist()))
    print_table(measured, len(np.unique(foramina.studies[there])), trained)
    more = robustness(foramina, (beside, beside_of), parts[0].y, folds, arguments.runs)
    if arguments.action == "pack":
        calibrations = {part.name: part.calibration(there, foramina.levels) for part in parts}
        where = f"out of fold, {int(there.sum())} foramina at readers' points, one network each"
        pack(arguments, calibrations, Measured(measured, more, where), trained, points)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["train", "evaluate", "pack"])
    parser.add_argument("data", type=Path, help="folder with foramina.csv, foramina/, axial_crops.csv, axial_crops/ and train.csv")
    parser.add_argument("runs", type=Path, help="folder of checkpoints, splits and networks")
    parser.add_argument("--folds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--start", type=Path, help="folder of finished folds that initialise these, each with the same studies left out")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="model folder that `pack` writes")
    return parser.parse_args()


def stored(points: list[ForamenPoint], arguments: argparse.Namespace) -> tuple[Foramina, np.ndarray, np.ndarray]:
    """The crops of all points, and those on neighbouring slices; cut once and cached in the folder of runs."""
    cache, images = arguments.runs / CACHE, arguments.data / "foramina"
    if not cache.is_file():
        made = from_points(points, images)
        beside, beside_of = crops_on_neighbours(points, images)
        np.savez(cache, beside=beside, beside_of=beside_of, **{field.name: getattr(made, field.name) for field in fields(Foramina)})
    kept = np.load(cache)
    return cached(cache), kept["beside"], kept["beside_of"]


def cached(path: Path) -> Foramina:
    """The crops of all points in the cache that `stored` has written."""
    kept = np.load(path)
    return Foramina(*(kept[field.name] for field in fields(Foramina)))


def train(points: list[ForamenPoint], foramina: Foramina, beside: tuple[np.ndarray, np.ndarray], arguments: argparse.Namespace) -> None:
    from lumbar.severity.learn.axial.ensemble import FoldOptions  # noqa: PLC0415  (PyTorch: only to train)
    from lumbar.severity.learn.axial.ensemble import split as axial_split  # noqa: PLC0415
    from lumbar.severity.learn.foramina.folds import Folds, split, train_fold  # noqa: PLC0415
    from lumbar.severity.learn.foramina.train import ForamenTraining, LabelledForamina, continued_training  # noqa: PLC0415

    names, grades = np.array([point.study_id for point in points]), read_grades(arguments.data / "train.csv")
    labels = np.concatenate([targets(points)[:, None], related_targets(points, grades)], axis=1)
    labelled = LabelledForamina(foramina.crops, foramina.levels, foramina.sides, names, labels, *beside)
    images = arguments.data / "axial_crops"
    axial = [crop for crop in read_crop_table(arguments.data / "axial_crops.csv") if (images / crop.file).is_file()]
    fold_of = split(labelled, axial_split(axial, axial_targets(axial, grades), FoldOptions()))
    FoldRuns(arguments.runs, KIND).keep_splits(fold_of)
    usual = ForamenTraining()
    config = replace(usual, fit=replace(usual.fit, steps=arguments.steps, threads=arguments.threads))
    if arguments.start:
        config = continued_training(arguments.steps, arguments.threads)
    for fold in arguments.folds:
        train_fold(labelled, Folds(fold_of, HELD_BACK, arguments.start), arguments.runs, fold, config)


@dataclass(frozen=True, eq=False)
class GradedPart:
    """Raw predictions and labels of the foramina, or of what the same networks grade beside them."""

    name: str
    raw: np.ndarray  # (n, 3), a row for each foramen
    y: np.ndarray  # (n,) 0 … 2, −1 where unlabelled
    counted: np.ndarray  # (n,) False where another row has the same structure

    def rows(self, there: np.ndarray) -> np.ndarray:
        """Indices of the rows that count among those where `there` (n,)."""
        return np.flatnonzero(there & self.counted)

    def calibration(self, there: np.ndarray, levels: np.ndarray) -> LevelCalibration:
        rows = self.rows(there)
        return fit_level_calibration(self.raw[rows], self.y[rows], levels[rows])


def graded_parts(raw: np.ndarray, points: list[ForamenPoint], foramina: Foramina, data: Path) -> list[GradedPart]:
    """The foramina, the canals (one row for each level of a study, from both sides), and the recesses."""
    related = related_targets(points, read_grades(data / "train.csv"))
    first = np.zeros(len(points), bool)
    first[np.unique(np.stack([foramina.studies, foramina.levels]), axis=1, return_index=True)[1]] = True
    canal = mean_of_sides(raw[:, 1], foramina.levels, foramina.studies)
    every = np.ones(len(points), bool)
    return [
        GradedPart(FORAMEN, raw[:, 0], targets(points), every),
        GradedPart(CANAL, canal, related[:, 0], first),
        GradedPart(RECESS, raw[:, 2], related[:, 1], every),
    ]


def predictions(cache: Path, foramina: Foramina, folds: np.ndarray, runs: Path) -> np.ndarray:
    """Raw predictions (n, 3 conditions, 3) for every foramen with a trained fold; recomputed where a network is newer than the cache."""
    networks = list(runs.glob("*/model.onnx"))
    if not cache.is_file() or any(path.stat().st_mtime > cache.stat().st_mtime for path in networks):
        np.save(cache, grade_held_out(foramina, folds, runs))
    return np.load(cache)


def print_table(measured: dict[str, ForamenFigures], studies: int, folds: list[int]) -> None:
    print(f"{measured['foramen'].rows} foramina of {studies} studies, each graded out of fold by one network (folds {folds})")
    names = [field.name for field in fields(ForamenFigures)]
    print(f"{'':<10}" + "".join(f"{name:>12}" for name in names))
    for part, values in measured.items():
        print(f"{part:<10}" + "".join(f"{value:>12}" if isinstance(value, int) else f"{value:>12.3f}" for value in asdict(values).values()))
    print("weighted log loss published for comparison: 4th place 0.479 (391 studies), 6th place's ensemble 0.475 (cross-validation)")


def print_interval(part: str, grades: ForamenGrades, y: np.ndarray, studies: np.ndarray) -> None:
    _, owner = np.unique(studies, return_inverse=True)
    known = y >= 0
    weights = WEIGHTS[y[known]]
    losses = np.bincount(owner[known], weights * row_log_losses(grades.metric[known], y[known]))
    sums = np.bincount(owner[known], weights)
    interval = bootstrap_interval(lambda drawn: float(losses[drawn].sum() / sums[drawn].sum()), np.arange(len(sums)))
    print(f"{part}: weighted log loss {losses.sum() / sums.sum():.4f}, 95 % interval by study {interval.low:.3f} to {interval.high:.3f}")


def robustness(foramina: Foramina, beside: tuple[np.ndarray, np.ndarray], y: np.ndarray, folds: np.ndarray, runs: Path) -> tuple[Result, ...]:
    """Raw weighted log loss at one scale, at shifted points and on a neighbouring slice, on some of the studies that show a foramen on two slices."""
    crops, owners = beside
    owned = np.isin(owners, np.flatnonzero([FoldRuns(runs, KIND).is_trained(fold) for fold in folds.tolist()]))
    crops, owners = crops[owned], owners[owned]
    chosen = np.isin(foramina.studies, np.unique(foramina.studies[owners])[:ROBUSTNESS_STUDIES])
    folds = np.where(chosen, folds, -1)
    raw = grade_held_out(foramina, folds, runs, ONE_SCALE)[:, 0]
    there = chosen & (y >= 0)
    pixels = np.random.default_rng(0).normal(0, SPINE_ERROR_MM * LEVEL_PIXELS / USUAL_LEVEL_MM, (len(y), 2))
    shifted = np.stack([moved(crop, *by) for crop, by in zip(foramina.crops, pixels, strict=True)])
    other, rows = foramina.crops.copy(), np.zeros(len(y), bool)
    other[owners], rows[owners] = crops, True
    rows &= there
    away, near = (grade_held_out(replace(foramina, crops=changed), folds, runs, ONE_SCALE)[:, 0] for changed in (shifted, other))
    still, moved_loss = (weighted_log_loss(p[there], y[there], WEIGHTS) for p in (raw, away))
    own, near_loss = (weighted_log_loss(p[rows], y[rows], WEIGHTS) for p in (raw, near))
    where = f"out of fold, uncalibrated, one network each, one scale, {int(there.sum())} foramina of {len(np.unique(foramina.studies[there]))} studies"
    cost = f"{still:.4f} becomes {moved_loss:.4f} ({moved_loss - still:+.4f})"
    print(f"{where}\npoints shifted by {SPINE_ERROR_MM:g} mm (standard deviation along each axis): {cost}")
    print(f"{int(rows.sum())} of them are shown by a neighbouring slice: {own:.4f} on their own slice, {near_loss:.4f} on the neighbour")
    axes = f"points shifted by {SPINE_ERROR_MM:g} mm along each axis; unshifted {still:.4f}"
    return (
        Result("foramen", "loss_at_shifted_points", round(moved_loss, 4), f"{where}; {axes}"),
        Result("foramen", "loss_on_neighbouring_slice", round(near_loss, 4), f"{where}, {int(rows.sum())} of them; on their own slice {own:.4f}"),
    )


def moved(crop: np.ndarray, down: float, right: float) -> np.ndarray:
    """`crop` as if its point lay `down` rows and `right` columns away; 0 beyond the crop."""
    result = np.zeros_like(crop)
    rows, columns = round(down), round(right)
    size = len(crop)
    source = crop[max(rows, 0) : size + min(rows, 0), max(columns, 0) : size + min(columns, 0)]
    result[max(-rows, 0) : size + min(-rows, 0), max(-columns, 0) : size + min(-columns, 0)] = source
    return result


def pack(arguments: argparse.Namespace, calibrations: dict[str, LevelCalibration], measured: Measured, folds: list[int], points: list[ForamenPoint]) -> None:
    from lumbar.severity.learn.foramina.ensemble import LICENCE, write_ensemble  # noqa: PLC0415  (PyTorch)

    studies = len({point.study_id for point in points} - set(HELD_BACK))
    data = TrainingData(
        f"RSNA 2024 lumbar spine degenerative classification: foraminal points on sagittal T1 of {studies} studies, images of VBS2004's repository",
        LICENCE,
        f"each network was trained on about four fifths of the studies (folds {folds}); study {HELD_BACK[0]} was left out",
    )
    with staged_folder(arguments.out, overwrite=False) as folder:
        write_ensemble(folder, arguments.runs, folds, calibrations, measured, data)
    print(f"{arguments.out}: {sum(path.stat().st_size for path in arguments.out.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
