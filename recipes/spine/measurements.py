"""Bias, limits of agreement and repeatability of every measurement of the spine: the figures of docs/reference/measurements.md and of ERRORS.

    python recipes/spine/measurements.py ../shared/data [--model FOLDER] [--folds FOLDER] [--phantoms 27] [--only phantoms,readers,repeat]

* `phantoms`: sagittal T2 of phantoms of all sites, the network's masks against the geometry (phantom_truth.py).
* `readers`: SPIDER patients, measured from the masks of a network that has not seen them and from the reader's masks: bias, limits, ICC(2,1). With `--folds`
  all 30 (or those of the folds that exist), by the networks of people.py; with `--model` the test patients of split.py.
* `repeat`: two scans of each phantom with other slice positions and other noise: standard deviation of the differences.

Limits of agreement are bias ± 1.96 standard deviations of the differences (Bland and Altman, Lancet 1986;1:307). "95 % within" is the 95th percentile of the
absolute difference, which a single failed spine does not widen: the ± of the report.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
from phantom_truth import coronal_tilt_degrees, measurements
from reference_masks import segmentation_of, spider_volumes
from unseen import tested

from lumbar.datasets.spider import read_space
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding, SpineFinding
from lumbar.domain.study import Plane, Weighting
from lumbar.errors import InputError
from lumbar.metrics.agreement import icc_2_1
from lumbar.phantom.study import PhantomStudy, StudyOptions, make_study
from lumbar.spine.network import Network
from lumbar.spine.spine_map import map_segmentation, map_spine

FIRST_SEED = 5000  # seeds that no training uses
SITES = "ABCDEFGHI"
NEAR_MM = 12.0  # a level further from its true place counts as misnamed; its phantom is left out
Values = dict[tuple[str, str], float]  # (field, place) → value
Pairs = dict[str, list[tuple[float, float]]]  # field → (truth, measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--folds", type=Path, help="Folder `-o` of people.py.")
    parser.add_argument("--phantoms", type=int, default=27)
    parser.add_argument("--only", default="phantoms,readers,repeat")
    arguments = parser.parse_args()
    networks = tested(arguments.data, arguments.model, arguments.folds)
    parts = arguments.only.split(",")
    if "readers" in parts and not networks.of_patient:
        parser.error("the packaged network has seen all SPIDER patients: give the networks of people.py with --folds, or leave out readers with --only")
    if "phantoms" in parts:
        show("phantoms of all sites, the network's masks against the geometry", phantoms(arguments.phantoms, networks.network))
    if "readers" in parts:
        title = f"{len(networks.of_patient)} SPIDER patients not trained on, the network's masks against the reader's"
        show(title, readers(arguments.data, networks.of_patient), icc=True)
    if "repeat" in parts:
        show("two scans of each phantom", repeated(arguments.phantoms // 3, networks.network))


def scan(number: int, repeat: int = 0) -> PhantomStudy:
    return make_study(StudyOptions(FIRST_SEED + number, site=SITES[number % len(SITES)], roles=("sagittal_t2",), scan=repeat))


def found_in(study: PhantomStudy, network: Network) -> SpineFinding | None:
    volume = study.series["sagittal_t2"].volumes()[0]
    try:
        return map_spine(volume, Plane.SAGITTAL, Weighting.T2, network).finding
    except InputError as error:
        print(f"seed {study.options.seed}, site {study.site.name}: {error}")
        return None


def values_of(finding: SpineFinding) -> Values:
    """All numbers of a finding, by field and place."""
    numbers = [f.name for f in fields(LevelFinding) if f.name.endswith(("_mm", "_mm2", "_degrees", "_ratio", "_index")) and not f.name.startswith("center")]
    found: Values = {(n, entry.level.value): value for entry in finding.levels for n in numbers if isinstance(value := getattr(entry, n), float)}
    for name in ("wedge_degrees", "bony_canal_ap_mm"):
        found |= {(name, v.vertebra.value): value for v in finding.vertebrae if (value := getattr(v, name)) is not None}
    for name in ("total_lordosis_degrees", "sacral_slope_degrees"):
        if (value := getattr(finding, name)) is not None:
            found[name, "all"] = value
    return found


def phantoms(count: int, network: Network) -> Pairs:
    pairs: Pairs = defaultdict(list)
    wrong, false_slips, no_slips = 0, 0, 0
    for number in range(count):
        study = scan(number)
        finding = found_in(study, network)
        if finding is None:
            continue
        places = {entry.level: np.array(entry.center_mm) for entry in finding.levels}
        if any(np.linalg.norm(place - study.anatomy.disc(level.value).frame.center_mm) > NEAR_MM for level, place in places.items()):
            wrong += 1
            continue
        truth, ours = measurements(study.anatomy), values_of(finding)
        for name, table in truth.items():
            pairs[name] += [(value, ours[name, place]) for place, value in table.items() if (name, place) in ours and np.isfinite(value)]
            if name.startswith("foramen_height"):
                pairs["(share of foramina measured)"] += [(1.0, float((name, place) in ours)) for place in table]
        still = [(level, value) for level, value in truth["slip_mm"].items() if abs(value) < 2.0 and ("slip_mm", level) in ours]
        no_slips += len(still)
        false_slips += sum(abs(ours["slip_mm", level]) >= 3.0 for level, _ in still)
        if finding.coronal_cobb_degrees is not None:
            ends = [coronal_tilt_degrees(study.anatomy.disc(name)) for name in finding.coronal_cobb_between.split(" and ")]
            pairs["coronal_cobb_degrees"].append((abs(ends[0] - ends[1]), finding.coronal_cobb_degrees))
    print(f"{wrong} of {count} phantoms left out, as a level lies more than {NEAR_MM:.0f} mm from its place")
    print(f"false slips (3 mm or more where the truth is below 2 mm): {false_slips} of {no_slips}")
    return pairs


def readers(data: Path, networks: Mapping[str, Network]) -> Pairs:
    pairs: Pairs = defaultdict(list)
    slices = read_space(data / "spider" / "t2_space")
    for patient, network in networks.items():
        image, labels = spider_volumes([s for s in slices if s.patient == patient])
        reader = map_segmentation(segmentation_of(labels, image), Plane.SAGITTAL, Weighting.T2, Level.L5_S1).finding
        ours = map_spine(image, Plane.SAGITTAL, Weighting.T2, network, Level.L5_S1).finding
        places = {entry.level: np.array(entry.center_mm) for entry in reader.levels}
        away = {e.level.value: float(np.linalg.norm(places[e.level] - e.center_mm)) for e in ours.levels if e.level in places}
        if max(away.values()) > NEAR_MM:
            print(f"patient {patient} left out, as the lowest disc found is not the reader's: {', '.join(f'{k} {d:.0f} mm away' for k, d in away.items())}")
            continue
        _pair(values_of(reader), values_of(ours), pairs)
    return pairs


def repeated(count: int, network: Network) -> Pairs:
    pairs: Pairs = defaultdict(list)
    for number in range(count):
        first, second = (found_in(scan(number, repeat), network) for repeat in (0, 1))
        if first and second:
            _pair(values_of(first), values_of(second), pairs)
    return pairs


def _pair(first: Values, second: Values, pairs: Pairs) -> None:
    for key in first.keys() & second.keys():
        pairs[key[0]].append((first[key], second[key]))


def show(title: str, pairs: Pairs, icc: bool = False) -> None:
    print(f"{title}:")
    merged: Pairs = defaultdict(list)
    for name, values in pairs.items():
        merged[name.replace("_left_", "_").replace("_right_", "_")] += values
    for name, values in sorted((name, values) for name, values in merged.items() if values):
        table = np.array(values)
        away = table[:, 1] - table[:, 0]
        bias, spread = away.mean(), 1.96 * away.std(ddof=1) if len(away) > 1 else np.nan
        agreement = f", ICC {icc_2_1(table)[0]:.3f}" if icc and len(table) > 4 else ""
        within = f"95 % within {np.percentile(np.abs(away), 95):.2f}"
        print(f"  {name}: bias {bias:+.2f}, limits {bias - spread:+.2f} to {bias + spread:+.2f}, {within}{agreement}, n = {len(table)}", flush=True)


if __name__ == "__main__":
    main()
