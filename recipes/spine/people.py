"""Trains the spine network that is shipped, on all labelled people, and one network for each third of the SPIDER patients that has not seen them.

    python recipes/spine/people.py ../shared/data --start runs/context/model1 --cache runs/refined/examples -o runs/people --leave-out none
    python recipes/spine/people.py ../shared/data --start runs/context/model1 --cache runs/refined/examples -o runs/people --leave-out 0     (1, 2)

`none`: the network of `context.py --inputs 1` is trained for 1,400 steps more on the readers' masks of all 30 SPIDER patients, the mid-sagittal T1 and T2
images of all SPIDER patients with its own pseudo-labels, the MyoSegmenTUM subjects of split.py and 36 phantoms, drawn 5 : 2 : 1 : 2. Written to
`spine-sagittal`; quantize.py makes the shipped 0.4.0 from it. No SPIDER patient is left to test it on, therefore:

`0`, `1`, `2`: the same network from random weights, for 2,400 steps on the readers' masks of the SPIDER patients of the two other folds and on the phantoms,
drawn 5 : 2, without pseudo-labels, which networks that know all patients have made. Written to `fold0` to `fold2`. Each sees two thirds of the patients and is
trained for less than half as long as the shipped one, so that its accuracy on the patients left out is a lower estimate. `evaluate.py --only folds` and
`measurements.py --only readers` with `--folds` print the figures.

20 to 40 minutes on one core each; an interrupted run resumes.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from context import SEED, cached_phantoms, export, show
from context_training import ContextModule, RandomStackViews
from refine import FIRST_SEED, MILD, MILDEST, SUBJECTS, load, save, weights
from split import FOLDS, patients_of_fold
from stacks import LabelledStack, single_stacks, space_stacks, subject_stacks
from torch.utils.data import DataLoader
from train import pseudo_labelled

from lumbar.models.card import TrainingData
from lumbar.models.folder import check_folder, write_card
from lumbar.models.registry import find_model
from lumbar.spine.learn.train import SpineTraining
from lumbar.spine.network import TASK, network_of
from lumbar.training.augment import AugmentOptions
from lumbar.training.examples import LabelledSlice
from lumbar.training.fit import FitOptions, fit, seed, steps_done

PHANTOMS = 36
NOBODY = "none"
SPACE_SHARE = 5


@dataclass(frozen=True)
class Plan:
    """One training: its sources as often as each is drawn, and its schedule."""

    sources: Sequence[Sequence[LabelledStack]]
    steps: int
    learning_rate: float
    augment: AugmentOptions
    seed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--start", type=Path, required=True, help="Folder of the 32-bit model of context.py.")
    parser.add_argument("--cache", type=Path, required=True, help="Folder `examples` of refine.py.")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--leave-out", choices=(NOBODY, *map(str, range(FOLDS))), required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    phantoms = cached_phantoms(arguments.output / "phantoms.npz", PHANTOMS)
    fold = None if arguments.leave_out == NOBODY else int(arguments.leave_out)
    plan = plan_of_everybody(arguments, phantoms) if fold is None else plan_of_fold(arguments.data, phantoms, fold)
    options = FitOptions(steps=plan.steps, threads=arguments.threads, seed=plan.seed, checkpoint_every=50, average_decay=0.995)
    config = SpineTraining(batch=4, learning_rate=plan.learning_rate, augment=plan.augment, fit=options)
    seed(options)
    module = ContextModule(config, inputs=1)
    if fold is None:
        module.load_state_dict(weights(arguments.start / "model.onnx"))
    name = "spine-sagittal" if fold is None else f"fold{fold}"
    run = arguments.output / f"run-{name}"
    views = RandomStackViews(plan.sources, config, False, steps_done(run))
    fit(module, DataLoader(views, batch_size=config.batch), run, options)
    folder = arguments.output / name
    export(module, arguments.start, folder, 1)
    if fold is None:
        write_card(folder, replace(check_folder(folder), training_data=training_data(plan)))


def training_data(plan: Plan) -> tuple[TrainingData, ...]:
    """What the network that is shipped has seen."""
    space, singles = plan.sources[0], plan.sources[SPACE_SHARE]
    images = f"{len(singles)} images of {len({s.patient for s in singles})} patients, pseudo-labelled"
    return (
        TrainingData("SPIDER T2 SPACE", "CC BY 4.0", f"{len(space)} patients; van der Graaf et al., Sci Data 2024;11:264. Posterior elements and the strip "
                     "of S1 were derived from the masks by rule"),
        TrainingData("SPIDER T1 and T2, near-mid-sagittal images", "CC BY 4.0", images),
        SUBJECTS,
        TrainingData("lumbar phantoms", "Apache-2.0", f"synthetic: sagittal T1 and T2 of {PHANTOMS} phantoms, seeds from {FIRST_SEED} on; the only source of "
                     "S1 below its strip, S2 and neural foramina"),
    )  # fmt: skip


def plan_of_everybody(arguments: argparse.Namespace, phantoms: list[LabelledStack]) -> Plan:
    space, subjects = space_stacks(arguments.data), subject_stacks(arguments.cache)
    singles = single_stacks(pseudo_labels(arguments.data, arguments.start, arguments.output / "midsagittal.npz"))
    show(space=space, singles=singles, subjects=subjects, phantoms=phantoms)
    return Plan([space] * SPACE_SHARE + [singles] * 2 + [subjects] + [phantoms] * 2, 1400, 6e-4, MILDEST, SEED + 1)


def plan_of_fold(data: Path, phantoms: list[LabelledStack], fold: int) -> Plan:
    space = space_stacks(data)
    unseen = patients_of_fold((s.patient for s in space), fold)
    space = [s for s in space if s.patient not in unseen]
    show(space=space, phantoms=phantoms)
    return Plan([space] * SPACE_SHARE + [phantoms] * 2, 2400, 2e-3, MILD, SEED + 2 + fold)


def pseudo_labels(data: Path, start: Path, path: Path) -> list[LabelledSlice]:
    """The mid-sagittal images of all SPIDER patients with pseudo-labels by the network in `start`, made once and kept in `path`."""
    if not path.exists():
        save(path, pseudo_labelled(data / "spider", network_of(find_model(TASK, start)), left_out=frozenset()))
    return load(path)


if __name__ == "__main__":
    main()
