"""Quantiles by counting, compared with numpy's."""

import numpy as np
import pytest

from lumbar.io.quantiles import quantiles

SHARES = (0.0, 0.05, 0.5, 0.99, 1.0)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_quantiles_are_those_of_numpy(kind, size):
    values = np.random.default_rng(size).integers(-100 if kind not in (np.uint8, np.uint16) else 0, 127, size).astype(kind)
    np.testing.assert_allclose(quantiles(values, SHARES), np.quantile(values.astype(np.float64), SHARES), atol=1e-4)


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_the_whole_range_of_a_type_is_counted(kind):
    values = np.array([np.iinfo(kind).min, np.iinfo(kind).max], kind)
    assert quantiles(values, (0.0, 0.5, 1.0)) == [float(values[0]), (float(values[0]) + float(values[1])) / 2, float(values[1])]
