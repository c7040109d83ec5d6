"""8-bit convolutions: nearly the same numbers in a quarter of the bytes."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import onnxruntime  # noqa: E402

from lumbar.errors import ModelError  # noqa: E402
from lumbar.training.export import export_onnx  # noqa: E402
from lumbar.training.quantize import quantize_convolutions  # noqa: E402


def network(path: Path, middle: int = 3) -> Path:
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(1, 32, 3, padding=1)]
    for _ in range(middle):
        layers += [torch.nn.InstanceNorm2d(32, affine=True), torch.nn.ReLU(), torch.nn.Conv2d(32, 32, 3, padding=1)]
    layers.append(torch.nn.Conv2d(32, 2, 1))
    axes = {"images": {0: "batch", 2: "rows", 3: "columns"}}
    export_onnx(torch.nn.Sequential(*layers), {"images": torch.randn(2, 1, 24, 32)}, path, ["logits"], dynamic=axes)
    return path


def run(path: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"images": image})[0])


def images(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal((1, 1, 40, 48)).astype(np.float32) for _ in range(count)]


def test_the_quantized_network_agrees_and_is_smaller(tmp_path: Path) -> None:
    source, target = network(tmp_path / "whole.onnx"), tmp_path / "small.onnx"
    quantize_convolutions(source, target, ({"images": image} for image in images(4)))
    unseen = np.random.default_rng(9).standard_normal((3, 1, 56, 32)).astype(np.float32)  # another batch and another size
    wanted, found = run(source, unseen), run(target, unseen)
    assert found.shape == wanted.shape
    assert np.corrcoef(wanted.ravel(), found.ravel())[0, 1] > 0.995
    assert not np.allclose(wanted, found, atol=1e-6)  # it did become coarser
    assert target.stat().st_size < 0.6 * source.stat().st_size


def test_weights_keep_to_seven_bits(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    source, target = network(tmp_path / "whole.onnx"), tmp_path / "small.onnx"
    quantize_convolutions(source, target, ({"images": image} for image in images(2)))
    weights = [onnx.numpy_helper.to_array(w) for w in onnx.load(str(target)).graph.initializer]
    small = [w for w in weights if w.dtype == np.int8 and w.ndim == 4]
    assert len(small) == 3  # the first and the last convolution stay as they are
    assert max(int(np.abs(w.astype(int)).max()) for w in small) <= 64


def test_no_calibration_inputs_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="calibration"):
        quantize_convolutions(network(tmp_path / "whole.onnx"), tmp_path / "small.onnx", [])


def test_a_network_without_inner_convolutions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing is left"):
        quantize_convolutions(network(tmp_path / "whole.onnx", middle=0), tmp_path / "small.onnx", [{"images": images(1)[0]}])
