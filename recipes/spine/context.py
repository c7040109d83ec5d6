"""Trains the spine network further, with and without the neighbouring slices, on the same views, and with classes that only phantoms label.

    python recipes/spine/context.py ../shared/data --start runs/refined/spine-sagittal --cache runs/refined/examples -o runs/context --inputs 3 [--steps 1200]

`--inputs 1` is the two-dimensional network, `--inputs 3` takes a slice and its neighbours about 4 mm to each side. Both start from the 32-bit model in
`--start` (the result of refine.py) and give its outputs at first. The sources, their shares and the patients left out are those of the last schedule of
refine.py, whose examples are in `--cache`; stacks.py has the added classes. About 30 minutes on one core for each; an interrupted run resumes.
context_table.py compares the two.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from context_training import ContextModule, RandomStackViews
from refine import MILDEST, PHANTOMS, weights
from refine import load as load_examples
from split import HELD_BACK_IN_STAGE_1
from stacks import CLASSES, NEIGHBOUR_MM, LabelledStack, phantom_stacks, single_stacks, space_stacks, subject_stacks
from torch.utils.data import DataLoader

from lumbar.models.card import TensorSpec
from lumbar.models.folder import check_folder, write_card
from lumbar.spine.learn.train import SpineTraining
from lumbar.spine.network import CONTEXT_MM, INPUT, OUTPUT
from lumbar.training.export import export_onnx
from lumbar.training.fit import FitOptions, fit, seed, steps_done

SEED = 20261201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--start", type=Path, required=True, help="Folder of the 32-bit model.")
    parser.add_argument("--cache", type=Path, required=True, help="Folder `examples` of refine.py.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--inputs", type=int, choices=(1, 3), required=True)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    options = FitOptions(steps=arguments.steps, threads=arguments.threads, seed=SEED, checkpoint_every=50, average_decay=0.995)
    config = SpineTraining(batch=4, learning_rate=8e-4, augment=MILDEST, fit=options)
    sources = training_sources(arguments.data, arguments.cache, arguments.output)
    seed(options)
    module = ContextModule(config, arguments.inputs)
    module.start_from(weights(arguments.start / "model.onnx"))
    run = arguments.output / f"inputs{arguments.inputs}"
    views = RandomStackViews(sources, config, arguments.inputs == 3, steps_done(run))
    fit(module, DataLoader(views, batch_size=config.batch), run, options)
    export(module, arguments.start, arguments.output / f"model{arguments.inputs}", arguments.inputs)


def training_sources(data: Path, cache: Path, output: Path) -> list[list[LabelledStack]]:
    """The sources of a training, each as often as it is drawn."""
    space = [s for s in space_stacks(data) if s.patient not in HELD_BACK_IN_STAGE_1]
    singles = [s for s in single_stacks(load_examples(cache / "midsagittal.npz")) if s.patient not in HELD_BACK_IN_STAGE_1]
    subjects = subject_stacks(cache)
    phantoms = cached_phantoms(output / "phantoms.npz", PHANTOMS)
    show(space=space, singles=singles, subjects=subjects, phantoms=phantoms)
    return [space] * 5 + [singles] * 2 + [subjects] + [phantoms] * 2


def cached_phantoms(path: Path, count: int) -> list[LabelledStack]:
    """Stacks of `count` phantoms, made once and kept in `path`."""
    if not path.exists():
        save(path, list(phantom_stacks(count=count)))
    return load(path)


def show(**sources: list[LabelledStack]) -> None:
    for name, stacks in sources.items():
        print(f"{name}: {sum(len(s.drawn) for s in stacks)} slices of {len({s.patient for s in stacks})} people", flush=True)


def export(module: ContextModule, start: Path, folder: Path, inputs: int) -> None:
    """Write the network with the card of the one that it was trained from."""
    folder.mkdir(parents=True, exist_ok=True)
    example = {INPUT: torch.randn(2, inputs, 320, 256, generator=torch.Generator().manual_seed(0))}
    difference = export_onnx(module.network, example, folder / "model.onnx", [OUTPUT], dynamic={INPUT: {0: "batch", 2: "rows", 3: "columns"}})
    card = check_folder(start)
    between = f"; in the middle channel, between the slices about {NEIGHBOUR_MM:.0f} mm before and after, or zeros"
    meaning = card.inputs[0].meaning + (between if inputs == 3 else "")
    write_card(
        folder,
        replace(
            card,
            version="0.4.0",
            inputs=(TensorSpec(INPUT, ("batch", inputs, "rows", "columns"), meaning),),
            outputs=(TensorSpec(OUTPUT, ("batch", len(CLASSES), "rows", "columns"), "logits of the classes"),),
            classes=CLASSES,
            results=(),
            parameters=dict(card.parameters) | ({CONTEXT_MM: NEIGHBOUR_MM} if inputs == 3 else {}),
            export_difference=difference,
        ),
    )


def save(path: Path, stacks: list[LabelledStack]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"images{k}": s.images.astype(np.uint16) for k, s in enumerate(stacks)} | {f"labels{k}": s.labels for k, s in enumerate(stacks)}
    arrays |= {f"drawn{k}": np.array(s.drawn) for k, s in enumerate(stacks)}
    sizes = np.array([(s.pixel_mm, s.between_mm) for s in stacks])
    np.savez(path, **arrays, patients=np.array([s.patient for s in stacks]), sizes=sizes)


def load(path: Path) -> list[LabelledStack]:
    with np.load(path) as file:
        return [
            LabelledStack(str(name), file[f"images{k}"].astype(np.float32), file[f"labels{k}"], float(pixel), float(between), tuple(file[f"drawn{k}"].tolist()))
            for k, (name, (pixel, between)) in enumerate(zip(file["patients"], file["sizes"], strict=True))
        ]


if __name__ == "__main__":
    main()
