"""Training batches keep sides and labels, and structures without labels are not trained as background. So few steps do not train a usable network."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs lumbar[train]")

from scipy import ndimage  # noqa: E402
from slice_scene import example  # noqa: E402

from lumbar.datasets.muscle_slices import ReaderSlice, half_of  # noqa: E402
from lumbar.muscle.labels import MIRRORED  # noqa: E402
from lumbar.muscle.learn.batches import BatchOptions, RandomBatches, random_batch  # noqa: E402
from lumbar.muscle.learn.ensemble import NetworkPair  # noqa: E402
from lumbar.muscle.learn.grey_slices import PIXEL_MM, SHAPE, Source, from_dixon, from_reader  # noqa: E402
from lumbar.muscle.learn.partial_labels import marginal_loss  # noqa: E402
from lumbar.muscle.learn.shuffled_unet import ShuffledUNet  # noqa: E402
from lumbar.muscle.learn.synthesis import infiltrate  # noqa: E402


def person():
    return from_dixon(example(), Source.DIXON, complete=False)


def test_infiltration_moves_water_to_fat_and_makes_none():
    one = example()
    water, fat = infiltrate(one.water, one.fat, one.labels, np.random.default_rng(3))
    assert water + fat == pytest.approx(one.water + one.fat, abs=1e-5)
    deep = ndimage.binary_erosion(one.labels > 0, iterations=4)
    assert (fat - one.fat)[deep].mean() > 0.01
    assert np.abs(fat - one.fat)[~ndimage.binary_dilation(one.labels > 0, iterations=6)].max() < 1e-5


def test_the_common_grid_keeps_areas_in_mm():
    one = example()
    stored = person()
    assert stored.labels.shape == SHAPE and stored.planes.shape == (2, *SHAPE)
    for label in (1, 2, 3, 4):
        assert (stored.labels == label).sum() * PIXEL_MM**2 == pytest.approx((one.labels == label).sum() * one.pixel_mm**2, rel=0.03)
    finer = ReaderSlice("a", "a", np.kron(one.water, np.ones((2, 2), np.float32)) * 255, np.kron(one.labels, np.ones((2, 2), np.uint8)), 0.5, True)
    again = from_reader(finer, Source.T1, complete=False)
    assert (again.labels == stored.labels).mean() > 0.99  # the same slice on half as large pixels


@pytest.mark.parametrize("seed", range(6))
def test_right_stays_right_in_every_view(seed):
    images, labels, complete = random_batch([person()] * 4, BatchOptions(), np.random.default_rng(seed))
    assert images.shape == (4, 1, 192, 256) and labels.shape == (4, 192, 256) and not complete.any()
    assert images.mean(dim=(1, 2, 3)).abs().max() < 1e-3
    for one in labels.numpy():
        columns = [np.nonzero(one == label)[1].mean() for label in (1, 2, 3, 4) if (one == label).sum() > 200]
        assert columns == sorted(columns)  # also in mirrored views, whose labels were swapped


def test_the_stream_repeats_itself_and_mixes_sources():
    slices = [person(), replace(person(), patient="b", source=Source.T1)]
    first, again = (next(iter(RandomBatches(slices, BatchOptions(), (3,)))) for _ in range(2))
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])


def test_unlabelled_psoas_is_not_taught_as_background():
    target = torch.zeros((1, 8, 8), dtype=torch.long)
    sure_of_psoas = torch.full((1, 8, 8, 8), -8.0)
    sure_of_psoas[:, 5] = 8.0
    partial, complete = (float(marginal_loss(sure_of_psoas, target, torch.tensor([known]))) for known in (False, True))
    assert partial < 0.01 < 5 < complete
    wrong = torch.full((1, 8, 8, 8), -8.0)
    wrong[:, 2] = 8.0  # a back muscle predicted in background is penalized in both cases
    assert float(marginal_loss(wrong, target, torch.tensor([False]))) > 5


def test_a_pair_of_networks_gives_both_answers_with_the_sides_right():
    torch.manual_seed(0)
    network = ShuffledUNet(8, (8, 8, 8)).eval()
    image = torch.randn(2, 1, 32, 48)
    with torch.no_grad():
        both = NetworkPair(network, network)(image)
        mirrored = network(image.flip(3)).flip(3)[:, list(MIRRORED)]
        assert torch.allclose(both[:, 0], network(image)) and torch.allclose(both[:, 1], mirrored, atol=1e-5)
    assert both.shape == (2, 2, 8, 32, 48)


def test_halves_are_disjoint_and_hold_everybody():
    names = [f"{k:03d}" for k in range(21)]
    one, other = half_of(names, 0), half_of(names, 1)
    assert not one & other and one | other == set(names) and abs(len(one) - len(other)) == 1
    assert half_of(reversed(names), 0) == one


def test_a_narrowed_view_has_a_smaller_share_of_multifidus():
    still = {
        "rotation_degrees": 0.0,
        "log_scale": 0.0,
        "log_stretch": 0.0,
        "shear": 0.0,
        "bend_pixels": 0.0,
        "jitter_pixels": (0.0, 0.0),
        "frame_probability": 0.0,
    }
    plain, narrow = (
        random_batch([person()], BatchOptions(**still, narrow_probability=chance, narrow=(1.2, 1.2)), np.random.default_rng(0))[1][0].numpy()
        for chance in (0.0, 1.0)
    )
    shares = [np.isin(labels, (2, 3)).sum() / np.isin(labels, (1, 4)).sum() for labels in (plain, narrow)]
    assert shares[1] < 0.75 * shares[0]
    assert np.isin(narrow, (1, 4)).sum() == pytest.approx(np.isin(plain, (1, 4)).sum(), rel=0.2)
