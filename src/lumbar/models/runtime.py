"""Running a network with ONNX Runtime, which is imported only when a model is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.errors import ModelError

Arrays = dict[str, NDArray[Any]]


class Network:
    """One ONNX graph, held in memory."""

    def __init__(self, content: bytes, name: str, threads: int = 0) -> None:
        """Take the bytes of the file `name`; `threads` 0 means all cores.

        Raises:
            ModelError: ONNX Runtime does not accept the graph.
        """
        import onnxruntime  # noqa: PLC0415  (a cold start without a model should not pay for it)

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Threads that spin while they wait burn processor time that the other tasks need, and an arena never returns the memory of the largest input.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False
        self.name = name
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise ModelError(f"{name} is not a network that ONNX Runtime {onnxruntime.__version__} can load ({error}); export it again") from error
        self.inputs = tuple(i.name for i in self._session.get_inputs())
        self.outputs = tuple(o.name for o in self._session.get_outputs())
        self._types = {i.name: np.dtype(_NUMPY_TYPES[i.type]) for i in self._session.get_inputs() if i.type in _NUMPY_TYPES}

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Outputs by name for `inputs` by name; arrays are cast to the types that the graph wants.

        Raises:
            ModelError: names or shapes do not fit the graph.
        """
        if set(inputs) != set(self.inputs):
            raise ModelError(f"{self.name} takes the inputs {sorted(self.inputs)}, not {sorted(inputs)}; the model is of another kind than the task")
        feed = {name: np.ascontiguousarray(array, dtype=self._types.get(name)) for name, array in inputs.items()}
        try:
            values = self._session.run(None, feed)
        except Exception as error:
            shapes = {name: array.shape for name, array in feed.items()}
            raise ModelError(f"{self.name} does not accept inputs of shapes {shapes} ({error})") from error
        return dict(zip(self.outputs, values, strict=True))


def open_network(path: Path, threads: int = 0) -> Network:
    """The network in an ONNX file; `threads` 0 means all cores.

    Raises:
        ModelError: ONNX Runtime does not accept the graph.
    """
    return Network(path.read_bytes(), str(path), threads)


_NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
