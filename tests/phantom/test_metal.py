"""Metal: the field worked by hand, conservation of shifted signal, and the signal void at a screw."""

from dataclasses import replace

import numpy as np
import pytest

from lumbar.phantom.acquire import acquire
from lumbar.phantom.anatomy import Implant
from lumbar.phantom.build import build_anatomy
from lumbar.phantom.canvas import Plane
from lumbar.phantom.metal import TITANIUM_PPM, distorted, field_ppm
from lumbar.phantom.study import PhantomStudy
from lumbar.phantom.truth import locate


def test_the_field_of_a_cylinder_across_b0_equals_the_analytic_one() -> None:
    rod = Implant(np.array([[0.0, -50.0, 0.0], [0.0, 50.0, 0.0]]), 3.0)
    plane = Plane(np.array([-20.0, 0.0, 20.0]), np.array([0.0, 0.0, -1.0]), np.array([1.0, 0.0, 0.0]), 41, 41)
    field, inside = field_ppm((rod,), plane)
    assert field[20 - 6, 20] == pytest.approx(TITANIUM_PPM / 8)  # two radii towards the head: Δχ/2 · (1/2)²
    assert field[20, 20 + 6] == pytest.approx(-TITANIUM_PPM / 8)  # two radii to the side
    assert field[20 - 6, 20 + 6] == pytest.approx(0, abs=1e-9)  # at 45°
    assert inside.sum() == sum(x * x + z * z < 9 for x in range(-3, 4) for z in range(-3, 4))


def test_a_rod_along_b0_does_not_change_the_field_beside_it() -> None:
    rod = Implant(np.array([[0.0, 0.0, -50.0], [0.0, 0.0, 50.0]]), 3.0)
    field, _ = field_ppm((rod,), Plane(np.array([-20.0, -20.0, 0.0]), np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), 41, 41))
    assert np.abs(field).max() < 1e-9


@pytest.mark.parametrize("axis", [0, 1])
def test_signal_is_shifted_like_fat_of_the_same_offset(axis: int) -> None:
    pool = np.zeros((30, 40), dtype=np.float32)
    pool[12:15, 20:23] = 2.0
    nowhere = np.zeros(pool.shape, dtype=bool)
    moved = distorted(pool, [(np.full(pool.shape, 3.4), nowhere)], 2.0, axis)
    np.testing.assert_allclose(moved.sum(), pool.sum(), rtol=1e-5)
    places = np.arange(pool.shape[axis])
    middle = [(p.sum(axis=1 - axis) * places).sum() / p.sum() for p in (pool, moved)]
    assert middle[1] - middle[0] == pytest.approx(2.0, abs=1e-3)


def test_a_screw_causes_a_local_signal_void(small_study: PhantomStudy) -> None:
    anatomy = build_anatomy(replace(small_study.person, metal=True), small_study.degeneration)
    assert len(anatomy.implants) == 8
    series = acquire(anatomy, small_study.site, small_study.site.series[0])["sagittal_t1"]
    plain = small_study.series["sagittal_t1"].images.astype(float)
    screw = anatomy.implants[0].ends_mm.mean(axis=0)
    number, x, y = locate(series, screw)
    near = np.s_[number - 1, round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2]
    far = np.s_[:, : round(y) - 60]
    assert series.images[near].mean() < 0.5 * plain[near].mean()
    assert np.abs(series.images[far] - plain[far]).mean() < 0.02 * plain.max()  # ghosts of the bright border reach that far
