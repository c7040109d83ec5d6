"""The exported age network: a crop encoder followed by a set network, run with ONNX Runtime.

They are two files so that occlusion of a region requires only the crops that show it to be encoded again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.age.crops import SliceSet
from lumbar.age.segments import SEGMENTS
from lumbar.errors import ModelError
from lumbar.models.folder import Model
from lumbar.models.runtime import Network

ENCODER, SET = "encoder.onnx", "set.onnx"
POSITION_UNIT_MM = 20.0  # of the network's input
_BATCH = 64  # crops at a time
_SEXES = {"F": 1.0, "M": -1.0}

Features = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Ages:
    """Outputs for a batch of sets."""

    segment_years: NDArray[np.float64]  # (n, segments) in the order of SEGMENTS
    features: NDArray[np.float64]  # (n, features) of the whole spine


class AgeEngine:
    """Runs both networks."""

    def __init__(self, model: Model) -> None:
        """Take a loaded model folder.

        Raises:
            ModelError: it does not hold the two networks.
        """
        names = sorted(name for name in model.card.files if name.endswith(".onnx"))
        if names != [ENCODER, SET]:
            raise ModelError(f"{model.folder} holds the networks {', '.join(names) or 'none'}; an age model has {ENCODER} and {SET}")
        self._encoder: Network = model.networks[0]
        self._set: Network = model.networks[1]

    def encode(self, crops: NDArray[np.float32]) -> Features:
        """(n, features) of crops (n, rows, columns)."""
        parts = [self._encoder.run({"crops": crops[k : k + _BATCH, None]})["described"] for k in range(0, len(crops), _BATCH)]
        return np.concatenate(parts)

    def describe(self, slices: SliceSet) -> Features:
        """(5, slices, features) of the crops of a study, zero where missing."""
        there = slices.present > 0
        found = self.encode(slices.images[there])
        described = np.zeros((*there.shape, found.shape[1]), dtype=np.float32)
        described[there] = found
        return described

    def ages(self, described: Features, slices: SliceSet, sex: str | None) -> Ages:
        """Ages of n versions (n, 5, slices, features) of one study's crops."""
        count = len(described)
        out = self._set.run(
            {
                "described": described,
                "position": np.broadcast_to(slices.position_mm / POSITION_UNIT_MM, (count, *slices.position_mm.shape)),
                "present": np.broadcast_to(slices.present, (count, *slices.present.shape)),
                "sex": np.full(count, sex_value(sex), dtype=np.float32),
            }
        )
        return Ages(out["ages"].astype(np.float64), out["features"][:, SEGMENTS.index("whole")].astype(np.float64))


def sex_value(sex: str | None) -> float:
    """The input value of the network for "F", "M" or unknown."""
    return _SEXES.get(sex or "", 0.0)
