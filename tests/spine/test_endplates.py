"""Heights between endplates do not depend on how much of the border between disc and body a mask leaves out."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.spine.endplates import body_alone, endplate_heights
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import Outline, outline

HEIGHT_MM, DEPTH_MM, BODY_MM = 9.0, 34.0, 26.0


def masks(gap_mm: float, degrees: float = 0.0) -> tuple[Outline, NDArray[np.float32], NDArray[np.float32]]:
    """Outline of a disc and probabilities of the bodies beside it, with endplates `HEIGHT_MM` apart and `gap_mm` around each that no mask covers."""
    fine = 4
    rows, columns = (np.mgrid[: 120 * fine, : 90 * fine] + 0.5) / fine * PIXEL_MM
    angle = np.deg2rad(degrees)
    down, back = rows - 45.0, columns - 34.0
    along, across = back * np.cos(angle) - down * np.sin(angle), back * np.sin(angle) + down * np.cos(angle)
    within = np.abs(along) <= DEPTH_MM / 2
    disc = within & (np.abs(across) <= (HEIGHT_MM - gap_mm) / 2)
    upper, lower = (within & (side >= (HEIGHT_MM + gap_mm) / 2) & (side <= HEIGHT_MM / 2 + BODY_MM) for side in (-across, across))

    def shares(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        return mask.reshape(120, fine, 90, fine).mean(axis=(1, 3), dtype=np.float32)

    share = shares(disc)
    found = outline(share > 0.5, share)
    assert found is not None
    return found, *(body_alone(shares(body), shares(body) > 0.5) for body in (upper, lower))  # type: ignore[return-value]


@pytest.mark.parametrize("gap_mm", [0.0, 0.8, 1.5, 2.3])
@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_the_height_is_that_between_the_endplates_whatever_the_masks_leave_out(gap_mm: float, degrees: float) -> None:
    found = endplate_heights(*masks(gap_mm, degrees))

    assert found == pytest.approx([HEIGHT_MM] * 3, abs=0.3)


def test_the_mask_alone_would_be_lower() -> None:
    disc, _, _ = masks(2.0)

    assert disc.height_at_mm(0.5) == pytest.approx(HEIGHT_MM - 2.0, abs=0.3)


def test_without_bodies_the_usual_gap_is_added() -> None:
    disc, above, below = masks(1.3)
    nothing = np.zeros_like(above)

    assert endplate_heights(disc, nothing, nothing) == pytest.approx(endplate_heights(disc, above, below), abs=0.3)


def test_another_body_beyond_the_neighbour_is_not_taken_for_it() -> None:
    disc, above, below = masks(1.5)
    bodies = np.maximum(above, below)

    alone = body_alone(bodies, ndimage.binary_erosion(above > 0.5))

    assert not alone[below > 0.5].any()
    assert endplate_heights(disc, alone, below) == pytest.approx([HEIGHT_MM] * 3, abs=0.3)
