"""Mixtures against the sampled distributions, and against scikit-learn."""

import numpy as np
import pytest

from lumbar.muscle.fat.infiltration import fat_shares, reference_fat
from lumbar.muscle.fat.mixture import fit_mixture, responsibilities, three_means


def draw(weights=(0.7, 0.2, 0.1), means=(100, 180, 300), deviations=(15, 25, 20), n=20000):
    rng = np.random.default_rng(5)
    kind = rng.choice(len(weights), n, p=weights)
    return rng.normal(np.array(means)[kind], np.array(deviations)[kind]), kind


def test_the_sampled_mixture_is_recovered():
    found = fit_mixture(draw()[0], 3)
    assert found.weights == pytest.approx((0.7, 0.2, 0.1), abs=0.015)
    assert found.means == pytest.approx((100, 180, 300), abs=2.5)
    assert found.deviations == pytest.approx((15, 25, 20), abs=2.5)


@pytest.mark.parametrize("components", [2, 3])
def test_the_likelihood_equals_that_of_scikit_learn(components):
    sklearn = pytest.importorskip("sklearn.mixture")
    values = draw()[0]
    theirs = sklearn.GaussianMixture(components, n_init=3, random_state=0).fit(values[:, None])
    ours = fit_mixture(values, components)
    order = np.argsort(theirs.means_[:, 0])
    density = sum(
        w / np.sqrt(2 * np.pi) / s * np.exp(-(((values - m) / s) ** 2) / 2) for w, m, s in zip(ours.weights, ours.means, ours.deviations, strict=True)
    )
    assert np.log(density).mean() > theirs.score(values[:, None]) - 0.01
    assert ours.means == pytest.approx(theirs.means_[order, 0], rel=0.05)


def test_posterior_probabilities_sum_to_one_and_follow_the_classes():
    values, kind = draw()
    chance = responsibilities(fit_mixture(values, 3), values)
    assert chance.sum(axis=0) == pytest.approx(1)
    assert (chance.argmax(axis=0) == kind).mean() > 0.95


def test_three_means_by_hand():
    assert three_means(np.array([0, 1, 2, 50, 51, 52, 99, 100, 101] * 10, float)) == pytest.approx([1, 51, 100], abs=0.6)


@pytest.mark.parametrize("method", ["gmm3", "gmm2", "kmeans3"])
def test_the_fat_fraction_equals_the_simulated_one(method):
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(100, 10, 8000), rng.normal(300, 15, 2000)])
    shares = fat_shares(values, method, 400.0)
    assert shares.mean() == pytest.approx(0.2, abs=0.03)
    assert shares[-2000:].mean() > 0.95


@pytest.mark.parametrize("method", ["gmm3", "gmm2"])
def test_half_fat_voxels_contribute_one_half(method):
    """Fat fractions uniform from 0 to 1 in a fifth of the voxels: 10 % of the muscle is fat. Fat in muscle has 0.7 of the grey value of fat around it."""
    rng = np.random.default_rng(1)
    share = np.concatenate([np.zeros(8000), rng.uniform(0, 1, 2000)])
    values = 80 * (1 - share) + 280 * share + rng.normal(0, 6, share.size)
    assert fat_shares(values, method, 400.0).mean() == pytest.approx(0.10, abs=0.02)


@pytest.mark.parametrize("method", ["gmm3", "gmm2"])
def test_noise_in_a_lean_muscle_is_not_fat(method):
    values = np.random.default_rng(1).normal(100, 10, 8000)
    assert abs(fat_shares(values, method, 400.0).mean()) < 0.015


def test_with_fat_suppression_there_is_no_estimate():
    values = np.random.default_rng(1).normal(100, 10, 8000)
    assert fat_shares(values, "gmm3", 60.0) is None


def test_reference_fat_is_the_bright_surrounding_tissue():
    image = np.full((3, 60, 60), 50.0, np.float32)
    muscles = np.zeros(image.shape, bool)
    muscles[1, 25:35, 25:35] = True
    image[:, 20:40, 15:50] = 300
    image[muscles] = 80
    assert reference_fat(image, muscles, (4.0, 1.0, 1.0)) == 300
    assert reference_fat(image, np.zeros_like(muscles), (4.0, 1.0, 1.0)) is None
