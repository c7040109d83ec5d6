"""A site with a small matrix, so that tests take seconds."""

from collections.abc import Callable

import pytest

from lumbar.phantom.acquire import acquire
from lumbar.phantom.build import build_anatomy, person_degeneration
from lumbar.phantom.population import sample_person
from lumbar.phantom.signal import Sequence
from lumbar.phantom.sites import SeriesProtocol, Site
from lumbar.phantom.study import PhantomStudy, StudyOptions

T1, T2 = Sequence("tse", 600.0, 10.0, echo_train=3), Sequence("tse", 3500.0, 100.0, echo_train=15)
SMALL = Site(
    name="T",
    tesla=1.5,
    series=(
        SeriesProtocol("sagittal_t1", T1, 160, 128, 280.0, 7, 4.0, 6.0, samples=1),
        SeriesProtocol("sagittal_t2", T2, 160, 128, 280.0, 7, 4.0, 6.0, samples=1),
        SeriesProtocol("axial_t2", T2, 128, 96, 190.0, 10, 4.0, 4.4, blocks=True, samples=1),
    ),
    noise=0.01,
    coil_depth_mm=75.0,
    evened=0.4,
    saturation=0.8,
    scale=900.0,
)


@pytest.fixture(scope="session")
def small_site() -> Site:
    return SMALL


@pytest.fixture(scope="session")
def small_study() -> PhantomStudy:
    return _make_small(7)


@pytest.fixture(scope="session")
def make_small() -> Callable[[int], PhantomStudy]:
    return _make_small


def _make_small(seed: int) -> PhantomStudy:
    person = sample_person(seed)
    degeneration = person_degeneration(person)
    anatomy = build_anatomy(person, degeneration)
    series = {}
    for protocol in SMALL.series:
        series |= acquire(anatomy, SMALL, protocol)
    return PhantomStudy(StudyOptions(seed), person, degeneration, anatomy, SMALL, series)
