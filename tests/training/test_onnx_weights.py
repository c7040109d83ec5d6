"""Weights of a network read back from its exported graph."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from lumbar.severity.learn.axial.ensemble import export_network  # noqa: E402
from lumbar.severity.learn.axial.network import NetworkOptions, build  # noqa: E402
from lumbar.training.eight_bit import store_eight_bit  # noqa: E402
from lumbar.training.onnx_weights import load_exported  # noqa: E402

TINY = NetworkOptions(features=(8, 16), blocks=(1, 1), width=32, layers=1, heads=2)


def a_network(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    network = build(TINY).eval()
    for name, value in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):  # equal arrays would be stored once
            value.add_(torch.rand_like(value))
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return network


def test_a_network_from_its_exported_weights_answers_like_the_original(tmp_path: Path) -> None:
    original, other = a_network(1), a_network(2)
    export_network(original, tmp_path / "model.onnx")
    store_eight_bit(tmp_path / "model.onnx")
    given = torch.randn(4, 3, 96, 136), torch.tensor([0, 1, 2, 3]), torch.tensor([0, 0, 0, 1])
    with torch.no_grad():
        wanted, before = original(*given), other(*given)
        load_exported(other, tmp_path / "model.onnx")
        after = other.eval()(*given)
    assert (after - wanted).abs().max() < 0.05 * (before - wanted).abs().max()


def test_a_graph_of_another_network_is_refused(tmp_path: Path) -> None:
    export_network(a_network(1), tmp_path / "model.onnx")
    wider = build(NetworkOptions(features=(8, 16, 24), blocks=(1, 1, 1), width=32, layers=1, heads=2))
    with pytest.raises((KeyError, RuntimeError)):
        load_exported(wider, tmp_path / "model.onnx")
