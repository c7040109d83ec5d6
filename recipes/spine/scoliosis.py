"""Errors of measurements in curved spines and oblique stacks: by the sideways tilt and the axial turn of the discs against the slices.

    python recipes/spine/scoliosis.py [--model FOLDER] [--phantoms 12] [--only masks,oblique,network,oblique_network]

Measurements are taken in a section that follows the middle of the canal and is turned with the spine where its turn is sure. Phantoms with coronal curves of
20, 30 and 45° (and half as much axial rotation as tilt) show what errors remain:

* `masks`: measured from the exact masks of the slices: the error of the geometry alone.
* `oblique`: the same spines in stacks turned by 15° about the long axis and tilted by 10° to the side.
* `network`: measured from the network's masks of the straight stacks.
* `oblique_network`: the same of the oblique stacks.
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from measurements import NEAR_MM, SITES, values_of
from phantom_truth import measurements
from reference_masks import phantom_labels, segmentation_of

from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.models.registry import find_model
from lumbar.phantom import acquire as scanner
from lumbar.phantom.acquire import grid_of, lay_planes
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.build import build_anatomy, person_degeneration
from lumbar.phantom.canvas import Plane as PhantomPlane
from lumbar.phantom.population import sample_person
from lumbar.phantom.render import render_labels
from lumbar.phantom.sites import SeriesProtocol, Site, site
from lumbar.phantom.skeleton import frame_axes
from lumbar.spine.network import TASK, network_of
from lumbar.spine.segment import Segmentation, segment
from lumbar.spine.spine_map import map_segmentation

FIRST_SEED = 5900  # seeds that no training uses
CURVES_DEGREES = (20.0, 30.0, 45.0)
TURN_DEGREES, SIDE_DEGREES = 15.0, 10.0  # of oblique stacks
BINS_DEGREES = (0, 4, 8, 12, 40)
FIELDS = ("disc_height_mm", "canal_ap_mm", "slip_mm")
_ROLL_PER_TRAIT = 2.4  # degrees, in phantom/skeleton.py; the curve is twice the amplitude of the roll
AXES = {"tilt": 2, "turn": 1}  # axis of a disc whose angle to the slices it is
Errors = dict[tuple[str, str, int], list[float]]  # (field, tilt or turn, bin) → measured − true


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--phantoms", type=int, default=12)
    parser.add_argument("--only", default="masks,oblique,network,oblique_network")
    arguments = parser.parse_args()
    network = network_of(find_model(TASK, arguments.model, threads=1))
    for part in arguments.only.split(","):
        errors: Errors = defaultdict(list)
        for number in range(arguments.phantoms):
            anatomy, place, protocol = curved(number)
            if "network" in part:
                segmentation = segment(imaged(anatomy, place, protocol, oblique=part == "oblique_network"), network, Plane.SAGITTAL)
            else:
                segmentation = exact(anatomy, protocol, oblique=part == "oblique")
            add_errors(errors, anatomy, segmentation)
        show(part, errors)


def curved(number: int) -> tuple[Anatomy, Site, SeriesProtocol]:
    """A phantom with a coronal curve, and the sagittal T2 protocol of one of the sites."""
    person = sample_person(FIRST_SEED + number)
    traits = person.traits.copy()
    degrees = CURVES_DEGREES[number % len(CURVES_DEGREES)] * (1 if number % 2 else -1)
    traits[25], traits[26] = degrees / 2 / _ROLL_PER_TRAIT, 0.0
    person = replace(person, traits=traits)
    place = site(SITES[number % len(SITES)])
    return build_anatomy(person, person_degeneration(person)), place, next(p for p in place.series if p.role == "sagittal_t2")


def exact(anatomy: Anatomy, protocol: SeriesProtocol, oblique: bool) -> Segmentation:
    """The segmentation of a perfect network."""
    planes = list(lay_planes(anatomy, protocol, np.random.default_rng([anatomy.seed, 0, 0, 11]))[0])
    if oblique:
        planes = turned(planes)
    labels = np.stack([render_labels(anatomy, plane) for plane in planes])
    return segmentation_of(phantom_labels(Volume(labels, grid_of(planes))))


def imaged(anatomy: Anatomy, place: Site, protocol: SeriesProtocol, oblique: bool) -> Volume:
    """The sagittal T2 series of the phantom."""

    def laid(*arguments: Any) -> tuple[tuple[PhantomPlane, ...], tuple[int, ...]]:
        planes, blocks = lay_planes(*arguments)
        return tuple(turned(list(planes))) if oblique else planes, blocks

    with patch.object(scanner, "lay_planes", laid):
        return scanner.acquire(anatomy, place, protocol)["sagittal_t2"].volumes()[0]


def turned(planes: list[PhantomPlane]) -> list[PhantomPlane]:
    """The stack turned about its middle."""
    rotation = frame_axes(0.0, np.radians(SIDE_DEGREES), np.radians(TURN_DEGREES)).T
    corners = np.array([plane.origin_mm for plane in planes])
    half = (planes[0].rows - 1) / 2 * planes[0].row_step_mm + (planes[0].columns - 1) / 2 * planes[0].column_step_mm
    middle = corners.mean(axis=0) + half
    return [
        PhantomPlane(middle + rotation @ (plane.origin_mm - middle), rotation @ plane.row_step_mm, rotation @ plane.column_step_mm, plane.rows, plane.columns)
        for plane in planes
    ]


def add_errors(errors: Errors, anatomy: Anatomy, segmentation: Segmentation) -> None:
    try:
        finding = map_segmentation(segmentation, Plane.SAGITTAL, Weighting.T2).finding
    except InputError as error:
        print(f"seed {anatomy.seed}: {error}")
        return
    if any(np.linalg.norm(np.array(level.center_mm) - anatomy.disc(level.level.value).frame.center_mm) > NEAR_MM for level in finding.levels):
        print(f"seed {anatomy.seed}: left out, as a level lies more than {NEAR_MM:.0f} mm from its place")
        return
    found, truth = values_of(finding), measurements(anatomy)
    for name in FIELDS:
        for place, value in truth[name].items():
            if (name, place) in found and np.isfinite(value):
                for angle, axis in AXES.items():
                    errors[name, angle, bin_of(anatomy.disc(place).frame.axes[axis], segmentation.grid.normal)].append(found[name, place] - value)


def bin_of(axis: np.ndarray, normal: np.ndarray) -> int:
    """Bin of the angle between an axis and the slices."""
    degrees = np.degrees(np.arcsin(min(1.0, abs(float(axis @ normal)))))
    return int(np.searchsorted(BINS_DEGREES, degrees, side="right")) - 1


def show(part: str, errors: Errors) -> None:
    print(f"{part}: measured − true, by the tilt and by the turn against the slices")
    for name in FIELDS:
        for angle in AXES:
            for k, (low, high) in enumerate(pairwise(BINS_DEGREES)):
                away = np.array(errors[name, angle, k])
                if len(away) > 2:
                    bias, spread = away.mean(), 1.96 * away.std(ddof=1)
                    limits = f"limits {bias - spread:+.2f} to {bias + spread:+.2f}"
                    print(
                        f"  {name}, {angle} {low} to {high}°: bias {bias:+.2f}, {limits}, n = {len(away)}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
