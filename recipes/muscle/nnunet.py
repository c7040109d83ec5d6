"""nnU-Net v2 in the same table as our network: both trained on the same half of the people, both measured on the other half.

    python recipes/muscle/nnunet.py ../shared/data OUT --half 0 [--epochs 30] [--iterations 50] [--evaluate] [--every 1] [--beside MODEL]

Writes folders of the T1 and T2 slices of one half (links), trains nnU-Net's 2-D network on them with `lumbar train muscle --engine nnunet` (AdamW, tiles of
192 × 256 pixels, 4 a step, without mirroring) and imports it as OUT/nnunet<half>. `--evaluate` only prints `reader_masks.py` for a network that is there;
`--beside` prints it for our network of that half, too. An interrupted training resumes, and one with fewer epochs is continued.
nnU-Net's own length is 1000 epochs of 250 steps; the epochs of this run are on the card and in the table.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lumbar.datasets.muscle_slices import half_of, read_muscle_t1, read_muscle_t2

PATCH, BATCH, RATE = (192, 256), 4, 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--half", type=int, choices=(0, 1), default=0)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--iterations", type=int, default=50, help="steps of an epoch")
    parser.add_argument("--evaluate", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="measure every n-th person only")
    parser.add_argument("--beside", type=Path, help="model folder of our network of that half")
    options = parser.parse_args()
    model = options.out / f"nnunet{options.half}"
    if not options.evaluate:
        train(model, list(half_folders(options.data, options.out / f"people{options.half}", options.half)), options)
    for each in (model, *([options.beside] if options.beside else [])):
        table = Path(__file__).with_name("reader_masks.py")
        run([str(table), str(options.data), "--models", str(each), "--half", str(options.half), "--every", str(options.every)])


def half_folders(data: Path, out: Path, half: int) -> Iterator[Path]:
    """Folders of the slices of one half of the people, with links to the files."""
    for name, slices in (("muscle_t1", read_muscle_t1), ("muscle_t2", read_muscle_t2)):
        found = list(slices(data / name))
        training = half_of([one.patient for one in found], half)
        for part in ("images", "masks"):
            (out / name / part).mkdir(parents=True, exist_ok=True)
        shutil.copy(data / name / "table.csv", out / name / "table.csv")
        for one in found:
            if one.patient in training:
                for file in (f"images/{one.name}.webp", f"masks/{one.name}.png"):
                    link = out / name / file
                    link.unlink(missing_ok=True)
                    link.symlink_to((data / name / file).resolve())
        yield out / name


def train(model: Path, folders: list[Path], options: argparse.Namespace) -> None:
    """Run `lumbar train muscle --engine nnunet`, which resumes from the work folder beside `model`."""
    patch = [word for size in PATCH for word in ("--patch", str(size))]
    length = ["--epochs", str(options.epochs), "--iterations", str(options.iterations), "--batch", str(BATCH), "--learning-rate", str(RATE)]
    name = f"nnunet-2d-{options.epochs}-epochs-of-{options.iterations}"
    words = [*map(str, folders), "-o", str(model), "--engine", "nnunet", *patch, *length, "--threads", "1", "--name", name, "--overwrite"]
    run(["-c", "from lumbar.cli.main import main; main()", "train", "muscle", *words])


def run(words: list[str]) -> None:
    subprocess.run([sys.executable, *words], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
