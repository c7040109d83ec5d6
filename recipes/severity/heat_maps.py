"""Faithfulness of the heat maps of grades to the networks, on real axial crops labelled moderate or severe.

    python recipes/severity/heat_maps.py ../shared/data/rsna2024 [--crops 12]

Prints, as medians over crops and conditions (canal, recesses):
- agreement: correlation of the map of one network on one crop, as `analyze` makes it, with the mean over all networks, and with the map that the same
  network gives with the other levels of the study;
- randomised weights: correlation with the map of the same network with shuffled weights (near 0: the map depends on the learned weights);
- deletion: change of the log-odds of the score when the most important tenth of the crop is occluded, compared with random tenths and the least
  important tenth;
- sides: share of the importance on the recess's own half of the crop.

Some of the crops were used for training; the check is of the maps, not of the grades.
"""

import argparse
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from scipy import ndimage

from lumbar.datasets.axial_crops import AXIAL_CONDITIONS, AxialCrop, read_crop_table, read_image
from lumbar.domain.anatomy import Condition, Level, Severity
from lumbar.models.registry import find_model
from lumbar.models.runtime import Network
from lumbar.severity.axial.explain import hidden_by, importance, log_odds
from lumbar.severity.axial.grader import CROPS, LEVELS, LOGITS, STUDIES, TASK, CropGrader
from lumbar.severity.axial.network_input import network_input

PLACES = [tuple(Condition).index(condition) for condition in AXIAL_CONDITIONS]


class AmongOthers:
    """A network that processes each crop with the other crops of its study."""

    def __init__(self, network: Network, others: np.ndarray, levels: np.ndarray) -> None:
        self.network, self.others, self.levels = network, others, levels

    def run(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        count, more = len(inputs[CROPS]), len(self.others)
        crops = np.concatenate([inputs[CROPS], *([self.others] * count)])
        levels = np.concatenate([inputs[LEVELS], np.tile(self.levels, count)])
        studies = np.concatenate([np.arange(count), np.repeat(np.arange(count), more)])
        return {LOGITS: self.network.run({CROPS: crops, LEVELS: levels, STUDIES: studies})[LOGITS][:count]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="RSNA 2024 folder with axial_crops")
    parser.add_argument("--crops", type=int, default=12)
    parser.add_argument("--models", type=Path, help="model folder, or a folder of them, that comes first")
    arguments = parser.parse_args()
    images = arguments.data / "axial_crops"
    grader = CropGrader(find_model(TASK, arguments.models, 1))
    rows = [row for row in read_crop_table(arguments.data / "axial_crops.csv") if (images / row.file).is_file()]
    graded = [row for row in rows if any(g in (Severity.MODERATE, Severity.SEVERE) for g in row.grades.values())]
    chosen = [graded[k] for k in np.random.default_rng(0).permutation(len(graded))[: arguments.crops]]
    shuffled = with_networks(grader, [shuffled_network(sorted(grader.model.folder.glob("*.onnx"))[0])])
    found: dict[str, list[float]] = {}
    for row in chosen:
        beside = [other for other in rows if other.study_id == row.study_id and other.level is not row.level]
        for name, values in compare(row, beside, images, grader, shuffled).items():
            found.setdefault(name, []).extend(values)
    print(f"{len(chosen)} crops of {grader.model.card.name}")
    for name, values in found.items():
        print(f"{name:62s} median {statistics.median(values):6.2f}   lowest {min(values):6.2f}   highest {max(values):6.2f}")


def compare(row: AxialCrop, beside: list[AxialCrop], images: Path, grader: CropGrader, shuffled: CropGrader) -> dict[str, list[float]]:
    image = read_image(images / row.file)
    heat = importance(grader, image, row.level)
    everyone = np.mean([importance(with_networks(grader, [network]), image, row.level) for network in grader.model.networks], axis=0)
    random = importance(shuffled, image, row.level)
    found = {
        "correlation with the mean over all networks": correlations(heat, everyone),
        "overlap of the most important tenths with that": overlaps(heat, everyone),
        "correlation with the network of shuffled weights": correlations(heat, random),
        "overlap of the most important tenths with that ": overlaps(heat, random),
        "largest change of log-odds in the map": [float(heat[place].max()) for place in PLACES],
        "largest change of log-odds in the map of shuffled weights": [float(random[place].max()) for place in PLACES],
    }
    if beside:
        crops = np.stack([network_input(read_image(images / other.file)) for other in beside])
        levels = np.array([tuple(Level).index(other.level) for other in beside])
        whole = importance(with_networks(grader, [AmongOthers(grader.model.networks[0], crops, levels)]), image, row.level)
        found["correlation with the map among all levels of the study"] = correlations(heat, whole)
    half = heat.shape[-1] // 2
    left, right = heat[tuple(Condition).index(Condition.LEFT_SUBARTICULAR_STENOSIS)], heat[tuple(Condition).index(Condition.RIGHT_SUBARTICULAR_STENOSIS)]
    found["share of a recess's importance on its own half"] = [left[:, half:].sum() / left.sum(), right[:, :half].sum() / right.sum()]
    return found | deletion(grader, image, row.level, heat)


def deletion(grader: CropGrader, image: np.ndarray, level: Level, heat: np.ndarray) -> dict[str, list[float]]:
    """Change of the log-odds when a tenth of the crop is occluded, by surroundings and by bright tissue: the mean of both."""
    rng = np.random.default_rng(0)
    crop = network_input(image)
    before = log_odds(grader, crop[None], level)[0]
    found: dict[str, list[float]] = {"deletion, most important tenth": [], "deletion, a tenth at random": [], "deletion, least important tenth": []}
    for place in PLACES:
        blobs = [ndimage.gaussian_filter(rng.normal(size=heat[place].shape), 12) for _ in range(8)]
        masks = [tenth(heat[place]), *map(tenth, blobs), tenth(-heat[place])]
        changes = np.mean([np.abs(log_odds(grader, one, level)[:, place] - before[place]) for one in hidden_by(crop, np.stack(masks))], axis=0)
        for name, value in zip(found, (changes[0], changes[1:-1].mean(), changes[-1]), strict=True):
            found[name].append(float(value))
    return found


def tenth(values: np.ndarray) -> np.ndarray:
    """1 where `values` (rows, columns) are largest, over a tenth of the crop."""
    return (values >= np.quantile(values, 0.9)).astype(np.float32)


def correlations(one: np.ndarray, other: np.ndarray) -> list[float]:
    return [float(np.corrcoef(one[place].ravel(), other[place].ravel())[0, 1]) for place in PLACES]


def overlaps(one: np.ndarray, other: np.ndarray) -> list[float]:
    """Dice of the most important tenths; 0.1 is expected by chance."""
    return [float((tenth(one[place]) * tenth(other[place])).sum() / tenth(one[place]).sum()) for place in PLACES]


def with_networks(grader: CropGrader, networks: list[Any]) -> CropGrader:
    return CropGrader(replace(grader.model, networks=tuple(networks)))


def shuffled_network(path: Path) -> Network:
    """The network in `path` with the numbers within each weight in random order."""
    rng = np.random.default_rng(0)
    graph = onnx.load(path)
    for weight in graph.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype in (np.float32, np.float16, np.int8) and values.size > 16:
            weight.CopyFrom(numpy_helper.from_array(rng.permutation(values.ravel()).reshape(values.shape), weight.name))
    return Network(graph.SerializeToString(), f"{path}, shuffled", 1)


if __name__ == "__main__":
    main()
