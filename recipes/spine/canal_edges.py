"""How far the network's canal reaches beyond the dural sac of phantoms, in front and behind, at the discs L1/L2 to L4/L5.

    python recipes/spine/canal_edges.py [--model FOLDER] [--phantoms 4]

Phantoms label the dural sac alone. SPIDER's readers, from whom the network learned, label the canal. The edges are those along the line through the middle of
the disc, from front to back.
"""

import argparse
from pathlib import Path

import numpy as np
from measurements import scan
from scipy import ndimage

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.study import Plane, Weighting
from lumbar.models.registry import find_model
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.canvas import Plane as PhantomPlane
from lumbar.phantom.labels import CANAL
from lumbar.phantom.render import render_labels
from lumbar.spine.network import TASK, network_of
from lumbar.spine.spine_map import SpineMap, map_spine

DISCS = ("L1/L2", "L2/L3", "L3/L4", "L4/L5")
STEP_MM, LENGTH_MM, FROM_BACK_MM = 0.1, 40.0, -6.0  # of the line; it begins in the disc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--phantoms", type=int, default=4)
    arguments = parser.parse_args()
    network = network_of(find_model(TASK, arguments.model, threads=1))
    found = []
    for number in range(arguments.phantoms):
        study = scan(number)
        spine = map_spine(study.series["sagittal_t2"].volumes()[0], Plane.SAGITTAL, Weighting.T2, network)
        found += [edges for name in DISCS if (edges := edges_mm(study.anatomy, name, spine)) is not None]
    (front, back), spread = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
    print(f"beyond the dural sac: {front:.2f} mm in front (SD {spread[0]:.2f}), {back:.2f} mm behind (SD {spread[1]:.2f}), n = {len(found)}")


def edges_mm(anatomy: Anatomy, name: str, spine: SpineMap) -> tuple[float, float] | None:
    """Distance of the mask's front edge before that of the sac, and of its back edge behind that of the sac; None where either is missing."""
    disc = anatomy.disc(name)
    start = disc.frame.to_world(np.array([0.0, disc.half_depth_mm + FROM_BACK_MM, 0.0]))
    count = round(LENGTH_MM / STEP_MM)
    line = PhantomPlane(start, disc.frame.axes[1] * STEP_MM, disc.frame.axes[0] * STEP_MM, count, 1)
    sac = np.flatnonzero(render_labels(anatomy, line)[:, 0] == CANAL)
    index = spine.segmentation.grid.indices(start + np.arange(count)[:, None] * STEP_MM * disc.frame.axes[1])
    ours = np.flatnonzero(ndimage.map_coordinates(spine.midplane.probabilities[SpineClass.CANAL], index[:, 1:].T, order=1) > 0.5)
    if not len(sac) or not len(ours):
        return None
    return float(sac[0] - ours[0]) * STEP_MM, float(ours[-1] - sac[-1]) * STEP_MM


if __name__ == "__main__":
    main()
