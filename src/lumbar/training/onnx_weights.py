"""Weights of a PyTorch network from its exported ONNX graph, to continue a training whose checkpoints are gone."""

from pathlib import Path

import numpy as np
import torch

_HALF, _WHOLE, _SCALE = "_half", "_whole", "_scale"  # suffixes of weights stored as 16-bit floats and as 8-bit whole numbers (see `export`, `eight_bit`)


def load_exported(network: torch.nn.Module, path: Path) -> None:
    """Copy the weights of the graph in `path`, an export of a network like `network`, into it.

    Counters of batch normalization, which an export lacks, are kept.

    Raises:
        KeyError: the graph lacks a weight of the network, for example because the export merged batch normalization into convolutions.
        RuntimeError: a weight has another shape.
    """
    import onnx  # noqa: PLC0415
    from onnx import numpy_helper  # noqa: PLC0415

    stored = {weight.name: np.array(numpy_helper.to_array(weight)) for weight in onnx.load(str(path)).graph.initializer}
    state = network.state_dict()
    for name, value in state.items():
        if not value.dtype.is_floating_point:
            continue
        if name + _WHOLE in stored:
            array = stored[name + _WHOLE].astype(np.float32) * stored[name + _SCALE]
        else:
            array = stored[name + _HALF] if name + _HALF in stored else stored[name]
        state[name] = torch.from_numpy(array.astype(np.float32))
    network.load_state_dict(state)
