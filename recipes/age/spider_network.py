"""The network trained on synthetic people, tested on 30 real ones, before and after fine-tuning (SPIDER, T2 SPACE, CC BY 4.0).

    python recipes/age/spider_network.py ../shared/data/spider WORK           # WORK as of recipes/age/phantom.py, which trained the network
    python recipes/age/spider_network.py ../shared/data/spider WORK --steps 120

Discs are found by the spine model (which was trained on masks of these patients, so its positions are better than on new patients; it was not
trained on ages). Rows: the median age of the others; the network alone; with a straight line through the others' predictions; fine-tuned on the others, in
folds by person. All results are out-of-fold: no row is fitted on the people it is evaluated on. Thirty people cannot
distinguish a good age model from a mediocre one: rely on the intervals.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from phantom import SHIPPED, trained, training
from phantom_cohort import OPTIONS, middle_slices
from PIL import Image

from lumbar.age.crops import cut_slices
from lumbar.age.extract_crops import spine_finder
from lumbar.age.learn.augment import AgeAugmentOptions
from lumbar.age.learn.train import held_out, train
from lumbar.age.learn.training_run import table_of
from lumbar.age.segments import WHOLE
from lumbar.age.store import CropStore, Subject, open_store, wide, write_store
from lumbar.datasets.age_split import subject_folds
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.regression import pearson
from lumbar.models.card import Result, read_card
from lumbar.models.folder import write_card
from lumbar.models.registry import find_model
from lumbar.spine.network import TASK, network_of

PIXEL_MM, STEP_MM = 0.625, 2.0
Array = NDArray[np.float64]


def volumes(spider: Path) -> list[tuple[Subject, Volume]]:
    """Stacks of the patients whose age is known, in the order of the slice numbers (their left and right are not known)."""
    with (spider / "overview.csv").open() as file:
        people = {row["new_file_name"].split("_")[0]: row for row in csv.DictReader(file) if row["age_years"]}
    found = []
    for patient in sorted(people, key=int):
        paths = sorted((spider / "t2_space" / "images").glob(f"{patient}_*.webp"), key=lambda path: int(path.stem.split("slice")[-1]))
        if paths:
            array = np.stack([np.asarray(Image.open(path).convert("L"), dtype=np.float32) for path in paths])
            origins = np.outer((np.arange(len(paths)) - (len(paths) - 1) / 2) * STEP_MM, [1.0, 0, 0])
            grid = Grid(origins, np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), *array.shape[1:])
            row = people[patient]
            found.append((Subject(patient, "SPIDER", row["sex"], float(row["age_years"]), "0"), Volume(array, grid)))
    return found


def gathered(spider: Path, work: Path) -> CropStore:
    folder = work / "spider"
    if (folder / "people.npz").exists():
        return open_store(folder, OPTIONS)
    finder = spine_finder(network_of(find_model(TASK, threads=1)))

    def studies():  # type: ignore[no-untyped-def]
        for subject, volume in volumes(spider):
            try:
                yield subject, cut_slices(volume, finder(middle_slices(volume), Weighting.T2, ""), wide(OPTIONS))
            except InputError as error:
                print(f"patient {subject.subject} left out: {error}")

    return write_store(folder, studies(), 60, OPTIONS)


def with_line(predicted: Array, age: Array) -> Array:
    """Each person's prediction after linear calibration on the others."""
    result = np.empty(len(age))
    for k, keep in enumerate(~np.eye(len(age), dtype=bool)):
        slope, offset = np.polyfit(predicted[keep], age[keep], 1)
        result[k] = slope * predicted[k] + offset
    return result


def fine_tuned(work: Path, store: CropStore, folds: int, steps: int) -> Array:
    network, config = trained(work, SHIPPED), training(SHIPPED, steps)
    # Real images vary in more than the phantom's: the usual changes of grey values.
    config = replace(config, augment=AgeAugmentOptions(), learning_rate=2e-4, people_per_batch=min(24, len(store)), segment_weight=0.25)
    fold = subject_folds(table_of(store), folds, 0)
    result = np.empty(len(store))
    for number in range(folds):
        folder = work / "runs" / f"spider-{steps}-{number}"
        tuned = train(store.rows(fold != number), folder, config, start_from=network.state_dict())
        result[fold == number] = held_out(tuned, store.rows(fold == number)).segment_years[WHOLE]
    return result


def show(name: str, predicted: Array, guessed: Array, age: Array) -> Result:
    people = np.arange(len(age))
    mae = bootstrap_interval(lambda r: float(np.abs(predicted - age)[r].mean()), people, 4000)
    gain = bootstrap_interval(lambda r: float((np.abs(predicted - age) - np.abs(guessed - age))[r].mean()), people, 4000)
    correlation = pearson(age, predicted) if np.ptp(predicted) > 0 else float("nan")
    error = f"mean absolute error {mae.estimate:5.2f} ({mae.low:.2f} to {mae.high:.2f})"
    against = f"minus guess {gain.estimate:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})"
    print(f"{name:36s}{error}   {against}   r {correlation:+.2f}   bias {np.mean(predicted - age):+.1f}")
    where = f"{len(age)} real people (SPIDER, T2 SPACE); minus guessing {gain.low:+.1f} to {gain.high:+.1f}"
    return Result(f"age: {name}", "mae_years", round(mae.estimate, 2), where, (round(mae.low, 1), round(mae.high, 1)), headline="line" not in name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spider", type=Path, help="folder with overview.csv and t2_space/")
    parser.add_argument("work", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=120, help="of fine-tuning, in each fold")
    parser.add_argument("--card", type=Path, metavar="MODEL", help="put the figures of the weights as they are on the card of this model folder")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    store = gathered(arguments.spider, arguments.work)
    age = store.age_years.astype(np.float64)
    print(f"{len(age)} real people, {age.min():.0f} to {age.max():.0f} years; weights: {SHIPPED}, synthetic people only")
    guessed = np.array([np.median(age[keep]) for keep in ~np.eye(len(age), dtype=bool)])
    alone = held_out(trained(arguments.work, SHIPPED), store).segment_years[WHOLE]
    results = [show("median age of the others", guessed, guessed, age)]
    results.append(show("phantom weights alone", alone, guessed, age))
    results.append(show("phantom weights and a line", with_line(alone, age), guessed, age))
    show(f"fine-tuned, {arguments.folds} folds of {arguments.steps} steps", fine_tuned(arguments.work, store, arguments.folds, arguments.steps), guessed, age)
    if arguments.card:
        card = read_card(arguments.card)
        kept = tuple(result for result in card.results if "real people" not in result.data)
        write_card(arguments.card, replace(card, results=(*kept, *results)))


if __name__ == "__main__":
    main()
