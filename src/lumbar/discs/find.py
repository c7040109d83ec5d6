"""Discs of a plain mid-sagittal image of unknown pixel size and orientation."""

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.spine.network import Network
from lumbar.spine.shape import outline
from lumbar.spine.spine_map import SpineMap, map_spine

# Candidate heights of the field of view, commonest first: a lumbar image shows 24 to 36 cm from head to foot.
_VIEWS_MM = (290.0, 340.0, 245.0)
_GOOD_DISCS = 5
_SEEN = 0.6  # strength of a clearly detected disc
_UPRIGHT_BEND = 0.5  # above this curvature the image is not tested upside down
_FEWEST_TILTS = 4


def map_image(image: NDArray[np.float32], network: Network, pixel_mm: float | None = None) -> SpineMap:
    """The spine in `image` (rows, columns front to back), with pixels of `pixel_mm`, or of the size at which most discs are detected.

    Upside-down images are flipped, so that the rows of the map always run from head to foot.

    Raises:
        InputError: no spine was found at any size in either orientation.
    """
    found: list[tuple[float, SpineMap]] = []
    failure = InputError("the image is empty")
    for way_up in (image, image[::-1]):
        try:
            spine = _at_best_size(way_up, network, pixel_mm)
        except InputError as error:
            failure = error
            continue
        found.append((upright_bend(spine), spine))
        if found[-1][0] >= _UPRIGHT_BEND:
            break
    if not found:
        raise failure
    return max(found, key=lambda pair: pair[0])[1]


def upright_bend(spine: SpineMap) -> float:
    """Quadratic term of the disc tilts from head to foot, in degrees per level squared.

    In an upright image the tilt of the discs increases ever faster towards the steep L5/S1, so that the quadratic term is positive; it is negative in
    an upside-down image, and independent of a rotation of the whole image. 0 with fewer than four clearly detected discs with an outline.
    """
    probability = spine.midplane.probabilities[SpineClass.DISC]
    tilts = {}
    for number, disc in enumerate(spine.chain.discs):
        shape = outline(spine.flat == 1 + number, probability) if disc.strength >= _SEEN else None
        if shape is not None:
            tilts[number] = shape.tilt_degrees
    if len(tilts) < _FEWEST_TILTS:
        return 0.0
    return float(np.polyfit(list(tilts), list(tilts.values()), 2)[0])


def _at_best_size(image: NDArray[np.float32], network: Network, pixel_mm: float | None) -> SpineMap:
    sizes = [pixel_mm] if pixel_mm else [view / image.shape[0] for view in _VIEWS_MM]
    found: list[tuple[float, SpineMap]] = []
    failure = ""
    for size in sizes:
        try:
            spine = _mapped(image, size, network)
        except InputError as error:
            failure = str(error)
            continue
        clear = sum(not disc.inferred and disc.strength >= _SEEN for disc in spine.chain.discs)
        found.append((clear - len(spine.chain.doubts), spine))
        if clear >= _GOOD_DISCS and not spine.chain.doubts:
            break
    if not found:
        raise InputError(f"no lumbar spine was found in the image ({failure}); check that it is mid-sagittal, with the front to the left")
    return max(found, key=lambda pair: pair[0])[1]


def _mapped(image: NDArray[np.float32], pixel_mm: float, network: Network) -> SpineMap:
    grid = Grid(np.zeros((1, 3)), np.array([0, 0, -pixel_mm]), np.array([0, pixel_mm, 0]), *image.shape)
    return map_spine(Volume(np.ascontiguousarray(image[None], dtype=np.float32), grid), Plane.SAGITTAL, Weighting.T2, network)
