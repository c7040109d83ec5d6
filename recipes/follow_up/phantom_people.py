"""Phantom people seen twice: makes their studies, analyzes them, and keeps the results for the follow-up recipes.

    python recipes/follow_up/phantom_people.py WORK calibrate --people 12      # people for the estimation of measurement errors
    python recipes/follow_up/phantom_people.py WORK test --people 12           # others, for the published figures
    python recipes/follow_up/phantom_people.py WORK test --first 4 --people 8 --sagittal-only

Every person has four results in WORK/<set>/<seed>/: `first`; `again`, the same person at the same scanner with slices laid anew and other noise;
`elsewhere`, at another scanner with another protocol; and `changed`, at the first scanner after one disc has aged and muscle has turned into fat.
`truth.json` beside each result holds the exact state. Interrupted runs resume.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import lumbar
from lumbar.domain.anatomy import Level
from lumbar.phantom.acquire import acquire
from lumbar.phantom.build import build_anatomy, person_degeneration
from lumbar.phantom.degeneration import AGE_SD_YEARS, Degeneration, age_loadings, latent
from lumbar.phantom.population import Person, sample_person
from lumbar.phantom.sites import coarser, site
from lumbar.phantom.study import ROLES, PhantomStudy, StudyOptions, write_study

SEEDS = {"calibrate": 61_000_000, "test": 62_000_000}
SITES = "ACDEFGH"  # T2 without fat suppression; STIR (sites B and I) shows other contrasts and is compared by contrast-free measurements alone
SCANS = ("first", "again", "elsewhere", "changed")
LOWER = (Level.L3_L4, Level.L4_L5, Level.L5_S1)
AHEAD_YEARS = 30.0  # that one disc ages between the studies of `changed`
WEAR_A_YEAR, WEAR_SPREAD = 0.0085, 0.065  # of a lower disc, as in phantom/population.py
ATROPHY = 0.30  # share of the muscles that is lost on one side


def planned(seed: int) -> dict[str, tuple[str, int]]:
    """Site and number of the scan of each of a person's studies."""
    here, there = np.random.default_rng([seed, 21]).choice(list(SITES), 2, replace=False)
    return {"first": (here, 0), "again": (here, 1), "elsewhere": (there, 2), "changed": (here, 3)}


def state(seed: int, scan: str) -> tuple[Person, Degeneration]:
    """The person; in `changed` one lower disc has the wear and narrowing of 30 more years, and the muscles of one side have shrunk."""
    person = sample_person(seed)
    worn = person_degeneration(person)
    if scan == "changed":
        column = list(Level).index(LOWER[seed % 3])
        normal = worn.normal.copy()
        normal[:, column] += age_loadings().reshape(5, 5)[:, column] * AHEAD_YEARS / AGE_SD_YEARS
        worn = replace(worn, normal=normal, narrowing=latent(normal))
        traits = person.traits.copy()
        traits[3 + 3 + column] += AHEAD_YEARS * WEAR_A_YEAR / WEAR_SPREAD
        person = replace(person, traits=traits, atrophy=(ATROPHY, 0.0) if seed % 2 else (0.0, ATROPHY))
    return person, worn


def made(seed: int, scan: str, scale: float, roles: tuple[str, ...]) -> PhantomStudy:
    """One scan of one person."""
    person, worn = state(seed, scan)
    letter, number = planned(seed)[scan]
    place, body = site(letter), build_anatomy(person, worn)
    series = {}
    for protocol in place.series:
        if protocol.role in roles:
            series |= acquire(body, place, coarser(protocol, scale), number)
    return PhantomStudy(StudyOptions(seed, site=letter, scan=number, matrix_scale=scale), person, worn, body, place, series)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("people_of", choices=tuple(SEEDS))
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--first", type=int, default=0, help="number of the first person, to work in parallel")
    parser.add_argument("--sagittal-only", action="store_true", help="T2 alone: measurements of the spine, disc grades and age, in a quarter of the time")
    parser.add_argument("--matrix-scale", type=float, default=1.0)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    roles = ("sagittal_t2",) if arguments.sagittal_only else ROLES
    tasks = ("spine", "severity", "age") if arguments.sagittal_only else ("spine", "severity", "muscle", "age")
    models = lumbar.load_models(threads=1)
    for seed in range(SEEDS[arguments.people_of] + arguments.first, SEEDS[arguments.people_of] + arguments.first + arguments.people):
        for scan in SCANS:
            target = arguments.work / arguments.people_of / str(seed) / scan
            if (target / "findings.json").exists():
                continue
            with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
                truth = write_study(made(seed, scan, arguments.matrix_scale, roles), Path(folder), masks=False)
                study = lumbar.read_study(Path(folder) / "dicom")
                request = lumbar.Request(tasks=tasks)
                lumbar.analyze(study, models, request).write(target, overwrite=True)
            (target / "truth.json").write_text(json.dumps(truth) + "\n")
            shutil.rmtree(target / "masks")
            print(seed, scan, flush=True)


if __name__ == "__main__":
    main()
