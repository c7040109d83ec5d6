"""Where errors of slips on phantoms come from: the definition and the phantom's shape, or the network's masks.

    python recipes/spine/slip_causes.py [--model FOLDER] [--phantoms 18]

In each phantom of measurements.py the slip is taken from the geometry, measured from the exact masks, and measured from the network's masks. The difference
of the first two is due to the phantom and the definition, that of the last two to the network. Only levels that are measured from both masks count.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from measurements import scan
from phantom_truth import slip_mm
from reference_masks import phantom_labels, segmentation_of

from lumbar.domain.anatomy import Level
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.models.registry import find_model
from lumbar.phantom.acquire import grid_of, label_images
from lumbar.phantom.study import PhantomStudy
from lumbar.spine.network import TASK, Network, network_of
from lumbar.spine.segment import Segmentation, segment
from lumbar.spine.spine_map import map_segmentation

CAUSES = ("phantom and definition", "network", "together")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--phantoms", type=int, default=18)
    arguments = parser.parse_args()
    network = network_of(find_model(TASK, arguments.model, threads=1))
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for number in range(arguments.phantoms):
        study = scan(number)
        for level, values in slips(study, network).items():
            found[level.value].append(values)
            found["all"].append(values)
    for place, rows in sorted(found.items()):
        truth, exact, ours = np.array(rows).T
        errors = zip(CAUSES, (exact - truth, ours - exact, ours - truth), strict=True)
        text = ", ".join(f"{cause} {d.mean():+.2f} (SD {d.std(ddof=1):.2f})" for cause, d in errors)
        print(f"slip at {place}, n = {len(rows)}, true {truth.min():+.1f} to {truth.max():+.1f} mm, error in mm: {text}", flush=True)


def slips(study: PhantomStudy, network: Network) -> dict[Level, tuple[float, float, float]]:
    """Level → slip by geometry, from exact masks and from the network's masks, mm."""
    series = study.series["sagittal_t2"]
    image = series.volumes()[0]
    labels = phantom_labels(Volume(label_images(study.anatomy, series), grid_of(list(series.planes))))
    try:
        exact, ours = (measured(s) for s in (segmentation_of(labels, image), segment(image, network, Plane.SAGITTAL)))
    except InputError as error:
        print(f"seed {study.options.seed}: {error}")
        return {}
    return {level: (slip_mm(study.anatomy, level), exact[level], ours[level]) for level in exact.keys() & ours.keys()}


def measured(segmentation: Segmentation) -> dict[Level, float]:
    finding = map_segmentation(segmentation, Plane.SAGITTAL, Weighting.T2, Level.L5_S1).finding
    return {entry.level: entry.slip_mm for entry in finding.levels if entry.slip_mm is not None}


if __name__ == "__main__":
    main()
