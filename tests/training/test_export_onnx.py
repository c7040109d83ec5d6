"""Export: the ONNX file gives the numbers of the module, for any batch size, also with 16-bit storage."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
ort = pytest.importorskip("onnxruntime")

from lumbar.errors import ModelError  # noqa: E402
from lumbar.training.export import export_onnx  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Toy(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 64)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.layer(x)
        return y, y.softmax(dim=-1)


@pytest.mark.parametrize("half", [False, True])
def test_onnx_equals_pytorch_for_other_batch_sizes(tmp_path: Path, half: bool) -> None:
    torch.manual_seed(0)
    toy = Toy().eval()
    difference = export_onnx(toy, {"x": torch.randn(3, 8)}, tmp_path / "m.onnx", ("y", "p"), dynamic={"x": {0: "batch"}}, tolerance=1e-2, half=half)
    assert difference < (3e-3 if half else 1e-5)
    x = torch.randn(7, 8)
    y, p = ort.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"]).run(["y", "p"], {"x": x.numpy()})
    wanted = toy(x)[0].detach().numpy()
    assert np.abs(y - wanted).max() < (5e-3 if half else 1e-5)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)


class Chunked(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x, x]).chunk(3)[0]


def test_an_axis_that_the_exporter_froze_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="axis 0 of x became fixed at 7"):
        export_onnx(Chunked(), {"x": torch.randn(7, 4)}, tmp_path / "m.onnx", ("y",), dynamic={"x": {0: "n"}})


def test_a_difference_above_the_tolerance_is_an_error(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with pytest.raises(ModelError, match="differs from the trained network"):
        export_onnx(Toy(), {"x": torch.randn(3, 8)}, tmp_path / "m.onnx", ("y", "p"), dynamic={"x": {0: "batch"}}, tolerance=1e-9, half=True)
