"""Storing the weights of an ONNX graph as 8-bit whole numbers: a quarter of the size of 32-bit floats, with the arithmetic still in 32 bits."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 127
_FEWEST = 1024  # values that a weight needs to be worth it; smaller ones are kept


def store_eight_bit(path: Path) -> None:
    """Rewrite the graph in `path`: each large weight as whole numbers −127 … 127 with one scale per output channel, widened again on loading.

    Weights that are stored as 16-bit floats behind a cast (see `export.halve_weights`) are taken as well.
    """
    import onnx  # noqa: PLC0415
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    model = onnx.load(str(path))
    casts = {node.input[0]: node for node in model.graph.node if node.op_type == "Cast"}
    kept, widened, replaced = [], [], set()
    for weight in model.graph.initializer:
        array, cast = numpy_helper.to_array(weight), casts.get(weight.name)
        name = cast.output[0] if cast is not None and array.dtype == np.float16 else weight.name
        if array.dtype not in (np.float16, np.float32) or array.size < _FEWEST or array.ndim < 2:
            kept.append(weight)
            continue
        if cast is not None and array.dtype == np.float16:
            replaced.add(cast.name)
        whole, scale = _whole(array.astype(np.float32))
        kept += [numpy_helper.from_array(whole, f"{name}_whole"), numpy_helper.from_array(scale, f"{name}_scale")]
        widened += [
            helper.make_node("Cast", [f"{name}_whole"], [f"{name}_float"], to=TensorProto.FLOAT, name=f"float_{name}"),
            helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name], name=f"scale_{name}"),
        ]
    _strip(model.graph)
    nodes = [*widened, *(node for node in model.graph.node if not (node.op_type == "Cast" and node.name in replaced))]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _strip(graph: Any) -> None:
    """Remove the exporter's metadata about its source code, a quarter of the size of a small network."""
    del graph.value_info[:], graph.metadata_props[:]
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.initializer, *graph.input, *graph.output):
        del value.metadata_props[:]


def _whole(array: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers and their scale along the first or the last axis, whichever comes nearer to `array`."""
    best: tuple[float, NDArray[np.int8], NDArray[np.float32]] | None = None
    for axis in (0, array.ndim - 1):
        others = tuple(other for other in range(array.ndim) if other != axis)
        scale = np.maximum(np.abs(array).max(axis=others, keepdims=True), 1e-12).astype(np.float32) / np.float32(_LARGEST)
        whole = np.rint(array / scale).astype(np.int8)
        error = float(np.square(whole * scale - array).sum())
        if best is None or error < best[0]:
            best = error, whole, scale
    assert best is not None
    return best[1], best[2]
