"""Pseudo-labels: predictions of trained networks for slices without readers' masks, where the predictions for several views of a slice agree.

Readers outlined T1 at L4/L5 only; slices without masks add other levels to the training data (self-training, Xie et al. 2020). Test-time augmentation
with several magnifications and mirror images gives the mean prediction. Pixels with a low mean probability have no label, and slices on which the
predictions differ are left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.datasets.muscle_slices import UnlabelledSlice
from lumbar.imaging.intensity import standardized
from lumbar.imaging.resample import resize_image
from lumbar.muscle.labels import BACK
from lumbar.muscle.learn.grey_slices import PIXEL_MM, GreySlice, from_pseudo
from lumbar.muscle.learn.partial_labels import EXTRA, UNSURE
from lumbar.muscle.mirror_averaging import both_ways

FloatImage = NDArray[np.float32]
Labels = NDArray[np.uint8]
Network = Callable[[FloatImage], FloatImage]  # (rows, columns) of zero mean and unit variance → (1, classes, rows, columns) probabilities
_DIVISOR = 32  # of rows and columns that networks accept


@dataclass(frozen=True)
class PseudoLabelOptions:
    """Test-time augmentation, and which predictions are kept."""

    scales: tuple[float, ...] = (0.87, 1.0, 1.15)  # magnifications
    least_probability: float = 0.6  # of the mean prediction, from which a pixel is labelled
    least_agreement: float = 0.85  # Dice of each prediction and the mean prediction, in every back muscle
    least_mm2: float = 100.0  # area of every back muscle


def pseudo_labelled(
    slices: Iterable[UnlabelledSlice], networks: Sequence[Network], *, complete: bool, options: PseudoLabelOptions | None = None
) -> Iterator[GreySlice]:
    """The slices on which the predictions of `networks` agree, as training slices; psoas and vertebra are labelled only if `complete`."""
    chosen = options or PseudoLabelOptions()
    for one in slices:
        rows, columns = (round(n * one.pixel_mm / PIXEL_MM) for n in one.image.shape)
        image = resize_image(one.image, (rows, columns))
        labels = agreed_labels(predictions(image, networks, chosen.scales), complete=complete, options=chosen)
        if labels is not None:
            yield from_pseudo(one.patient, image, labels, complete)


def predictions(image: FloatImage, networks: Sequence[Network], scales: Sequence[float]) -> FloatImage:
    """(predictions, classes, rows, columns) probabilities of `image` (rows, columns) on pixels of `PIXEL_MM`, by network, scale and side."""
    found = []
    for scale in scales:
        scaled = resize_image(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)))
        for network in networks:
            for prediction in both_ways(_padded(standardized(scaled)), network):
                cut = prediction[:, : scaled.shape[0], : scaled.shape[1]]
                found.append(np.stack([resize_image(np.ascontiguousarray(plane, np.float32), (image.shape[0], image.shape[1])) for plane in cut]))
    return np.stack(found)


def agreed_labels(probabilities: FloatImage, *, complete: bool, options: PseudoLabelOptions) -> Labels | None:
    """Labels (rows, columns), `UNSURE` where the mean of `probabilities` (predictions, classes, rows, columns) is low; None if they differ too much."""
    if not complete:
        probabilities = probabilities.copy()
        probabilities[:, 0] += probabilities[:, list(EXTRA)].sum(axis=1)
        probabilities[:, list(EXTRA)] = 0
    mean = probabilities.mean(axis=0)
    labels = mean.argmax(axis=0).astype(np.uint8)
    each = probabilities.argmax(axis=1)
    for muscle in BACK:
        ours = labels == muscle
        if ours.sum() * PIXEL_MM**2 < options.least_mm2 or min(_dice(one == muscle, ours) for one in each) < options.least_agreement:
            return None
    labels[mean.max(axis=0) < options.least_probability] = UNSURE
    return labels


def _padded(image: FloatImage) -> FloatImage:
    """`image` with rows and columns added behind and at the patient's left, as dark as its darkest pixel, to a size that networks accept."""
    missing = [(0, -n % _DIVISOR) for n in image.shape]
    return np.pad(image, missing, constant_values=float(image.min()))


def _dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / max(1, one.sum() + other.sum()))
