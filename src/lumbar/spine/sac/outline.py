"""The outline of the dural sac in a square patch of an axial slice."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.special import softmax

from lumbar.imaging.intensity import standardized
from lumbar.metrics.segmentation import dice
from lumbar.models.folder import Model

TASK = "dural_sac"  # task on the model card
INPUT, OUTPUT = "images", "logits"
PIXEL_MM = 0.5
SIZE = 96  # pixels of a patch: 48 mm
CLASSES = ("background", "dural_sac", "column", "posterior_elements")
_SAC = CLASSES.index("dural_sac")

_FARTHEST_MM = 8.0  # from the middle of the patch to the nearest pixel of the sac
_PLAUSIBLE_MM2 = (15.0, 420.0)
# An outline that misses one of these limits is not reliable. They were chosen on crops of RSNA 2024, of which about 80 were looked at: in severe stenosis
# outlines beyond them follow the ligamentum flavum or the fat behind the sac (recipes/spine/dural_sac.py).
_LEAST_PROBABILITY = 0.8  # mean over the outlined pixels
_LEAST_AGREEMENT = 0.75  # Dice between the outlines of the image and of its mirror image
_LEAST_SOLIDITY = 0.88  # area / area of the convex hull
_ASIDE_MM = 4.0  # of the middle of the outline, to either side
_LEAST_CONTRAST = 1.6  # median inside / median around: fluid is bright on T2; 98 % of real sacs without stenosis exceed 2.1, 95 % of those of phantoms 1.63
_RING_MM = (0.5, 3.0)  # distance from the outline of what is around it

# Images (batch, 1, rows, columns) of zero mean and unit variance → logits (batch, classes, rows, columns).
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Sac:
    """The dural sac in one slice."""

    mask: NDArray[np.bool_]  # (rows, columns) of the patch
    pixel_mm: float
    probability: float  # mean over the mask
    agreement: float  # Dice between the outlines of the image and of its mirror image
    contrast: float  # median inside / median in a ring around

    @property
    def area_mm2(self) -> float:
        """Area in the plane of the slice."""
        return float(self.mask.sum()) * self.pixel_mm**2

    @property
    def reliable(self) -> bool:
        """Whether the outline has the shape, place and brightness of a sac, and the network is certain of it."""
        edge = self.mask[[0, -1]].any() or self.mask[:, [0, -1]].any()
        certain = self.probability >= _LEAST_PROBABILITY and self.agreement >= _LEAST_AGREEMENT and self.contrast >= _LEAST_CONTRAST
        return bool(not edge and certain and _PLAUSIBLE_MM2[0] <= self.area_mm2 <= _PLAUSIBLE_MM2[1] and self._compact())

    def _compact(self) -> bool:
        """Whether the outline is nearly convex, and in the middle."""
        pixels = np.argwhere(self.mask)
        corners = np.concatenate([pixels + corner for corner in ((0, 0), (0, 1), (1, 0), (1, 1))])
        aside_mm = abs(pixels[:, 1].mean() - (self.mask.shape[1] - 1) / 2) * self.pixel_mm
        return bool(len(pixels) / ConvexHull(corners).volume >= _LEAST_SOLIDITY and aside_mm <= _ASIDE_MM)


def network_of(model: Model) -> Network:
    """The network in a model folder of the task `TASK`."""

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(model.run({INPUT: images})[OUTPUT], dtype=np.float32)

    return run


def outline_sacs(patches: NDArray[np.float32], network: Network, pixel_mm: float = PIXEL_MM) -> list[Sac | None]:
    """The sac in each patch (n, rows, columns), with mirror test-time augmentation; None where none lies near the middle.

    Rows run from front to back and columns from the patient's right to the left, with `pixel_mm` pixels; the canal is in the middle.
    """
    if not len(patches):
        return []
    images = np.stack([standardized(patch) for patch in patches])
    plain, mirrored = _probabilities(network, images), _probabilities(network, images[:, :, ::-1])[:, :, ::-1]
    return [_sac(*one, pixel_mm) for one in zip(patches, plain, mirrored, strict=True)]


def _probabilities(network: Network, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, rows, columns) probability of the sac."""
    return np.asarray(softmax(network(np.ascontiguousarray(images[:, None])), axis=1)[:, _SAC])


def _sac(patch: NDArray[np.float32], plain: NDArray[np.float32], mirrored: NDArray[np.float32], pixel_mm: float) -> Sac | None:
    probability = np.asarray((plain + mirrored) / 2, dtype=np.float32)
    mask = _central(probability, pixel_mm)
    if mask is None:
        return None
    single = [_central(one, pixel_mm) for one in (plain, mirrored)]
    agreement = dice(single[0], single[1]) if single[0] is not None and single[1] is not None else None
    away_mm = ndimage.distance_transform_edt(~mask) * pixel_mm
    around = float(np.median(patch[(away_mm > _RING_MM[0]) & (away_mm <= _RING_MM[1])]))
    return Sac(mask, pixel_mm, float(probability[mask].mean()), agreement or 0.0, float(np.median(patch[mask])) / max(around, 1e-6))


def _central(probability: NDArray[np.float32], pixel_mm: float) -> NDArray[np.bool_] | None:
    """The largest component near the middle, its holes filled."""
    parts, count = ndimage.label(probability > 0.5)
    if not count:
        return None
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in probability.shape)
    numbers = np.arange(1, count + 1)
    nearest_mm = np.asarray(ndimage.minimum(np.hypot(rows[:, None], columns[None]), parts, numbers)) * pixel_mm
    sizes = np.where(nearest_mm <= _FARTHEST_MM, np.bincount(parts.ravel())[1:], 0)
    return np.asarray(ndimage.binary_fill_holes(parts == 1 + np.argmax(sizes))) if sizes.any() else None
