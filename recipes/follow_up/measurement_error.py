"""Measurement error of changes: the spread of differences between two examinations of unchanged people, written to the package's measurement_error.json.

    python recipes/follow_up/phantom_people.py WORK calibrate --people 12
    python recipes/follow_up/spider_people.py ../shared/data/spider WORK
    python recipes/follow_up/measurement_error.py WORK -o src/lumbar/population/follow_up/measurement_error.json

- same protocol: phantom people scanned twice at one scanner, with new slice positions and new noise
- other protocol: the larger of phantom people at two scanners, and real people in T2 and T2 SPACE (SPIDER)
- other contrast: the larger of other protocol, and real people in T1 and T2 (SPIDER, patients of even numbers); of geometry alone

Spreads are root mean squares of differences, so that a single poor measurement counts in full. Lengths, areas and volumes have relative
errors where those describe the differences better (a smaller spread of the ratio of difference and limit), the rest absolute ones.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import stats

from lumbar.domain.anatomy import LUMBAR
from lumbar.population.follow_up.examination import Examination, read_examination
from lumbar.population.follow_up.measurement_error import MUSCLES, Setting

RELATIVE_UNITS = ("mm²", "ml")
FEWEST_PAIRS = 6
CHANCES, SURE = ("_score", "_p"), 0.05
LEAST_CHANCE_SD = 0.05  # few unchanged pairs have scores between the grades, where they move most; the limit is 0.1 at least
Pair = tuple[Examination, Examination]
SOURCE = (
    "root mean square differences between examinations of unchanged people: {same} phantom pairs at one scanner, {other} at two, "
    "{space} real people in T2 and T2 SPACE, {contrast} in T1 and T2 (SPIDER)"
)


def phantom_pairs(folder: Path) -> Iterator[tuple[Setting, str, Pair]]:
    for person in sorted(folder.iterdir()):
        seen = {scan: read_examination(person / scan) for scan in ("first", "again", "elsewhere") if (person / scan / "truth.json").is_file()}
        for first, second in (("first", "again"), ("first", "elsewhere"), ("again", "elsewhere")):
            if first in seen and second in seen:
                yield Setting.SAME_PROTOCOL if second == "again" else Setting.OTHER_PROTOCOL, person.name, (seen[first], seen[second])


def real_pairs(folder: Path) -> Iterator[tuple[Setting, str, Pair]]:
    for person in sorted(folder.iterdir()):
        if int(person.name) % 2:  # the others serve for figures.py
            continue
        seen = {path.name: read_examination(path) for path in person.iterdir() if (path / "findings.json").is_file()}
        if "t1" in seen and "t2" in seen:
            yield Setting.OTHER_CONTRAST, person.name, (seen["t2"], seen["t1"])
        if "space" in seen and "t2" in seen:
            yield Setting.OTHER_PROTOCOL, person.name, (seen["t2"], seen["space"])


def differences(pairs: list[tuple[str, Pair]]) -> dict[str, list[tuple[float, float, str, str]]]:
    """By finding: values of both examinations, unit and person."""
    found = defaultdict(list)
    for person, pair in pairs:
        first, second = ({(row.level, row.side, row.structure, row.finding): row for row in one.rows} for one in pair)
        for place in first.keys() & second.keys():
            if place[2] == "vertebra" and place[0] not in {vertebra.value for vertebra in LUMBAR}:
                continue
            kind = "muscle" if place[2] in MUSCLES else place[2]
            found[f"{kind}.{place[3]}"].append((first[place].value, second[place].value, first[place].unit, person))
    return found


def entry_of(name: str, values: list[tuple[float, float, str, str]]) -> dict[str, float | bool | int]:
    """Spread, and the factor that makes it a limit: the 97.5 % point of t for as many people, as the values of one person are not independent."""
    relative = values[0][2] in RELATIVE_UNITS
    people = len({person for *_, person in values})
    sd = max(spread(name, values, relative), LEAST_CHANCE_SD if name.endswith(CHANCES) else 0.0)
    return {"sd": float(f"{sd:.4g}"), "factor": round(float(stats.t.ppf(0.975, people)), 3), "relative": relative, "pairs": len(values), "people": people}


def spread(name: str, values: list[tuple[float, float, str, str]], relative: bool) -> float:
    x, y = np.array([v[:2] for v in values], float).T
    if name.endswith(CHANCES):  # near 0 and 1 chances barely move: the spread of those between holds for all
        between = np.abs(x + y - 1) < 1 - 2 * SURE
        if between.sum() >= FEWEST_PAIRS:
            x, y = x[between], y[between]
    scale = (np.abs(x) + np.abs(y)) / 2 if relative else np.ones(len(x))
    return float(np.sqrt(np.mean(((y - x) / np.maximum(scale, 1e-9)) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    by_setting: dict[tuple[str, Setting], list[tuple[str, Pair]]] = defaultdict(list)
    for name, pairs in (("phantom", phantom_pairs(arguments.work / "calibrate")), ("real", real_pairs(arguments.work / "spider"))):
        for setting, person, pair in pairs:
            by_setting[name, setting].append((person, pair))
    tables = {key: differences(pairs) for key, pairs in by_setting.items()}
    errors: dict[str, dict[str, dict[str, float | bool | int]]] = {}
    for setting, sources in (
        (Setting.SAME_PROTOCOL, [("phantom", Setting.SAME_PROTOCOL)]),
        (Setting.OTHER_PROTOCOL, [("phantom", Setting.SAME_PROTOCOL), ("phantom", Setting.OTHER_PROTOCOL), ("real", Setting.OTHER_PROTOCOL)]),
        (
            Setting.OTHER_CONTRAST,
            [("phantom", Setting.SAME_PROTOCOL), ("phantom", Setting.OTHER_PROTOCOL), ("real", Setting.OTHER_PROTOCOL), ("real", Setting.OTHER_CONTRAST)],
        ),
    ):
        for name in sorted({name for key in sources for name in tables.get(key, {})}):
            found = [values for key in sources if len(values := tables.get(key, {}).get(name, [])) >= FEWEST_PAIRS]
            if not found:
                continue
            entries = [entry_of(name, values) for values in found]
            errors.setdefault(name, {})[setting.value] = max(entries, key=lambda entry: entry["sd"] * entry["factor"])
    counts = {
        "same": len(by_setting["phantom", Setting.SAME_PROTOCOL]), "other": len(by_setting["phantom", Setting.OTHER_PROTOCOL]),
        "space": len(by_setting["real", Setting.OTHER_PROTOCOL]), "contrast": len(by_setting["real", Setting.OTHER_CONTRAST]),
    }  # fmt: skip
    document = {"source": SOURCE.format(**counts), "errors": errors}
    arguments.out.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(document["source"])
    for name, entry in errors.items():
        print(
            f"{name:45s}",
            "  ".join(f"{key} {e['factor'] * e['sd']:.3g}{' (share)' if e['relative'] else ''} n={e['pairs']}/{e['people']}" for key, e in entry.items()),
        )


if __name__ == "__main__":
    main()
