"""Follow-up in figures: false changes of unchanged people, planted changes that are found, and the time a comparison takes.

    python recipes/follow_up/phantom_people.py WORK test --people 12
    python recipes/follow_up/spider_people.py ../shared/data/spider WORK
    python recipes/follow_up/figures.py WORK

- false changes: share of values called changed, of those with a known error, in phantom people scanned twice and in real people (SPIDER, patients of odd
  numbers; the errors come from the even ones) in two series of one visit
- planted in the measurements: 1.5 times the limit of reliable change, up and down, is added to every later value of the unchanged pairs, so that the noise is
  that of real repeats
- planted in the anatomy: a disc that aged by 30 years and muscles that shrank on one side; of all values whose exact change is at least 1.5 times their limit,
  the share that is called changed in the right direction, and the error of the size
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lumbar import api
from lumbar.domain.values import GRADE_UNIT
from lumbar.metrics.bootstrap import bootstrap_interval
from lumbar.population.follow_up.compare import CHANGED, WITHIN_ERROR, Comparison, compare
from lumbar.population.follow_up.examination import Examination, read_examination
from lumbar.population.follow_up.measurement_error import error_of
from lumbar.population.follow_up.setting import settings_of

SIZE = 1.5  # of planted changes, in limits
KNOWN = (CHANGED, WITHIN_ERROR)
Pair = tuple[str, Examination, Examination]  # person, earlier, later


def pairs(folder: Path, kinds: tuple[tuple[str, str], ...], odd: bool = False) -> Iterator[Pair]:
    for person in sorted(folder.iterdir()):
        if odd and not int(person.name) % 2:
            continue
        for first, second in kinds:
            if (person / first / "findings.json").is_file() and (person / second / "findings.json").is_file():
                yield person.name, read_examination(person / first), read_examination(person / second)


def rate(words: str, person: list[str], hits: list[bool]) -> None:
    if not hits:
        print(f"{words:58s} none")
        return
    flags, who = np.array(hits, float), np.array(person)
    span = bootstrap_interval(lambda rows: float(flags[rows].mean()), who, 1000)
    print(f"{words:58s} {span.estimate:6.1%} ({span.low:.1%} to {span.high:.1%})  of {len(hits)} values of {len(set(person))} people")


def false_changes(words: str, found: list[Pair]) -> list[tuple[str, Comparison, Pair]]:
    compared = [(name, compare(first, second, force=True), (name, first, second)) for name, first, second in found]
    known = [(name, change) for name, comparison, _ in compared for change in comparison.changes if change.verdict in KNOWN]
    rate(f"false changes, {words}", [name for name, _ in known], [change.verdict == CHANGED for _, change in known])
    refused = np.mean([comparison.fit.status == "failed" for _, comparison, _ in compared]) if compared else 0.0
    print(f"{'':58s} pairs whose persons or names do not fit: {refused:.0%} of {len(compared)}")
    return compared


def planted_in_values(words: str, compared: list[tuple[str, Comparison, Pair]]) -> None:
    """Every later value moved by 1.5 limits; grades follow the value behind them and are left out."""
    who, found = [], []
    for name, comparison, (_, first, second) in compared:
        settings = settings_of(first, second)
        rows = {(row.level, row.side, row.structure, row.finding): row for row in second.rows}
        for change in comparison.changes:
            if (
                change.verdict not in KNOWN
                or change.least_reliable_change is None
                or change.unit == GRADE_UNIT
                or change.earlier is None
                or change.later is None
            ):
                continue
            row = rows[change.level, change.side, change.structure, change.finding]
            setting, _ = settings.of(row)
            error = error_of(row.structure, row.finding, setting) if setting else None
            assert error is not None
            for sign in (-1, 1):
                moved = change.later + sign * SIZE * change.least_reliable_change
                who.append(name)
                found.append(sign * (moved - change.earlier) > error.limit(change.earlier, moved))
    rate(f"found of 1.5 limits planted in values, {words}", who, found)


def truth_of(document: dict[str, Any]) -> dict[tuple[str, str, str, str], float]:
    """Exact values under the names of findings."""
    found = {}
    for disc in document["discs"]:
        for name in ("disc_height_anterior_mm", "disc_height_middle_mm", "disc_height_posterior_mm"):
            found[disc["level"], "", "disc", name] = disc[name]
        found[disc["level"], "", "canal", "canal_ap_mm"] = disc["canal_ap_mm"]
        found[disc["level"], "", "segment", "slip_mm"] = disc["slip_mm"]
    for muscle in document["muscles"]:
        found["", muscle["side"], muscle["muscle"], "fat_infiltration"] = muscle["fat_fraction_mean"]
        for level in muscle["per_level"]:
            found[level["level"], muscle["side"], muscle["muscle"], "csa_mm2"] = level["csa_mm2"]
    return found


def planted_in_anatomy(folder: Path) -> None:
    who, found, size, missed = [], [], [], []
    for person in sorted(folder.iterdir()):
        if not all((person / scan / "truth.json").is_file() for scan in ("first", "changed")):
            continue
        before, after = (truth_of(json.loads((person / scan / "truth.json").read_text())) for scan in ("first", "changed"))
        comparison = compare(read_examination(person / "first"), read_examination(person / "changed"), force=True)
        for change in comparison.changes:
            place = change.level, change.side, change.structure, change.finding
            if change.verdict not in KNOWN or place not in before or change.least_reliable_change is None or change.change is None:
                continue
            true = after[place] - before[place]
            if abs(true) >= SIZE * change.least_reliable_change:
                who.append(person.name)
                found.append(change.verdict == CHANGED and change.change * true > 0)
                size.append((change.change - true) / abs(true))
                if not found[-1]:
                    missed.append(f"{person.name} {' '.join(filter(None, place))}: {true:+.2f} true, {change.change:+.2f} measured")
    rate("found of changes of 1.5 limits planted in the anatomy", who, found)
    if size:
        print(f"{'':58s} size: median error {np.median(size):+.0%}, half within {np.percentile(np.abs(size), 50):.0%} of the true change")
    for line in missed:
        print(f"{'':58s} missed: {line}")


def by_kind(compared: list[tuple[str, Comparison, Pair]]) -> None:
    """Findings whose false changes are most frequent."""
    counts: dict[str, list[bool]] = {}
    for _, comparison, _ in compared:
        for change in comparison.changes:
            if change.verdict in KNOWN:
                counts.setdefault(f"{change.structure}.{change.finding}", []).append(change.verdict == CHANGED)
    worst = sorted(counts.items(), key=lambda item: -np.mean(item[1]))[:6]
    print(f"{'':58s} most frequent: " + ", ".join(f"{name} {np.mean(hits):.0%}" for name, hits in worst))


def seconds(folder: Path) -> float:
    person = next(one for one in sorted(folder.iterdir()) if (one / "again" / "findings.json").is_file())
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        api.compare(person / "first", person / "again", Path(out) / "compared", force=True)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    arguments = parser.parse_args()
    test = arguments.work / "test"
    groups = {
        "phantoms, same scanner": list(pairs(test, (("first", "again"),))),
        "phantoms, another scanner": list(pairs(test, (("first", "elsewhere"), ("again", "elsewhere")))),
        "real people, T2 and T1": list(pairs(arguments.work / "spider", (("t2", "t1"),), odd=True)),
        "real people, T2 and T2 SPACE": list(pairs(arguments.work / "spider", (("t2", "space"),))),
    }
    for words, found in groups.items():
        compared = false_changes(words, found)
        if compared:
            by_kind(compared)
            planted_in_values(words, compared)
    planted_in_anatomy(test)
    print(f"{'a comparison with its page takes':58s} {seconds(test):.1f} s")


if __name__ == "__main__":
    main()
