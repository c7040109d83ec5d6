"""The recipe that trains spine networks with neighbouring slices and partly labelled classes: labels, loss and first weights."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

RECIPES = Path(__file__).resolve().parents[2] / "recipes" / "spine"

MM = 0.5


@pytest.fixture(autouse=True)
def recipes(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES))
    yield
    for name in ("stacks", "context_training", "refine", "train", "split"):
        sys.modules.pop(name, None)


def ring(gap_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bone around a hole of 16 by 8 mm that is open by `gap_mm` behind; a disc in front of it; the hole."""
    solid, disc, hole = (np.zeros((120, 120), bool) for _ in range(3))
    solid[30:90, 30:90] = True
    hole[44:76, 60:76] = True
    solid[hole] = False
    disc[54:66, 30:60] = True
    half = round(gap_mm / 2 / MM)
    solid[60 - half : 60 + half, 76:] = False
    return solid, disc, hole


def test_a_foramen_is_what_bone_encloses_beside_a_disc():
    from stacks import foramina  # noqa: PLC0415

    for gap_mm in (0.0, 4.0):
        solid, disc, hole = ring(gap_mm)
        found = foramina(solid, np.zeros_like(disc), disc, MM)
        assert (found & hole).sum() > 0.95 * hole.sum()
        assert (found & ~hole).sum() < 0.15 * hole.sum()  # a little of the gap


def test_no_foramen_where_the_ring_is_open_or_holds_canal_or_lies_away_from_discs():
    from stacks import foramina  # noqa: PLC0415

    solid, disc, hole = ring(9.0)
    nothing = np.zeros_like(disc)
    assert not foramina(solid, nothing, disc, MM).any()
    solid, disc, hole = ring(0.0)
    assert not foramina(solid, hole, disc, MM).any()
    assert not foramina(solid, nothing, nothing, MM).any()


def test_unsure_pixels_accept_background_and_added_classes_alike_and_punish_others():
    from context_training import ADDED, partial_loss  # noqa: PLC0415
    from stacks import CLASSES, UNSURE  # noqa: PLC0415

    def loss(kind: int, target: int) -> float:
        logits = torch.zeros(1, len(CLASSES), 8, 8)
        logits[:, kind] = 12.0
        return float(partial_loss(logits, torch.full((1, 8, 8), target)))

    accepted = [loss(kind, UNSURE) for kind in (0, *ADDED)]
    assert max(accepted) - min(accepted) < 1e-3
    assert loss(1, UNSURE) > accepted[0] + 5
    assert loss(ADDED[0], 0) > accepted[0] + 5  # known background is not an added class


def test_the_first_outputs_are_those_of_the_network_trained_from():
    from context_training import ContextModule  # noqa: PLC0415

    from lumbar.spine.learn.train import SpineModule, SpineTraining  # noqa: PLC0415

    config = SpineTraining(features=(4, 8, 8))
    torch.manual_seed(0)
    old = SpineModule(config).eval()
    images = torch.randn(1, 3, 32, 32)
    for inputs in (1, 3):
        new = ContextModule(config, inputs).eval()
        new.start_from(old.state_dict())
        with torch.inference_mode():
            theirs, ours = old.network(images[:, 1:2]), new.network(images if inputs == 3 else images[:, 1:2])
        assert torch.allclose(ours[:, : theirs.shape[1]], theirs, atol=1e-5)
        assert (ours[:, theirs.shape[1] :] == -4).all()


def test_the_stream_is_the_same_with_and_without_neighbours_and_slices_share_their_contrast():
    from context_training import RandomStackViews  # noqa: PLC0415
    from stacks import LabelledStack  # noqa: PLC0415

    from lumbar.spine.learn.train import SpineTraining  # noqa: PLC0415
    from lumbar.training.augment import AugmentOptions  # noqa: PLC0415

    rng = np.random.default_rng(0)
    image = rng.uniform(0, 100, (80, 80)).astype(np.float32)
    labels = rng.integers(0, 5, (80, 80)).astype(np.uint8)
    stack = LabelledStack("one", np.stack([image] * 3), np.stack([labels] * 3), 0.75, 4.0, (1,))
    config = SpineTraining(view=(64, 64), augment=AugmentOptions(noise_probability=0.0))
    with_them, without = (iter(RandomStackViews([[stack]], config, neighbours, 0)) for neighbours in (True, False))
    shown = []
    for _ in range(30):
        (three, classes), (one, same) = next(with_them), next(without)
        assert torch.equal(three[1:2], one) and torch.equal(classes, same)
        shown.append(bool(three[0].any()))
        if shown[-1]:
            assert torch.equal(three[0], three[1]) and torch.equal(three[1], three[2])  # equal slices stay equal
        else:
            assert not three[2].any()
    assert 18 <= sum(shown) < 30  # some views are without neighbours
