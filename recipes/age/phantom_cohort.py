"""Synthetic people for the age recipes: crops for training in chunks, and test studies whose discs the spine model finds.

    python recipes/age/phantom_cohort.py WORK train --people 1000       # sites A to F, crops at known discs with random offsets, in chunks of 50
    python recipes/age/phantom_cohort.py WORK test                      # sites G, H and I, left out of training
    python recipes/age/phantom_cohort.py WORK calibrate --people 150    # further people of sites A to F

Images are sagittal T2, STIR or SPACE as the sites make them, at half their matrix (with the noise of full ones, averaged) and with the slices within reach
of the crops alone. The test has 200 people; 40 of them scanned twice (other slices, other noise); and 90 pairs with a member of the 200 in which nothing
is different but one lower segment, which is as worn as that of a person 20 or 30 years older. Interrupted runs resume.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lumbar.age.crops import CropOptions, cut_slices
from lumbar.age.extract_crops import spine_finder
from lumbar.age.store import CropStore, Subject, open_store, wide, write_store
from lumbar.domain.anatomy import Level
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.models.registry import find_model
from lumbar.phantom.acquire import acquire
from lumbar.phantom.anatomy import Anatomy
from lumbar.phantom.build import build_anatomy, person_degeneration
from lumbar.phantom.degeneration import AGE_SD_YEARS, Degeneration, age_loadings, latent
from lumbar.phantom.population import Person, disc_degeneration, muscle_fat, sample_person
from lumbar.phantom.sites import coarser, site
from lumbar.spine.network import TASK, network_of

# STIR shows least of fat and comes from site B alone: it is drawn twice as often as the others.
TRAIN_SITES, TEST_SITES = "ABBCDEF", "GHI"
TRAIN_SEED, TEST_SEED, CALIBRATE_SEED = 41_000_000, 42_000_000, 43_000_000
CHUNK = 50
TEST_PEOPLE, RETESTS, AHEAD = 200, 40, 90
AHEAD_YEARS = (20.0, 30.0)
LOWER = (Level.L3_L4, Level.L4_L5, Level.L5_S1)
JITTER_MM = 1.3  # approximate position error of the spine model's discs
SPINE_REACH_MM = 8.0  # slices segmented by the spine model
OPTIONS = CropOptions()
RATES = np.array([0.36, 0.37, 0.38, 0.43, 0.47, 0.53, 0.63, 0.60]) / 60  # wear a year of each disc from T10/T11, as in phantom/population.py
OWN_SPREAD = 0.065  # wear of a disc per unit of its own trait, likewise


@dataclass(frozen=True)
class Study:
    """One scan of one synthetic person."""

    seed: int
    site: str
    scan: int = 0
    ahead: Level | None = None  # the segment that runs ahead
    ahead_years: float = 0.0

    @property
    def name(self) -> str:
        """Its identifier among the scans of a person."""
        return f"{self.scan}" if self.ahead is None else f"{self.ahead.slug}+{self.ahead_years:.0f}"


def state(study: Study) -> tuple[Person, Degeneration]:
    """The person; a segment that is ahead has the wear and narrowing of the additional years, and nothing else changes."""
    person = sample_person(study.seed)
    worn = person_degeneration(person)
    if study.ahead is not None:
        column = list(Level).index(study.ahead)
        normal = worn.normal.copy()
        normal[:, column] += age_loadings().reshape(5, 5)[:, column] * study.ahead_years / AGE_SD_YEARS
        worn = replace(worn, normal=normal, narrowing=latent(normal))
        traits = person.traits.copy()
        traits[3 + 3 + column] += study.ahead_years * RATES[3 + column] / OWN_SPREAD
        person = replace(person, traits=traits)
    return person, worn


def labels(person: Person, worn: Degeneration) -> tuple[tuple[float, ...], ...]:
    """Auxiliary targets of each level: wear of its disc, narrowing of canal, foramina and recesses, fat of two muscles and of the marrow."""
    discs = disc_degeneration(person, worn.normal)[3:8]
    canal, foramina, recesses = worn.normal[0], worn.normal[1:3].mean(axis=0), worn.normal[3:5].mean(axis=0)
    fat = muscle_fat(person)
    whole = (float(np.log(fat["multifidus"])), float(np.log(fat["erector_spinae"])), marrow_fat(person))
    return tuple((*map(float, own), *whole) for own in zip(discs, canal, foramina, recesses, strict=True))


def marrow_fat(person: Person) -> float:
    """Fat share of the marrow of a typical vertebra, as in phantom/skeleton.py."""
    return float(0.30 + 0.0042 * (person.age_years - 30) + 0.05 * person.traits[36])


def anatomy(study: Study) -> tuple[Anatomy, Subject]:
    """The anatomy and identity of a person."""
    person, worn = state(study)
    attributes = (study.name, study.ahead is None, labels(person, worn))
    return build_anatomy(person, worn), Subject(f"P{study.seed}", study.site, person.sex, person.age_years, *attributes)


def scan(body: Anatomy, study: Study) -> Volume:
    """Its sagittal T2 at half matrix: the slices around the middle, each the mean of two planes over its thickness."""
    place = site(study.site)
    usual = next(p for p in place.series if p.role == "sagittal_t2")
    count = 2 * int(np.ceil(OPTIONS.reach_mm / usual.spacing_mm)) + 1
    half = coarser(replace(usual, slices=count, samples=2), 0.5)
    return acquire(body, place, half, study.scan)["sagittal_t2"].volumes()[0]


def drawn_site(seed: int, sites: str) -> str:
    return sites[int(np.random.default_rng([seed, 6]).integers(len(sites)))]


def train_studies(first: int) -> Iterator[tuple[Subject, object]]:
    for seed in range(first, first + CHUNK):
        study = Study(seed, drawn_site(seed, TRAIN_SITES))
        body, subject = anatomy(study)
        random = np.random.default_rng([seed, 8])
        points = {level: body.disc(level.value).frame.center_mm + JITTER_MM * random.standard_normal(3) for level in Level}
        yield subject, cut_slices(scan(body, study), points, wide(OPTIONS))


def test_plan() -> list[Study]:
    people = [Study(TEST_SEED + k, drawn_site(TEST_SEED + k, TEST_SITES)) for k in range(TEST_PEOPLE)]
    retests = [replace(study, scan=1) for study in people[:RETESTS]]
    ahead = [replace(people[k], ahead=LOWER[k % 3], ahead_years=AHEAD_YEARS[(k // 3) % 2]) for k in range(AHEAD)]
    return people + retests + ahead


def test_studies(plan: list[Study], failures: list[str]) -> Iterator[tuple[Subject, object]]:
    finder = spine_finder(network_of(find_model(TASK, threads=1)))
    for study in plan:
        body, subject = anatomy(study)
        volume = scan(body, study)
        try:
            points = finder(middle_slices(volume), Weighting.T2, "")
            slices = cut_slices(volume, points, wide(OPTIONS))
        except InputError as error:
            failures.append(f"{subject.subject} {subject.repeat}: {error}")
            continue
        away = [np.linalg.norm((points[level] - body.disc(level.value).frame.center_mm)[1:]) for level in points]
        if len(points) < 5 or max(away) > 8:
            failures.append(f"{subject.subject} {subject.repeat}: {len(points)} levels, farthest {max(away):.0f} mm off; kept")
        yield subject, slices


def middle_slices(volume: Volume) -> Volume:
    """The slices that the spine model needs to find the discs: a third of the time of all."""
    grid = volume.grid
    middle = grid.center_mm @ grid.normal
    near = np.abs(grid.origins_mm @ grid.normal - middle) <= SPINE_REACH_MM
    return Volume(volume.array[near], Grid(grid.origins_mm[near], grid.row_step_mm, grid.column_step_mm, grid.rows, grid.columns))


def stores(work: Path, prefix: str) -> CropStore:
    """All finished chunks whose names begin with `prefix`, as one."""
    parts = [open_store(path.parent, OPTIONS) for path in sorted(work.glob(f"{prefix}-*/people.npz"))]
    columns = {key: np.concatenate([getattr(part, key) for part in parts]) for key, value in vars(parts[0]).items() if isinstance(value, np.ndarray)}
    return replace(parts[0], **columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("part", choices=("train", "test", "calibrate"))
    parser.add_argument("--people", type=int, default=1000, help="of train and calibrate, in whole chunks of 50")
    parser.add_argument("--of", type=int, nargs=2, default=(0, 1), metavar=("K", "N"), help="make only every N-th chunk, from the K-th: to work in parallel")
    arguments = parser.parse_args()
    plan, failures = test_plan(), []
    count = -(-len(plan) // 20) if arguments.part == "test" else arguments.people // CHUNK
    for chunk in range(arguments.of[0], count, arguments.of[1]):
        folder = arguments.work / f"{arguments.part}-{chunk:03d}"
        if (folder / "people.npz").exists():
            continue
        own = plan[chunk * 20 : chunk * 20 + 20]
        first = (CALIBRATE_SEED if arguments.part == "calibrate" else TRAIN_SEED) + chunk * CHUNK
        studies = test_studies(own, failures) if arguments.part == "test" else train_studies(first)
        write_store(folder, studies, max(CHUNK, len(own)), OPTIONS)
        print(folder.name, *failures, sep="\n  ", flush=True)
        failures.clear()


if __name__ == "__main__":
    main()
