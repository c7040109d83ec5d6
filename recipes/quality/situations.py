"""Outcome of the analysis on a folder of studies with one fault each, made from phantoms with ground truth.

    python ../shared/cases/make_cases.py CASES lumbar      # or any other folder laid out like it
    python recipes/quality/variations/make.py OTHERS        # more of the same kinds
    python recipes/quality/situations.py CASES [--only NAME ...] [--outcomes FILE] [--share 1/2]
    python recipes/quality/situations.py CASES --outcomes FILE --table docs/any_study.md     # writes the table of the documentation, analyzes nothing

CASES holds one study per entry, and the phantoms that they were made from as `_base`, `_dixon` and others, each with `truth/truth.json`. Every study is
analyzed, and its levels, canals, muscle volumes and fat fractions are compared with the truth of its phantom and with the errors that the untouched
phantom has.
Prints one line per study: right, flagged (values are wrong, and a warning or a check says so), withheld (values are missing), refused, or SILENT.
`--outcomes` keeps them: a run that was stopped goes on where it ended, as long as the source is the same, and several processes may share the file.
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from false_alarms import not_passed, source_version

import lumbar
from lumbar.errors import LumbarError
from lumbar.pipeline import Analysis, Models

# Beyond the error of the untouched phantom: a third of a level, a canal grade, 8 % of a volume, 2 points of fat.
_TURNED_DEGREES = {"steep_l5s1": 26.0}  # studies that were turned about the left-right axis, and their truth with them
# What is said of many sound studies, and of series that were left out on purpose.
_ROUTINE = ("severity grades are population frequencies", "graded on sagittal T2, as no sagittal T1", "could not be measured", "volumes add up", "not in view")
_UNCHECKED = "could not be checked"  # a limit that is said of the untouched phantom, too
_FAULTY = ("_metal", "_lumbarised", "_sacralised")  # phantoms whose anatomy is the fault: what is said of them untouched counts
_LONGEST = 160  # letters of a sentence in the table
_TOLERANCES = {"level_mm": 8.0, "canal_mm": 1.0, "volume_share": 0.08, "fat_points": 2.0}


def errors(analysis: Analysis, truth: dict[str, Any]) -> dict[str, float]:
    """The largest error of each kind; kinds that the analysis does not give are left out."""
    spine = analysis.findings.spine
    discs = {disc["level"]: disc for disc in truth["discs"]}
    levels = [(level, discs[level.level.value]) for level in (spine.levels if spine else ()) if level.level.value in discs]
    found: dict[str, list[float]] = {kind: [] for kind in _TOLERANCES}
    for level, disc in levels:
        found["level_mm"].append(float(np.linalg.norm(np.subtract(level.center_mm, disc["center_mm"]))))
        if level.canal_ap_mm is not None and level.level.value != "L5/S1":
            found["canal_mm"].append(abs(level.canal_ap_mm - disc["canal_ap_mm"]))
    muscles = {(one["muscle"], one["side"]): one for one in truth.get("muscles", ())}
    for muscle in analysis.findings.muscles:
        real = muscles.get((muscle.muscle.value, muscle.side.value))
        if real is None:
            continue
        found["volume_share"].append(abs(muscle.volume_ml / real["volume_ml"] - 1))
        if muscle.fat_fraction_mean is not None:
            found["fat_points"].append(100 * abs(muscle.fat_fraction_mean - real["fat_fraction_mean"]))
    return {kind: max(values) for kind, values in found.items() if values}


def turned(truth: dict[str, Any], degrees: float) -> dict[str, Any]:
    """The truth of a study that was turned about the axis from right to left."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return {**truth, "discs": [{**disc, "center_mm": (rotation @ disc["center_mm"]).tolist()} for disc in truth["discs"]]}


def said(analysis: Analysis) -> list[str]:
    """Warnings, and checks that did not pass."""
    return [*analysis.findings.warnings, *not_passed(analysis)]


def outcome(path: Path, models: Models, truth: dict[str, Any], usual: dict[str, float], expected_words: set[str], must_say: bool) -> tuple[str, str]:
    """Outcome of the study at `path`, as one word and in sentences.

    Args:
        path: of the study.
        models: of the analysis.
        truth: of its phantom.
        usual: errors of the untouched phantom.
        expected_words: warnings of the untouched phantom.
        must_say: whether something must be said even if all values that are compared are right: sides, for example, are not.
    """
    try:
        analysis = lumbar.analyze(lumbar.read_study(path), models)
    except LumbarError as error:
        return "refused", str(error)
    off = errors(analysis, truth)
    wrong = [f"{kind} {off[kind]:.2f}" for kind in off if off[kind] > usual.get(kind, 0.0) + _TOLERANCES[kind]]
    known = {text for text in expected_words if _UNCHECKED not in text}
    words = [text for text in said(analysis) if text not in known and not any(part in text for part in _ROUTINE)]
    missing = [kind for kind in usual if kind not in off]
    state = "SILENT" if (wrong or must_say) and not words else "flagged" if wrong else "withheld" if missing else "right"
    values = ", ".join(f"{kind} {value:.2f}" for kind, value in off.items())
    return state, " | ".join([values, *(["wrong: " + ", ".join(wrong)] if wrong else []), *(["missing: " + ", ".join(missing)] if missing else []), *words])


