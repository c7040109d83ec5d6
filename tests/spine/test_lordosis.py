"""Level names that contradict the lordosis are marked as uncertain."""

from types import SimpleNamespace

import numpy as np
import pytest

from lumbar.domain.anatomy import Level, SpineClass
from lumbar.spine.chain import Chain, ChainDisc
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.lordosis import name_probabilities
from lumbar.spine.lowest_shape import LowestShape, body_outlines, lowest_shape
from lumbar.spine.naming import name_chain
from lumbar.spine.shape import outline

# T12/L1 to L5/S1 from the reference masks of SPIDER (recipes/spine/norms.py).
USUAL = [-10.0, -10.0, -7.0, 2.0, 13.0, 30.0]
LUMBARISED = [*USUAL[1:], 40.0]  # the free disc S1/S2 was taken for L5/S1
SACRALISED = [-9.0, *USUAL[:-1]]  # L5 belongs to the sacrum; L4/L5 was taken for L5/S1


def chain(count: int) -> Chain:
    return Chain(tuple(ChainDisc(36.0 * k, 0.9) for k in range(count)), 36.0 * count, ())


def test_a_typical_lordosis_confirms_the_names() -> None:
    assert name_probabilities(USUAL).l5_s1 > 0.98


def test_a_lordosis_shifted_by_one_level_is_detected_in_either_direction() -> None:
    lumbarised, sacralised = name_probabilities(LUMBARISED), name_probabilities(SACRALISED)
    assert lumbarised.s1_s2 > 0.3 > 10 * lumbarised.l4_l5
    assert sacralised.l4_l5 > 0.3 > 10 * sacralised.s1_s2


@pytest.mark.parametrize("tilts", [USUAL, LUMBARISED, [None] * 6, [None, 5.0], []])
def test_probabilities_sum_to_one(tilts: list[float | None]) -> None:
    found = name_probabilities(tilts)
    assert found.l5_s1 + found.s1_s2 + found.l4_l5 == pytest.approx(1.0)


def test_without_outlines_the_prior_remains() -> None:
    assert name_probabilities([None] * 5).l5_s1 == pytest.approx(0.94)  # the prior


def test_one_disc_by_hand() -> None:
    # N(30; 30, 8.7) · 0.94 against N(30; 40, 12) · 0.04 and N(30; 13, 7.4) · 0.02: 0.04310, 0.000940, 0.000077
    assert name_probabilities([30.0]).l5_s1 == pytest.approx(0.9769, abs=0.0005)


def test_depths_by_hand() -> None:
    # 0.94 · N(0.80; 0.95, 0.09) against 0.04 · N(0.80; 0.80, 0.08) and 0.02 · N(0.80; 1.00, 0.08), each without 1/√2π: 2.6043, 0.5, 0.01098
    found = name_probabilities([None] * 5, LowestShape(0.80, None))
    assert (found.l5_s1, found.s1_s2, found.l4_l5) == pytest.approx((0.8360, 0.1605, 0.0035), abs=0.0005)


def test_shallow_lowest_disc_and_body_reveal_a_free_s1_that_the_lordosis_hides() -> None:
    names = name_chain(chain(6), USUAL, shape=LowestShape(0.72, 0.86))
    assert not names.numbering.confident
    assert "lumbarised S1" in names.numbering.note
    assert name_chain(chain(6), USUAL, shape=LowestShape(0.95, 0.98)).numbering.confident


@pytest.mark.parametrize(
    ("height", "wedge_mm", "sure"), [(0.48, -0.4, False), (0.45, 2.0, True), (0.9, -0.2, True)], ids=["rest below a sacralised L5", "worn", "whole"]
)
def test_a_thin_parallel_lowest_disc_may_lie_below_a_sacralised_l5(height: float, wedge_mm: float, sure: bool) -> None:
    numbering = name_chain(chain(6), USUAL, shape=LowestShape(0.95, 0.98, height, wedge_mm)).numbering
    assert numbering.confident == sure
    assert ("sacralised L5" in numbering.note) != sure


def test_depths_are_those_of_the_drawn_structures() -> None:
    """The lowest disc is three quarters as deep as those above, the body above it nine tenths."""
    depths = {"disc": (60, 60, 45), "body": (60, 60, 54, 60)}
    flat = np.zeros((300, 120), dtype=np.uint8)
    probabilities = np.zeros((len(SpineClass), 300, 120), dtype=np.float32)
    for i, depth in enumerate(depths["body"]):
        flat[10 + 70 * i : 60 + 70 * i, 20 : 20 + depth] = FIRST_BODY + i
    for i, depth in enumerate(depths["disc"]):
        flat[62 + 70 * i : 78 + 70 * i, 20 : 20 + depth] = 1 + i
    probabilities[SpineClass.BODY], probabilities[SpineClass.DISC] = flat >= FIRST_BODY, (flat > 0) & (flat < FIRST_BODY)
    midplane = SimpleNamespace(probabilities=probabilities)
    discs = [outline(flat == 1 + i, probabilities[SpineClass.DISC]) for i in range(3)]
    found = lowest_shape(discs, body_outlines(midplane, flat, discs))
    assert found.disc == pytest.approx(0.75, abs=0.02)
    assert found.body == pytest.approx(0.90, abs=0.02)
    assert found.height == pytest.approx(1.0, abs=0.05)
    assert found.wedge_mm == pytest.approx(0.0, abs=0.3)
    assert lowest_shape([], [None]) == LowestShape(None, None)


@pytest.mark.parametrize(("tilts", "words"), [(LUMBARISED, "lumbarised S1"), (SACRALISED, "sacralised L5")])
def test_doubtful_names_come_with_the_alternative(tilts: list[float], words: str) -> None:
    numbering = name_chain(chain(6), tilts).numbering
    assert not numbering.confident
    assert words in numbering.note
    assert numbering.probability is not None and numbering.probability < 0.9


def test_a_given_lowest_level_overrides_the_lordosis() -> None:
    names = name_chain(chain(6), SACRALISED, Level.L4_L5)
    assert names.discs[-1] is Level.L4_L5
    assert names.numbering.confident
    assert names.numbering.probability is None


def test_a_lumbarised_s1_is_doubted_although_the_names_are_probable() -> None:
    """Measured on a phantom with a free S1 (numbering.py, number 4), and on a plain one whose less likely alternative is a sacralised L5 (number 54)."""
    free, tilts = LowestShape(0.839, 0.966, 0.598, 2.55), [-5.0, -4.4, -4.8, -3.4, 1.3, 9.1, 17.9, 29.6]
    plain, usual = LowestShape(1.016, 1.0, 0.702, 1.47), [-1.3, -5.6, -9.1, -10.8, -9.1, -1.0, 7.7, 22.0]
    found, ordinary = name_chain(chain(8), tilts, shape=free).numbering, name_chain(chain(8), usual, shape=plain).numbering

    assert found.probability == pytest.approx(0.98, abs=0.01) and ordinary.probability == pytest.approx(0.98, abs=0.01)
    assert not found.confident and "lumbarised S1 has a probability of 2 %" in found.note
    assert ordinary.confident
