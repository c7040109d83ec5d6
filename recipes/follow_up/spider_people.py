"""The same real people in T1, T2 and T2 SPACE (SPIDER, CC BY 4.0): spine and disc grades of every series, kept as findings for the follow-up recipes.

    python recipes/follow_up/spider_people.py ../shared/data/spider WORK [--most 60]

Only images whose pixel size is known are taken, and those of people with a SPACE volume, whose pixel size follows from the distances of the discs there (what
is compared is then the shape alone). The three series of a person were made in one visit: nothing can have changed between them. They lie in
WORK/spider/<patient>/<t1|t2|space>/findings.json. The SPACE volumes of 30 patients were used to train the spine model, the T1 and T2 images were not.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from lumbar.datasets.spider import read_midsagittal, space_volumes
from lumbar.discs.find import map_image, upright_bend
from lumbar.discs.grader import DiscGrader
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import Findings, SeriesFacts, SpineFinding
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.models.registry import find_model
from lumbar.report.document import to_document, to_json
from lumbar.spine.network import Network, network_of
from lumbar.spine.spine_map import map_spine


def series_of(spider: Path) -> Iterator[tuple[str, str, Volume]]:
    """Patient, kind of series and its volume, upright."""
    for one in read_midsagittal(spider / "midsagittal", spider / "overview.csv"):
        grid = Grid(np.zeros((1, 3)), np.array([0, 0, -one.pixel_mm]), np.array([0, one.pixel_mm, 0]), *one.image.shape)
        yield one.patient, one.series.split("_")[1], Volume(one.image[None], grid)
    for patient, volume in space_volumes(spider / "t2_space"):
        yield patient, "space", volume


def scaled(path: Path, space: SpineFinding, network: Network) -> Volume | None:
    """A mid-sagittal image of unknown pixel size, at the size at which its discs are as far apart as in the person's SPACE volume; None without a spine."""
    image = np.asarray(Image.open(path).convert("L"), dtype=np.float32)
    try:
        spine = map_image(image, network)
    except InputError:
        return None
    if spine.segmentation.source.rows != len(image) or upright_bend(spine) < 0:
        return None
    own, other = ({level.level: np.array(level.center_mm) for level in finding.levels} for finding in (spine.finding, space))
    pairs = [(a, b) for a, b in pairwise(Level) if a in own and b in own and a in other and b in other]
    if len(pairs) < 2:
        return None
    ratio = np.mean([np.linalg.norm(other[a] - other[b]) / np.linalg.norm(own[a] - own[b]) for a, b in pairs])
    pixel = float(spine.segmentation.source.spacing_mm[1] * ratio)
    return Volume(image[None], Grid(np.zeros((1, 3)), np.array([0, 0, -pixel]), np.array([0, pixel, 0]), *image.shape))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spider", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--most", type=int, default=1000, help="patients, in the order of their numbers; those with a SPACE volume come first")
    arguments = parser.parse_args()
    network, grader = network_of(find_model("spine", None, 1)), DiscGrader(find_model("disc_grades", None, 1))
    found: dict[str, dict[str, Volume]] = {}
    for patient, kind, volume in series_of(arguments.spider):
        found.setdefault(patient, {})[kind] = volume
    for patient in sorted((p for p, kinds in found.items() if "space" in kinds), key=int):
        for kind in ("t1", "t2"):
            path = arguments.spider / "midsagittal" / f"{patient}_{kind}.webp"
            if kind in found[patient] or not path.exists() or (arguments.work / "spider" / patient / kind).exists():
                continue
            space = map_spine(found[patient]["space"], Plane.SAGITTAL, Weighting.T2, network)
            if (volume := scaled(path, space.finding, network)) is not None:
                found[patient][kind] = volume
    several = sorted((p for p, kinds in found.items() if len(kinds) > 1), key=lambda p: ("space" not in found[p], int(p)))
    for patient in several[: arguments.most]:
        for kind, volume in found[patient].items():
            target = arguments.work / "spider" / patient / kind
            if target.exists():
                continue
            try:
                spine = map_spine(volume, Plane.SAGITTAL, Weighting.T1 if kind == "t1" else Weighting.T2, network)
            except InputError as error:
                print(f"{patient} {kind}: {error}", flush=True)
                continue
            uid = f"{patient}.{kind}"
            role = "sagittal_t1" if kind == "t1" else "sagittal_t2_stir"
            facts = SeriesFacts(uid, "sagittal", "T1" if kind == "t1" else "T2", role, len(volume.array), volume.grid.spacing_mm)
            findings = Findings(uid, (facts,), spine=replace(spine.finding, measured_in=uid), disc_grades=grader.grade(spine))
            target.mkdir(parents=True)
            (target / "findings.json").write_text(to_json(to_document(findings)), encoding="utf-8")
    print(f"{len(several)} patients with several series")


if __name__ == "__main__":
    main()