def situations(folder: Path, only: list[str]) -> Iterator[Path]:
    """The studies of the folder, the phantoms left out."""
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(("_", ".")) and path.name != "cases.json" and (not only or path.name in only):
            yield path


def told(folder: Path) -> dict[str, dict[str, Any]]:
    """What each study was made from: `cases.json` of `variations/make.py`, or guessed by name for the studies of make_cases.py."""
    record = folder / "cases.json"
    if record.exists():
        return dict(json.loads(record.read_text()))
    found: dict[str, dict[str, Any]] = {}
    for path in situations(folder, []):
        dixon = any(word in path.name for word in ("dixon", "philips", "nifti"))
        found[path.name] = {"kind": 0, "phantom": "_dixon" if dixon else "_base", "turned_degrees": _TURNED_DEGREES.get(path.name, 0.0)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--outcomes", type=Path, help="file of outcomes (JSON lines) that a run adds to and goes on from")
    parser.add_argument("--share", default="1/1", help="k/n: every n-th study from the k-th on, for n processes")
    parser.add_argument("--table", type=Path, help="page of the documentation whose table is written from --outcomes")
    options = parser.parse_args()
    origins, known = told(options.cases), remembered(options.outcomes)
    if options.table:
        write_table(options.table, options.cases, [row for name, row in sorted(known.items()) if name in origins])
        return
    number, of = map(int, options.share.split("/"))
    paths = list(situations(options.cases, options.only))[number - 1 :: of]
    todo = [path for path in paths if path.name not in known]
    models = lumbar.load_models()
    phantoms: dict[str, tuple[dict[str, Any], dict[str, float], set[str]]] = {}
    for path in todo:
        origin = origins[path.name]
        if origin["phantom"] not in phantoms:
            phantoms[origin["phantom"]] = untouched(options.cases / origin["phantom"], models)
        truth, usual, words = phantoms[origin["phantom"]]
        if origin["phantom"] in _FAULTY:
            words = set()
        state, text = outcome(path, models, turned(truth, origin["turned_degrees"]), usual, words, origin.get("must_say", False))
        known[path.name] = {"name": path.name, "kind": origin["kind"], "state": state, "text": text, "source": source_version()}
        if options.outcomes:
            with options.outcomes.open("a", encoding="utf-8") as file:
                file.write(json.dumps(known[path.name]) + "\n")
        print(f"{origin['kind']:2} {path.name:36} {state:9} {text}", flush=True)
    states = Counter(str(known[path.name]["state"]) for path in paths)
    print(", ".join(f"{count} {state}" for state, count in states.items()) + f": {'FAILED' if states['SILENT'] else 'PASSED'}")
    sys.exit(states["SILENT"] > 0)


def remembered(outcomes: Path | None) -> dict[str, dict[str, Any]]:
    """Outcomes of the same source, by the name of the study."""
    if outcomes is None or not outcomes.exists():
        return {}
    rows = [json.loads(line) for line in outcomes.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {row["name"]: row for row in rows if row["source"] == source_version()}


def write_table(page: Path, cases: Path, rows: list[dict[str, Any]]) -> None:
    """Replace the part of `page` between the marks of the folder's name by a table of `rows`."""
    begin, end = f"<!-- situations of {cases.name}: begin -->", f"<!-- situations of {cases.name}: end -->"
    text = page.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise SystemExit(f"{page} has no lines '{begin}' and '{end}'")
    lines = ["| situation | outcome | what is said |", "| --- | --- | --- |"]
    lines += [f"| {row['name'].replace('_', ' ')} | {row['state']} | {_said_first(row)} |" for row in rows]
    before, rest = text.split(begin)
    page.write_text(before + "\n".join([begin, *lines, end]) + rest.split(end, 1)[1], encoding="utf-8")
    print(f"{len(rows)} situations written to {page}")


def _said_first(row: dict[str, Any]) -> str:
    """The first two sentences on the study, without numbers of identifiers."""
    parts = row["text"].split(" | ")
    words = parts if row["state"] == "refused" else [part for part in parts[1:] if not part.startswith(("wrong: ", "missing: "))]
    short = [re.sub(r"\d[\d.]{19,}", "…", word.rsplit("/", 1)[-1] if word.startswith("/") else word) for word in words[:2]]
    return "; ".join(word if len(word) <= _LONGEST else word[: _LONGEST - 1].rstrip() + "…" for word in short).replace("|", "/")


def untouched(folder: Path, models: Models) -> tuple[dict[str, Any], dict[str, float], set[str]]:
    """Truth, errors and warnings of a phantom as it is."""
    truth = json.loads((folder / "truth/truth.json").read_text())
    analysis = lumbar.analyze(lumbar.read_study(folder / "dicom"), models)
    off, words = errors(analysis, truth), set(said(analysis))
    print(folder.name, {kind: round(value, 2) for kind, value in off.items()}, *words, sep=" | ", flush=True)
    return truth, off, words


if __name__ == "__main__":
    main()
