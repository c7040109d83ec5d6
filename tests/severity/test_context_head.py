"""The head on frozen features: what it sees, that it changes nothing before training, and that it learns from the level above."""

import pytest

torch = pytest.importorskip("torch")

from lumbar.severity.learn.axial.context import CORRECTED, ContextHead, FrozenCrops, HeadOptions, corrected, fit_head, surroundings  # noqa: E402

LEVELS = torch.tensor([0, 1, 2, 1, 1])
STUDIES = torch.tensor([7, 7, 7, 8, 7])  # study 7 has two crops of L2/L3


def test_surroundings_are_the_levels_above_and_below_of_the_same_study() -> None:
    left, right = torch.arange(5.0)[:, None], 10 + torch.arange(5.0)[:, None]
    seen = surroundings(left, right, LEVELS, STUDIES)
    canal, left_recess, right_recess = seen[2].tolist()  # L3/L4 of study 7
    assert canal == [7, 7, 7.5, 7.5, 0, 0]  # its own mean of both sides, that of the two crops above, nothing below
    assert left_recess == [2, 12, 2.5, 12.5, 0, 0]
    assert right_recess == [12, 2, 12.5, 2.5, 0, 0]
    assert seen[3, 1].tolist() == [3, 13, 0, 0, 0, 0]  # alone in study 8


def test_an_untrained_head_changes_nothing() -> None:
    draw = some_crops(5, LEVELS, STUDIES)
    result = corrected([ContextHead(4, HeadOptions()).eval()], draw)
    assert torch.allclose(result.softmax(-1), draw.logits.softmax(-1), atol=1e-6)


def test_the_head_learns_from_the_level_above_and_leaves_foramina_alone() -> None:
    studies, levels = torch.arange(300).repeat_interleave(5), torch.arange(5).repeat(300)
    draw = some_crops(1500, levels, studies)
    above = torch.cat([torch.zeros(1), draw.left[:-1, 0]])
    labels = torch.where((above > 0) & (levels > 0), 2, 0)[:, None].repeat(1, 5)
    head = fit_head([draw], labels, torch.arange(1500), HeadOptions(epochs=40), seed=0)
    with torch.no_grad():
        after = corrected([head], draw)
    own = torch.nn.functional.cross_entropy
    assert own(after[:, 3], labels[:, 3]) < 0.75 * own(draw.logits[:, 3], labels[:, 3])
    assert torch.equal(after[:, 1:3], draw.logits[:, 1:3])
    assert CORRECTED == (0, 3, 4)


def some_crops(count: int, levels, studies) -> FrozenCrops:
    generator = torch.Generator().manual_seed(1)
    features = [torch.randn(count, 4, generator=generator) for _ in range(2)]
    return FrozenCrops(*features, torch.zeros(count, 5, 3), levels, studies)
