"""From a trained age network to a model folder (needs lumbar[train])."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lumbar.age.engine import ENCODER, SET
from lumbar.age.learn.network import AgeNetwork, AgeNetworkOptions
from lumbar.age.occlusion_baseline import FILE
from lumbar.training.export import export_onnx

_TOLERANCE = 0.05  # years, and units of a feature: the error of 16-bit weights


def export_networks(network: AgeNetwork, folder: Path) -> float:
    """Write both networks into `folder`, weights as 16-bit floats, and return the largest |ONNX − PyTorch| over ages (years) and features.

    Raises:
        ModelError: they differ.
    """
    network = network.cpu().eval().float()
    generator = torch.Generator().manual_seed(0)
    options: AgeNetworkOptions = network.options
    people, slices = 2, 3
    crops = torch.rand(people * 5 * slices, 1, options.rows, options.columns, generator=generator)
    encoder = export_onnx(network.encoder, {"crops": crops}, folder / ENCODER, ["described"], dynamic={"crops": {0: "crops"}}, tolerance=_TOLERANCE, half=True)
    present = torch.ones(people, 5, slices)
    present[0, 1, 2:] = 0
    sets = {
        "described": torch.randn(people, 5, slices, options.features, generator=generator),
        "position": torch.rand(people, 5, slices, generator=generator) * 2 - 1,
        "present": present,
        "sex": torch.tensor([1.0, -1.0]),
    }
    axes = {name: {0: "people"} if name == "sex" else {0: "people", 2: "slices"} for name in sets}
    names = ["ages", "outputs", "features"]
    return max(encoder, export_onnx(network.set, sets, folder / SET, names, dynamic=axes, tolerance=_TOLERANCE, half=True))


def write_baseline(crops: NDArray[np.float32], folder: Path) -> None:
    """Write the occlusion baseline (groups, levels, places, rows, columns) beside the networks, as 16-bit floats."""
    np.save(folder / FILE, crops.astype(np.float16), allow_pickle=False)
