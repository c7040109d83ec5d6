"""Compares spine networks structure by structure: on readers' masks near the midline and to the side, and on phantoms, with the classes of context.py.

    python recipes/spine/context_table.py ../shared/data shipped context/model1 context/model3 [--only spider,phantoms,points] [--phantoms 9]

* `spider`: Dice of the product's masks on the test and the validation patients of split.py, in the slices within 4 mm of the middle of the stack and further
  away, below the uppermost vertebra that the reader labelled; with the paired differences to the first network and their 95 % intervals over patients.
* `phantoms`: Dice of every class of the network, as it comes from the network, on phantoms of all sites that no network was trained on.
* `points`: distance of the ten foraminal labels of one RSNA 2024 study from the nearest pixel that the network calls a foramen, in the slice of the label.

`shipped` is the packaged network; since 0.4.0 it has seen all SPIDER patients, so that `spider` is no test of it. Other columns of
the comparison come from evaluate.py, measurements.py and numbering.py with `--model`.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from reference_masks import spider_volumes
from split import HELD_BACK_IN_STAGE_1, TEST_PATIENTS
from stacks import CLASSES, FORAMEN, UNSURE, LabelledStack, phantom_stacks

from lumbar.datasets.spider import ignoring_unlabelled_top, read_space
from lumbar.domain.anatomy import SpineClass
from lumbar.domain.study import Plane, Weighting
from lumbar.imaging.intensity import standardized
from lumbar.imaging.orient import to_sagittal
from lumbar.imaging.resample import resize_image
from lumbar.io.read import read_study
from lumbar.metrics.segmentation import dice
from lumbar.models.registry import find_model
from lumbar.spine.context import in_context, neighbour_step
from lumbar.spine.network import TASK, Network, SpineNetwork, network_of
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.spine_map import map_spine, tissue_mask
from lumbar.training.examples import IGNORED

STRUCTURES = {"vertebra": (SpineClass.BODY, SpineClass.POSTERIOR), "disc": (SpineClass.DISC,), "canal": (SpineClass.CANAL,)}
MIDDLE_MM, GAP_MM = 4.0, 2.0
FIRST_SEED = 76_000  # seeds that no other recipe uses
DIVISOR = 32

Table = dict[str, dict[str, float]]  # case → what was measured → value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--only", default="spider,phantoms,points")
    parser.add_argument("--phantoms", type=int, default=9)
    arguments = parser.parse_args()
    models = {name: find_model(TASK, None if name == "shipped" else Path(name), threads=1) for name in arguments.models}
    networks = {name: network_of(model) for name, model in models.items()}
    if "spider" in arguments.only:
        for title, patients in (("validation", HELD_BACK_IN_STAGE_1 - TEST_PATIENTS), ("test", TEST_PATIENTS)):
            show(f"SPIDER, {len(patients)} {title} patients", {name: spider(arguments.data, patients, network) for name, network in networks.items()})
    if "phantoms" in arguments.only:
        stacks = list(phantom_stacks(FIRST_SEED, arguments.phantoms))
        show(f"{arguments.phantoms} phantoms", {name: phantoms(stacks, network, models[name].card.classes) for name, network in networks.items()})
    if "points" in arguments.only:
        for name, network in networks.items():
            if CLASSES[FORAMEN] in models[name].card.classes:
                distances = points(arguments.data, network)
                print(
                    f"RSNA study, {name}: foraminal labels at {', '.join(f'{d:.1f}' for d in distances)} mm from a foramen, median {np.median(distances):.1f}"
                )


def spider(data: Path, patients: frozenset[str], network: Network) -> Table:
    slices = [s for s in ignoring_unlabelled_top(read_space(data / "spider" / "t2_space")) if s.patient in patients]
    table: Table = {}
    for patient in sorted(patients, key=int):
        image, truth = spider_volumes([s for s in slices if s.patient == patient])
        found = tissue_mask(map_spine(image, Plane.SAGITTAL, Weighting.T2, network)).array
        aside = np.abs(np.arange(len(found)) - (len(found) - 1) / 2) * GAP_MM
        known = truth.array != IGNORED
        table[patient] = {}
        for value, (name, kinds) in enumerate(STRUCTURES.items(), start=1):
            reference, ours = np.isin(truth.array, kinds), (found == value) & known
            for place, chosen in (("all", aside >= 0), ("middle", aside <= MIDDLE_MM), ("side", aside > MIDDLE_MM)):
                table[patient][f"{name}, {place}"] = dice(reference[chosen], ours[chosen]) or 0.0
            table[patient][f"{name}, volume ratio"] = np.count_nonzero(ours) / np.count_nonzero(reference)
    return table


def phantoms(stacks: list[LabelledStack], network: Network, classes: Sequence[str]) -> Table:
    table: Table = {}
    for stack in stacks:
        pairs: dict[str, list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]] = defaultdict(list)
        for k in stack.drawn:
            ours, truth = labels_of(stack, k, network), stack.labels[k]
            for kind, name in enumerate(classes[1:], start=1):
                known = ~np.isin(truth, (IGNORED, UNSURE) if kind >= len(SpineClass) else (IGNORED,))
                pairs[name].append((truth == kind, (ours == kind) & known))
        case = f"{stack.patient}, {stack.images.shape[1]} rows, {len(table)}"
        table[case] = {name: dice(np.stack([a for a, _ in masks]), np.stack([b for _, b in masks])) or 0.0 for name, masks in pairs.items()}
    return table


def labels_of(stack: LabelledStack, k: int, network: Network) -> NDArray[np.uint8]:
    """Classes of slice `k` on its own pixels, as the network gives them."""
    shape = tuple(round(n * stack.pixel_mm / PIXEL_MM) for n in stack.images.shape[1:])

    def image_of(number: int) -> NDArray[np.float32]:
        return standardized(resize_image(stack.images[number], (shape[0], shape[1])))

    apart_mm = network.apart_mm if isinstance(network, SpineNetwork) else None
    context = apart_mm is not None
    step = 0 if apart_mm is None else neighbour_step(apart_mm, stack.between_mm)
    channels = in_context(image_of, k, len(stack.images), step)[slice(None) if context else slice(1, 2)]
    padded = np.pad(channels, [(0, 0), *((0, -n % DIVISOR) for n in shape)], constant_values=float(channels.min()))
    padded[~channels.any(axis=(1, 2))] = 0
    logits = network(padded[None])[0, :, : shape[0], : shape[1]]
    rows, columns = stack.images.shape[1:]
    return np.stack([resize_image(own, (rows, columns)) for own in logits]).argmax(axis=0).astype(np.uint8)


def points(data: Path, network: Network) -> list[float]:
    """Distances in mm in the slices of the labels; infinite where the network finds no foramen in the slice."""
    folder = next(p for p in sorted((data / "rsna2024" / "train_images").iterdir()) if p.is_dir())
    with (data / "rsna2024" / "train_label_coordinates.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["study_id"] == folder.name and "Foraminal" in row["condition"]]
    found = []
    for series in read_study(folder).series:
        own = [row for row in rows if series.series_uid.endswith(row["series_id"])]
        for stack in series.stacks if own else []:
            turned = to_sagittal(stack.volume)
            between, pixel_mm, _ = turned.grid.spacing_mm
            images = np.asarray(turned.array, dtype=np.float32)
            slices = LabelledStack(folder.name, images, np.zeros(images.shape, np.uint8), pixel_mm, between, ())
            for row in own:
                place = stack.volume.grid.points_mm(np.array([stack.instance_numbers.index(int(row["instance_number"])), float(row["y"]), float(row["x"])]))
                k, y, x = turned.grid.indices(place)
                there = labels_of(slices, round(k), network) == FORAMEN
                away = np.argwhere(there) - (y, x)
                found.append(float(np.linalg.norm(away, axis=1).min(initial=np.inf)) * pixel_mm)
    return found


def show(title: str, tables: dict[str, Table]) -> None:
    first = next(iter(tables))
    for name, table in tables.items():
        for measure in next(iter(table.values())):
            values = {case: row[measure] for case, row in table.items()}
            text = f"{title}, {name}: {measure} {np.mean(list(values.values())):.3f} ({min(values.values()):.3f} to {max(values.values()):.3f})"
            if name != first and all(measure in row for row in tables[first].values()):
                text += f", {paired([values[case] - tables[first][case][measure] for case in values])}"
            print(text, flush=True)


def paired(differences: list[float], draws: int = 2000) -> str:
    """Mean difference with its bootstrap interval over cases."""
    rng = np.random.default_rng(0)
    means = rng.choice(differences, (draws, len(differences))).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return f"difference {np.mean(differences):+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    main()
