"""Export of a trained PyTorch module to ONNX, with a check that both give the same output."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lumbar.errors import ModelError


def export_onnx(
    module: torch.nn.Module,
    example: Mapping[str, torch.Tensor],
    path: Path,
    outputs: Sequence[str],
    *,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    tolerance: float = 1e-3,
    half: bool = False,
) -> float:
    """Write `module` to `path` and return the largest |ONNX − PyTorch| over its outputs for `example`.

    Args:
        module: called with the tensors of `example` by position, in their order; gives one tensor or a tuple of them.
        example: input name → tensor; the axes in `dynamic` need a length above 1.
        path: of the ONNX file.
        outputs: names of the outputs in order.
        dynamic: input name → {axis: word}; the same word means the same length.
        tolerance: largest allowed difference.
        half: store weights as 16-bit floats, which are widened again on loading: half the size, arithmetic still in 32 bits.

    Raises:
        ModelError: an axis that should vary came out fixed, or the two differ by more than `tolerance`.
    """
    module = module.eval().float()
    names = {word for axes in (dynamic or {}).values() for word in axes.values()}
    dims = {word: torch.export.Dim(word) for word in names}
    shapes = tuple({axis: dims[word] for axis, word in (dynamic or {}).get(name, {}).items()} for name in example)
    program = torch.onnx.export(
        module,
        tuple(example.values()),
        input_names=list(example),
        output_names=list(outputs),
        dynamic_shapes=shapes if dynamic else None,
        dynamo=True,
        verbose=False,
        external_data=False,
    )
    if program is None:  # only with the old exporter
        raise ModelError("PyTorch gave back no ONNX program; use PyTorch 2.6 or newer")
    unchecked = path.with_suffix(".unchecked")  # only a file that passed the checks gets the name
    program.save(str(unchecked), external_data=False)
    _check_axes(unchecked, dynamic or {})
    if half:
        halve_weights(unchecked)
    difference = _difference(module, example, unchecked)
    if not difference <= tolerance:
        raise ModelError(f"{path} differs from the trained network by {difference:.2g}, allowed is {tolerance:.2g}; the export cannot be trusted")
    unchecked.replace(path)
    return difference


def _check_axes(path: Path, dynamic: Mapping[str, Mapping[int, str]]) -> None:
    """The exporter may silently fix the length of an axis that should vary."""
    import onnx  # noqa: PLC0415

    for given in onnx.load(str(path), load_external_data=False).graph.input:
        for axis in dynamic.get(given.name, {}):
            size = given.type.tensor_type.shape.dim[axis]
            if not size.dim_param:
                raise ModelError(f"axis {axis} of {given.name} became fixed at {size.dim_value} on export; something in the module depends on its length")


def halve_weights(path: Path) -> None:
    """Store the 32-bit weights of the graph in `path` as 16-bit floats, each behind a cast back to 32 bits."""
    import onnx  # noqa: PLC0415
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    model = onnx.load(str(path))
    kept, casts = [], []
    for weight in model.graph.initializer:
        array = numpy_helper.to_array(weight)
        if array.dtype != np.float32 or array.size < 64 or np.abs(array).max() > 6e4:
            kept.append(weight)
            continue
        kept.append(numpy_helper.from_array(array.astype(np.float16), f"{weight.name}_half"))
        casts.append(helper.make_node("Cast", [f"{weight.name}_half"], [weight.name], to=TensorProto.FLOAT, name=f"widen_{weight.name}"))
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _difference(module: torch.nn.Module, example: Mapping[str, torch.Tensor], path: Path) -> float:
    import onnxruntime  # noqa: PLC0415

    with torch.no_grad():
        wanted = module(*example.values())
    wanted = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    found: list[Any] = session.run(None, {name: tensor.numpy() for name, tensor in example.items()})
    return max(float(np.abs(f - w.numpy()).max()) for f, w in zip(found, wanted, strict=True))
