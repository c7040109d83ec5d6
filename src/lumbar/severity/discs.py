"""Discs of a plain mid-sagittal picture, which says nothing of its pixels' size."""

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.spine.segment import Network
from lumbar.spine.spine_map import SpineMap, map_spine

# Heights of view that are tried, the commonest first: a lumbar picture shows 24 to 36 cm from head to foot.
_VIEWS_MM = (290.0, 340.0, 245.0)
_GOOD_DISCS = 5
_SEEN = 0.6  # strength of a disc that was clearly seen


def map_picture(picture: NDArray[np.float32], network: Network, pixel_mm: float | None = None) -> SpineMap:
    """The spine in `picture` (rows head to foot, columns front to back), of pixels of `pixel_mm`, or of the size at which most discs are seen.

    Raises:
        InputError: no spine was found at any size.
    """
    sizes = [pixel_mm] if pixel_mm else [view / picture.shape[0] for view in _VIEWS_MM]
    found: list[tuple[float, SpineMap]] = []
    failure = ""
    for size in sizes:
        try:
            spine = _mapped(picture, size, network)
        except InputError as error:
            failure = str(error)
            continue
        clear = sum(not disc.inferred and disc.strength >= _SEEN for disc in spine.chain.discs)
        found.append((clear - len(spine.chain.doubts), spine))
        if clear >= _GOOD_DISCS and not spine.chain.doubts:
            break
    if not found:
        raise InputError(f"no lumbar spine was found in the picture ({failure}); is it mid-sagittal, head up, with the front to the left?")
    return max(found, key=lambda pair: pair[0])[1]


def _mapped(picture: NDArray[np.float32], pixel_mm: float, network: Network) -> SpineMap:
    grid = Grid(np.zeros((1, 3)), np.array([0, 0, -pixel_mm]), np.array([0, pixel_mm, 0]), *picture.shape)
    return map_spine(Volume(picture[None].astype(np.float32), grid), Plane.SAGITTAL, Weighting.T2, network)
