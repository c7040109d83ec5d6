"""Random training views preserve sides, labels and the sum of water and fat."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs lumbar[train]")

from slice_scene import example

from lumbar.muscle.learn.synthesis import SynthesisOptions, infiltrate, random_image
from lumbar.muscle.learn.views import ViewOptions, random_view


@pytest.mark.parametrize("seed", range(12))
def test_sides_are_preserved_in_every_view(seed):
    rng = np.random.default_rng(seed)
    water, fat, labels = random_view(example(), (160, 224), 1.0, ViewOptions(), rng)
    assert water.shape == fat.shape == labels.shape == (160, 224)
    columns = [np.nonzero(labels == label)[1].mean() for label in (1, 2, 3, 4) if (labels == label).sum() > 100]
    assert columns == sorted(columns)  # also in mirrored views, whose labels were swapped
    inside = labels > 0
    assert np.median(water[inside]) > 0.6
    assert np.median(fat[inside]) < 0.2


def test_infiltration_moves_water_to_fat_and_preserves_the_sum():
    from scipy import ndimage  # noqa: PLC0415

    one = example()
    water, fat = infiltrate(one.water, one.fat, one.labels, np.random.default_rng(3))
    assert water + fat == pytest.approx(one.water + one.fat, abs=1e-5)
    deep = ndimage.binary_erosion(one.labels > 0, iterations=4)
    assert (fat - one.fat)[deep].mean() > 0.01
    assert np.abs(fat - one.fat)[~ndimage.binary_dilation(one.labels > 0, iterations=6)].max() < 1e-5


def test_images_are_standardised_and_repeatable():
    one = example()
    images = [random_image(one.water, one.fat, one.labels, SynthesisOptions(), np.random.default_rng(7)) for _ in range(2)]
    assert (images[0] == images[1]).all()
    assert images[0].mean() == pytest.approx(0, abs=1e-4)
    assert images[0].std() == pytest.approx(1, abs=1e-3)
