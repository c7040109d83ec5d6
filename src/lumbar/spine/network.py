"""A spine network and what its card says about its input and its classes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import AddedClass, SpineClass
from lumbar.models.folder import Model

# Images (batch, channels, rows, columns) of zero mean and unit variance → logits (batch, classes, rows, columns). There are three channels if the network
# is a `SpineNetwork` with neighbours, else one. The first classes are those of `SpineClass`.
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]

TASK = "spine"  # task on the model card
INPUT, OUTPUT = "pictures", "logits"
CONTEXT_MM = "neighbour_mm"  # parameter on the card of a model that sees three slices: distance of the neighbours


@dataclass(frozen=True)
class SpineNetwork:
    """A network with the meaning of its channels and of its further classes.

    With neighbours it takes images (batch, 3, rows, columns): the slice in the middle channel, between the slices about `apart_mm` before and after it.
    A channel of zeros stands for a slice that does not exist.
    """

    run: Network
    apart_mm: float | None = None  # distance of the neighbours; None: the network sees one slice
    added: tuple[AddedClass | None, ...] = ()  # meaning of the classes after those of `SpineClass`; None counts as background

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (batch, classes, rows, columns)."""
        return self.run(images)


def network_of(model: Model) -> SpineNetwork:
    """The network in a model folder of the task `TASK`. Its further classes are known by their names on the card."""

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(model.run({INPUT: images})[OUTPUT], dtype=np.float32)

    apart_mm = model.card.parameters.get(CONTEXT_MM)
    known = {kind.name.lower(): kind for kind in AddedClass}
    added = tuple(known.get(name) for name in model.card.classes[len(SpineClass) :])
    return SpineNetwork(run, None if apart_mm is None else float(apart_mm), added)
