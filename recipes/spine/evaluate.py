"""Every published figure of the spine model, on real cases that it was not trained on.

    python recipes/spine/evaluate.py ../shared/data [--model FOLDER] [--folds FOLDER] [--only rsna,vb3,vb,ivd,spider,spider_fine]

* `rsna`: the label coordinates of one RSNA 2024 study, put into patient space: nearest level along the spine, distance to the canal's centre.
* `vb3`: 25 MyoSegmenTUM subjects (Dixon water): named L1…L5 within 8 mm of the reference centre.
* `vb`: pathological series (Zukić 2014) and T2 series (Chu 2015): reference bodies that hold the centre of exactly one of our bodies.
* `ivd`: discs of Menezes-Reis 2016, correctly named if our centre of that level lies within 8 mm of the reference centre.
* `spider`: Dice and volume ratios on SPIDER T2 SPACE patients, of whole images and below the uppermost vertebra that the reader labelled, as readers left out
  vertebrae at the upper border. With `--folds` on all 30 (or those of the folds that exist), each with the network of people.py that has not seen it; with
  `--model` on the test patients of split.py. The packaged network has seen all of them.
* `spider_fine`: the same with images and masks resampled to pixels of 0.47 mm.
"""

import argparse
import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from reference_masks import spider_volumes
from split import TRAINING_SUBJECTS
from unseen import tested

from lumbar.datasets.spider import ignoring_unlabelled_top, read_space
from lumbar.domain.anatomy import LUMBAR, Level, SpineClass
from lumbar.domain.geometry import Points
from lumbar.domain.study import Plane, Role, Stack, Weighting
from lumbar.domain.volume import Volume
from lumbar.imaging.resample import resize_image, resized_grid
from lumbar.io.nifti import read_nifti
from lumbar.io.read import read_study
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.metrics.segmentation import dice
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.network import Network
from lumbar.spine.spine_map import SpineMap, map_spine, tissue_mask
from lumbar.training.examples import IGNORED

