"""Slices selected from a single axial file, against the discs of a phantom."""

from dataclasses import replace

import numpy as np
import pytest

from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.models.registry import find_model
from lumbar.muscle.predict import lumbar_slices
from lumbar.muscle.slices import find_levels, is_long
from lumbar.phantom.acquire import acquire
from lumbar.phantom.build import build_anatomy, person_degeneration
from lumbar.phantom.population import sample_person
from lumbar.phantom.sites import muscle_protocols, site
from lumbar.spine.network import TASK, network_of


def test_only_a_long_file_is_searched():
    def stack(slices):
        return Volume(np.zeros((slices, 8, 8), np.float32), Grid(np.arange(slices)[:, None] * [0.0, 0, 4], [0, 2.0, 0], [2.0, 0, 0], 8, 8))

    assert not is_long(stack(29))
    assert not is_long(stack(50))
    assert is_long(stack(63))


def test_a_file_without_a_spine_gives_no_levels_and_a_reason():
    grid = Grid(np.arange(60)[:, None] * [0.0, 0, 4], [0, 4.0, 0], [4.0, 0, 0], 40, 40)

    def blind(images):
        logits = np.zeros((len(images), len(SpineClass), *images.shape[2:]), np.float32)
        logits[:, SpineClass.BACKGROUND] = 9
        return logits

    found = find_levels(Volume(np.ones(grid.shape, np.float32), grid), blind)
    assert found.levels == ()
    assert not found.both_ends
    assert "not found" in found.warnings[0]


@pytest.mark.slow
def test_the_discs_of_a_phantom_are_found_in_its_axial_t2():
    person = sample_person(812)
    anatomy = build_anatomy(person, person_degeneration(person))
    protocol = replace(next(p for p in muscle_protocols(site("A")) if p.role == "muscle_t2"), slices=60, spacing_mm=4.0)
    image = acquire(anatomy, site("A"), protocol)["muscle_t2"].volumes()[0]
    assert is_long(image)
    found = find_levels(image, network_of(find_model(TASK, None, 1)))
    assert found.both_ends
    for finding in found.levels:
        assert abs(finding.center_mm[2] - anatomy.disc(finding.level.value).frame.center_mm[2]) < 6
    kept = lumbar_slices(image.grid, found.levels)
    z = image.grid.origins_mm[:, 2]
    ends = [anatomy.disc(level.value).frame.center_mm[2] for level in (Level.L5_S1, Level.L1_L2)]
    # The slices' middles lie on the same line here but for their tilt of some degrees.
    assert kept.sum() == pytest.approx(abs(ends[1] - ends[0]) / abs(np.diff(z)[0]) + 1, abs=3)
