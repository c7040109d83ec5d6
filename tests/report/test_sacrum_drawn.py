"""S1 and S2 are outlined on the sagittal view in their own colours, where the network knows them."""

from types import SimpleNamespace

import numpy as np
from PIL import ImageColor

from lumbar.domain.mask_colors import SACRUM_COLORS
from lumbar.domain.mask_labels import Structure
from lumbar.report.drawing import draw_sagittal
from lumbar.report.views import SagittalView

NAMES = SimpleNamespace(names=SimpleNamespace(bodies=(), discs=()))


def drawn(sacrum: np.ndarray, outlines: bool = True) -> np.ndarray:
    nothing = np.zeros((80, 60), np.uint8)
    return np.asarray(draw_sagittal(SagittalView(nothing, nothing, nothing, (0.0, 0.0), sacrum), NAMES, outlines).convert("RGB"))  # type: ignore[arg-type]


def rows_of(image: np.ndarray, color: str) -> np.ndarray:
    """Rows of the enlarged view with pixels of about this colour."""
    near = np.abs(image.astype(int) - ImageColor.getrgb(color)).max(axis=2) < 30
    return np.flatnonzero(near.any(axis=1))


def test_each_is_outlined_where_it_lies() -> None:
    sacrum = np.zeros((80, 60), np.uint8)
    sacrum[10:30, 10:40], sacrum[40:60, 10:40] = Structure.S1, Structure.S2

    first, second = (rows_of(drawn(sacrum), color) for color in SACRUM_COLORS)

    assert 14 <= first.min() <= 24 and 56 <= first.max() <= 66
    assert 74 <= second.min() <= 84 and 116 <= second.max() <= 126


def test_the_plain_view_and_a_network_without_them_show_none() -> None:
    sacrum = np.zeros((80, 60), np.uint8)

    assert not drawn(sacrum).any()
    sacrum[10:30, 10:40] = Structure.S1
    assert not drawn(sacrum, outlines=False).any()