CLOSE_MM = 8.0
FINE_MM = 0.47
CLASSES = {"vertebra": (SpineClass.BODY, SpineClass.POSTERIOR), "disc": (SpineClass.DISC,), "canal": (SpineClass.CANAL,)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--folds", type=Path, help="Folder `-o` of people.py.")
    parser.add_argument("--only", default="rsna,vb3,vb,ivd,spider")
    arguments = parser.parse_args()
    networks = tested(arguments.data, arguments.model, arguments.folds)
    for name in arguments.only.split(","):
        if name in OF_NETWORK:
            OF_NETWORK[name](arguments.data, networks.network)
        elif networks.of_patient:
            OF_PATIENTS[name](arguments.data, networks.of_patient)
        else:
            parser.error("the packaged network has seen all SPIDER patients: give the networks of people.py with --folds, or leave out spider with --only")


def rsna(data: Path, network: Network) -> None:
    folder = next(p for p in sorted((data / "rsna2024" / "train_images").iterdir()) if p.is_dir())
    study = read_study(folder)
    with (data / "rsna2024" / "train_label_coordinates.csv").open(newline="") as file:
        labels = [row for row in csv.DictReader(file) if row["study_id"] == folder.name]
    for role in (Role.SAGITTAL_T2, Role.SAGITTAL_T1):
        series = study.with_role(role)[0]
        spine = map_spine(series.stacks[0].volume, series.plane, series.weighting, network)
        centres = {level.level: np.array(level.center_mm) for level in spine.finding.levels}
        canals = {level.level: np.array(level.canal_center_mm or level.center_mm) for level in spine.finding.levels}
        axis = centres[Level.L5_S1] - centres[Level.L1_L2]
        axis /= np.linalg.norm(axis)
        right, distances = 0, []
        for row in labels:
            stacks = [stack for s in study.series if s.series_uid.endswith(row["series_id"]) for stack in s.stacks]
            point = _label_point(stacks, row)
            level = Level(row["level"])
            right += min(centres, key=lambda k: abs((point - centres[k]) @ axis)) is level
            if row["condition"] == "Spinal Canal Stenosis":
                distances.append(float(np.linalg.norm(point - canals[level])))
        print(f"RSNA study, levels from {role.value}: {right} of {len(labels)} label coordinates nearest to their level; "
              f"canal points at {', '.join(f'{d:.1f}' for d in distances)} mm from our canal centre")  # fmt: skip


def _label_point(stacks: list[Stack], row: dict[str, str]) -> Points:
    stack = next(s for s in stacks if int(row["instance_number"]) in s.instance_numbers)
    number = stack.instance_numbers.index(int(row["instance_number"]))
    return stack.volume.grid.points_mm(np.array([number, float(row["y"]), float(row["x"])]))


def vb3(data: Path, network: Network) -> None:
    close, total, unsure = 0, 0, 0
    apart = {"trained on": [0, 0], "not trained on": [0, 0]}
    for path in sorted((data / "sagittal").glob("VB3_*_image.nii.gz")):
        spine, reference = _case(path, network)
        ours = {v.vertebra: np.array(v.center_mm) for v in spine.finding.vertebrae}
        unsure += not spine.names.numbering.confident
        misses = []
        for label, vertebra in enumerate(LUMBAR, start=1):
            centre = _centre(reference, label)
            if centre is None:
                continue
            total += 1
            distance = float(np.linalg.norm(centre - ours[vertebra])) if vertebra in ours else float("inf")
            close += distance <= CLOSE_MM
            own = apart["trained on" if path.name[:6] in TRAINING_SUBJECTS else "not trained on"]
            own[0], own[1] = own[0] + (distance <= CLOSE_MM), own[1] + 1
            if distance > CLOSE_MM:
                misses.append(f"{vertebra.value} {distance:.0f} mm")
        if misses:
            print(f"  {path.name}: {', '.join(misses)}; {spine.names.numbering.note}")
    print(f"VB3: {close} of {total} vertebrae correctly named within {CLOSE_MM:.0f} mm ({100 * close / total:.1f} %); numbering doubted in {unsure} series; "
          + ", ".join(f"{name} by refine.py: {right} of {count}" for name, (right, count) in apart.items()))  # fmt: skip


def vb(data: Path, network: Network) -> None:
    hit, total = 0, 0
    for path in sorted([*(data / "sagittal").glob("VB1_*_image.nii.gz"), *(data / "sagittal").glob("VB2_*_image.nii.gz")]):
        spine, reference = _case(path, network)
        counts = {int(label): 0 for label in np.unique(reference.array) if label > 0}
        for centre in _body_centres(spine):
            index = np.rint(reference.grid.indices(centre)).astype(int)
            if ((index >= 0) & (index < reference.grid.shape)).all() and int(reference.array[tuple(index)]) in counts:
                counts[int(reference.array[tuple(index)])] += 1
        hit += sum(count == 1 for count in counts.values())
        total += len(counts)
        wrong = {label: count for label, count in counts.items() if count != 1}
        if wrong:
            print(f"  {path.name}: hits other than one {wrong}")
        print(f"  {path.name}: numbering {'sure' if spine.names.numbering.confident else 'doubted: ' + spine.names.numbering.note}")
    print(f"VB1 + VB2: {hit} of {total} reference bodies hit by exactly one of ours ({100 * hit / total:.1f} %)")


def _body_centres(spine: SpineMap) -> list[Points]:
    centres = []
    for number in np.unique(spine.instances[spine.instances >= FIRST_BODY]):
        voxels = np.argwhere(spine.instances == number)
        centres.append(spine.segmentation.grid.points_mm(np.median(voxels, axis=0)))
    return centres


def ivd(data: Path, network: Network) -> None:
    right, total = 0, 0
    for path in sorted((data / "sagittal").glob("IVD_*_image.nii.gz")):
        spine, reference = _case(path, network)
        ours = {level.level: np.array(level.center_mm) for level in spine.finding.levels}
        for label, level in enumerate(reversed(Level), start=1):
            centre = _centre(reference, label)
            if centre is None:
                continue
            total += 1
            right += level in ours and float(np.linalg.norm(centre - ours[level])) <= CLOSE_MM
    print(f"IVD: {right} of {total} discs correctly named within {CLOSE_MM:.0f} mm")


def spider(data: Path, networks: Mapping[str, Network]) -> None:
    print_dice(_spider_cases(data, networks), networks)


def spider_fine(data: Path, networks: Mapping[str, Network]) -> None:
    cases = {}
    for patient, (image, truth) in _spider_cases(data, networks).items():
        _, row_mm, column_mm = image.grid.spacing_mm
        shape = round(image.grid.rows * row_mm / FINE_MM), round(image.grid.columns * column_mm / FINE_MM)
        grid = resized_grid(image.grid, shape)
        cases[patient] = Volume(np.stack([resize_image(s, shape) for s in image.array]), grid), Volume(_resampled(truth.array, shape), grid)
    print(f"pixels of {FINE_MM} mm:")
    print_dice(cases, networks)


def _spider_cases(data: Path, patients: Iterable[str]) -> dict[str, tuple[Volume, Volume]]:
    slices = ignoring_unlabelled_top(read_space(data / "spider" / "t2_space"))
    return {patient: spider_volumes([s for s in slices if s.patient == patient]) for patient in patients}


def _resampled(labels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Each slice with smooth borders: the label of the largest share."""
    values = np.unique(labels)
    return np.stack([values[np.argmax([resize_image((s == value).astype(np.float32), shape) for value in values], axis=0)] for s in labels])


def print_dice(cases: Mapping[str, tuple[Volume, Volume]], networks: Mapping[str, Network]) -> None:
    """Dice and volume ratio of image and reader's labels of each patient, with its network."""
    everywhere: dict[str, list[float]] = {name: [] for name in CLASSES}
    labelled: dict[str, list[float]] = {name: [] for name in CLASSES}
    ratios: dict[str, list[float]] = {name: [] for name in CLASSES}
    for patient, (image, truth) in cases.items():
        found = tissue_mask(map_spine(image, Plane.SAGITTAL, Weighting.T2, networks[patient])).array
        known = truth.array != IGNORED
        for value, (name, kinds) in enumerate(CLASSES.items(), start=1):
            reference, ours = np.isin(truth.array, kinds), found == value
            everywhere[name].append(dice(reference, ours) or 0.0)
            labelled[name].append(dice(reference, ours & known) or 0.0)
            ratios[name].append(np.count_nonzero(ours & known) / np.count_nonzero(reference))
        print(f"  SPIDER patient {patient}: " + ", ".join(f"{n} {everywhere[n][-1]:.3f} ({labelled[n][-1]:.3f}), volume {ratios[n][-1]:.2f}" for n in CLASSES))
    print(f"SPIDER, {len(cases)} patients not trained on, Dice: " + ", ".join(f"{n} {_mean(v)}" for n, v in everywhere.items()))
    spread = {n: f"{np.min(v):.2f} to {np.max(v):.2f}" for n, v in ratios.items()}
    print("  below the uppermost vertebra that the reader labelled: "
          + ", ".join(f"{n} {_mean(v)}, volume ratio {spread[n]}" for n, v in labelled.items()))  # fmt: skip


def _mean(values: Sequence[float]) -> str:
    mean = bootstrap_interval(lambda rows: float(np.mean(np.array(values)[rows])), np.arange(len(values)))
    return f"{mean.estimate:.3f} ({mean.low:.3f} to {mean.high:.3f}, lowest {np.min(values):.3f})"


def _case(path: Path, network: Network) -> tuple[SpineMap, Volume]:
    volume = read_nifti(path)
    reference = read_nifti(path.with_name(path.name.replace("_image", "_mask")))
    return map_spine(volume, Plane.SAGITTAL, Weighting.UNKNOWN, network), reference


def _centre(reference: Volume, label: int) -> Points | None:
    voxels = np.argwhere(reference.array == label)
    return reference.grid.points_mm(voxels.mean(axis=0)) if len(voxels) else None


OF_NETWORK = {"rsna": rsna, "vb3": vb3, "vb": vb, "ivd": ivd}
OF_PATIENTS = {"spider": spider, "spider_fine": spider_fine}

if __name__ == "__main__":
    main()
