"""Level names that contradict the lordosis are marked as uncertain."""

import pytest

from lumbar.domain.anatomy import Level
from lumbar.spine.chain import Chain, ChainDisc
from lumbar.spine.lordosis import name_probabilities
from lumbar.spine.naming import name_chain

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
    assert name_probabilities([None] * 5).l5_s1 == pytest.approx(0.92)  # the prior


def test_one_disc_by_hand() -> None:
    # N(30; 30, 8.7) · 0.92 against N(30; 40, 12) · 0.04 and N(30; 13, 7.4) · 0.04: 0.04219, 0.000940, 0.000154
    assert name_probabilities([30.0]).l5_s1 == pytest.approx(0.9747, abs=0.0005)


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
