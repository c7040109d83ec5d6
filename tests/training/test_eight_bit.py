"""8-bit integer weights: nearly equal outputs from a quarter of the bytes."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lumbar.models.runtime import Network  # noqa: E402
from lumbar.severity.foramina.grader import CROPS, LEVELS, LOGITS, SIDE_NUMBERS, STUDIES  # noqa: E402
from lumbar.severity.learn.foramina.folds import export_network  # noqa: E402
from lumbar.severity.learn.foramina.network import ForamenNetwork, NetworkOptions  # noqa: E402
from lumbar.training.eight_bit import _whole, store_eight_bit  # noqa: E402


@pytest.mark.filterwarnings("ignore")
def test_a_network_answers_as_before(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ForamenNetwork(NetworkOptions(features=(8, 16), blocks=(1, 1), width=32))
    path = tmp_path / "model.onnx"
    assert export_network(network, path) < 0.05
    rng = np.random.default_rng(0)
    given = {
        CROPS: rng.normal(size=(6, 1, 72, 64)).astype(np.float32),
        LEVELS: np.arange(6) % 5,
        SIDE_NUMBERS: np.array([0, 1, 0, 1, 0, 1]),
        STUDIES: np.array([0, 0, 0, 1, 1, 1]),
    }
    before, size = Network(path.read_bytes(), "before", 1).run(given)[LOGITS], path.stat().st_size
    store_eight_bit(path)
    after = Network(path.read_bytes(), "after", 1).run(given)[LOGITS]
    assert path.stat().st_size < 0.6 * size
    np.testing.assert_allclose(after, before, atol=0.03 * np.abs(before).max())
    assert not np.array_equal(after, before)
    # A foramen alone in its study is graded without the others: the studies' numbers are heeded.
    alone = Network(path.read_bytes(), "after", 1).run({**given, STUDIES: np.arange(6)})[LOGITS]
    assert np.abs(alone - after).max() > 1e-4


def test_the_scale_follows_the_channels_with_the_smaller_error() -> None:
    array = np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)
    for axis in (0, 1):
        sizes = np.geomspace(0.01, 10, array.shape[axis]).astype(np.float32)
        weighted = array * np.expand_dims(sizes, 1 - axis)
        whole, scale = _whole(weighted)
        assert whole.dtype == np.int8
        assert scale.shape == ((40, 1) if axis == 0 else (1, 50))
        assert np.abs(whole * scale - weighted).max() <= 0.5 * scale.max() * 1.001
