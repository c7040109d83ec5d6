"""Inference with any muscle model: from an image to a mask."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.volume import Volume
from lumbar.errors import ModelError
from lumbar.models.folder import Model
from lumbar.muscle.axial import restore, to_axial
from lumbar.muscle.labels import LABELS
from lumbar.muscle.nnunet.runtime import Network, plan_from_card, predict_labels
from lumbar.muscle.postprocess import clean
from lumbar.muscle.segment import MuscleNetwork, Segmentation, segment

INPUT, OUTPUT = "image", "logits"
Progress = Callable[[int, int], None]


def run_model(model: Model, image: Volume, fat: Volume | None = None, keep: NDArray[np.bool_] | None = None, progress: Progress | None = None) -> Segmentation:
    """Labels of an axial `image`; `keep` (slices of `to_axial(image)`,) selects slices.

    Raises:
        InputError: the volume was not acquired in axial slices.
        GeometryError: water and fat do not match.
        ModelError: the labels of the model are not muscles, or its card is incomplete.
    """

    def network(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(model.run({INPUT: images})[OUTPUT], dtype=np.float32)

    if model.card.parameters.get("engine") != "nnunet":
        parameters = model.card.parameters
        withheld = tuple(int(label) for label in parameters.get("withheld", ()))
        own = MuscleNetwork(network, _pixel_mm(model), withheld, bool(parameters.get("both_ways", True)))
        return segment(image, own, fat, keep, progress)
    return _nnunet(model, network, image, keep)


def _pixel_mm(model: Model) -> float:
    try:
        return float(model.card.parameters["pixel_mm"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card of {model.folder} lacks the pixel size of the network ({error}); export the model again") from None


def _nnunet(model: Model, network: Network, image: Volume, keep: NDArray[np.bool_] | None) -> Segmentation:
    """Inference with an imported nnU-Net, which takes one contrast; a fat image is not used."""
    plan = plan_from_card(model.card.parameters)
    if not set(plan.labels) <= {0, *LABELS} or len(plan.normalization) != 1:
        raise ModelError(f"{model.folder} has the classes {', '.join(model.card.classes)}; it needs 1 to 4 for the four muscles, on one contrast")
    axial = to_axial(image)
    source = axial if model.card.parameters.get("orientation") == "axial" else image
    spacing = source.grid.spacing_mm
    found = Volume(predict_labels(np.asarray(source.array, np.float32)[None], (spacing[0] or 1.0, *spacing[1:]), network, plan), source.grid)
    labels = np.array(to_axial(found).array if source is image else found.array, np.uint8)
    if keep is not None:
        labels[~keep] = 0
    labels, warnings = clean(labels, axial.grid)
    return Segmentation(restore(labels, image), warnings)
