"""Canal and recess grades from axial crops: trains five folds by study and prints the out-of-fold table.

    python recipes/severity/axial_crops.py train    ../shared/data/rsna2024 runs/severity    # interrupted runs resume
    python recipes/severity/axial_crops.py evaluate ../shared/data/rsna2024 runs/severity    # prints the table from the saved folds, without PyTorch
    python recipes/severity/axial_crops.py pack     ../shared/data/rsna2024 runs/severity -o models/severity-axial-crops

Training takes about 13 minutes per fold on one idle core with bfloat16 instructions.
"""

import argparse
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from lumbar.datasets.axial_crops import read_crop_table
from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.io.staging import staged_folder
from lumbar.models.card import TrainingData
from lumbar.severity.axial.data import targets
from lumbar.severity.learn.axial.out_of_fold import OutOfFold, PartFigures, figures, grade_held_out
from lumbar.severity.studies.data import from_store
from lumbar.severity.studies.store import open_store

if TYPE_CHECKING:
    from lumbar.severity.learn.axial.train import LabelledCrops

HELD_BACK = ("100206310",)  # the study with images: left out of training, so that it can serve for evaluation


def main() -> None:
    arguments = parse()
    images = arguments.data / "axial_crops"
    crops = [crop for crop in read_crop_table(arguments.data / "axial_crops.csv") if (images / crop.file).is_file()]
    labels = targets(crops, read_grades(arguments.data / "train.csv"))  # the table of studies also has foraminal grades, which the crop table lacks
    if arguments.action == "train":
        from lumbar.severity.learn.axial.ensemble import FoldOptions, train_fold  # noqa: PLC0415  (PyTorch: only to train)
        from lumbar.severity.learn.axial.train import continued_training, default_training  # noqa: PLC0415

        settings = continued_training if arguments.start else default_training
        beside = synthetic_crops(arguments.beside) if arguments.beside else None
        config = settings(arguments.kind, arguments.steps, arguments.threads)
        for fold in arguments.folds:
            options = FoldOptions(held_back=HELD_BACK, start=arguments.start)
            train_fold(crops, labels, images, arguments.runs, fold, config=config, options=options, beside=beside)
        return
    oof = grade_held_out(crops, labels, images, arguments.runs, arguments.kind, arguments.threads)
    measured = figures(oof)
    print_table(oof, measured)
    if arguments.action == "pack":
        pack(arguments, oof, measured, len({crop.study_id for crop in crops} - set(HELD_BACK)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["train", "evaluate", "pack"])
    parser.add_argument("data", type=Path, help="folder with axial_crops.csv, axial_crops/ and train.csv")
    parser.add_argument("runs", type=Path, help="folder of checkpoints, splits and networks")
    parser.add_argument("--kind", default="hybrid", choices=["hybrid", "vit"])
    parser.add_argument("--folds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--start", type=Path, help="folder of finished folds that initialise these, each with the same studies left out")
    parser.add_argument("--beside", type=Path, help="WORK of phantom_table.py, whose training studies are used as well")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, help="model folder that `pack` writes")
    return parser.parse_args()


def synthetic_crops(work: Path) -> "LabelledCrops":
    """The axial crops of the synthetic training studies in `work`."""
    from lumbar.severity.learn.studies.axial_crops import axial_crops  # noqa: PLC0415  (PyTorch: only to train)

    return axial_crops(from_store(open_store(work / "train_store_labels"), read_grades(work / "train" / "train.csv")))


def print_table(oof: OutOfFold, measured: dict[str, PartFigures]) -> None:
    studies, folds = len({crop.study_id for crop in oof.crops}), sorted(set(oof.folds.tolist()))
    print(f"{len(oof.crops)} crops of {studies} studies, graded out of fold (folds {folds})")
    names = [field.name for field in fields(PartFigures)]
    print(f"{'':<14}" + "".join(f"{name:>13}" for name in names))
    for part, values in measured.items():
        print(f"{part:<14}" + "".join(f"{value:>13}" if isinstance(value, int) else f"{value:>13.3f}" for value in asdict(values).values()))
    print(f"mean of left and right recess: {(measured['left recess'].loss + measured['right recess'].loss) / 2:.3f}")


def pack(arguments: argparse.Namespace, oof: OutOfFold, measured: dict[str, PartFigures], studies: int) -> None:
    from lumbar.severity.learn.axial.ensemble import write_ensemble  # noqa: PLC0415

    data = TrainingData(
        f"RSNA 2024 lumbar spine degenerative classification: axial crops of {studies} studies, cut by takanami12",
        "trained on RSNA 2024 data, non-commercial research only",
        f"each network was trained on about four fifths of the studies (folds {sorted(set(oof.folds.tolist()))}); study {HELD_BACK[0]} was left out",
    )
    with staged_folder(arguments.out, overwrite=False) as folder:
        write_ensemble(folder, arguments.runs, arguments.kind, oof, measured, (data,))
    print(f"{arguments.out}: {sum(path.stat().st_size for path in arguments.out.iterdir()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
