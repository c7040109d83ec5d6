"""How often the quality gate doubts studies in which nothing is wrong: plain phantoms of all nine sites, and the real study if it is there.

    python recipes/quality/false_alarms.py [--studies 100] [--folder WORK] [--real STUDY]

Prints every check that did not pass, the share of studies without any, and the interval (Wilson, 95 %) of that share. A contradiction between canal and grade
is no false alarm where the grade is wrong (the grader was trained on people and misses some stenoses of phantoms), nor is an impossible width of a canal
so narrow that its mask breaks off. Phantoms have half the pixels of their site along each edge. `--folder` keeps phantoms and outcomes: a run that was
stopped goes on where it ended, as long as the source is the same.
Ends with a verdict: at least 95 % of the phantoms, and the real study, must be quiet.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from statsmodels.stats.proportion import proportion_confint

import lumbar
from lumbar.pipeline import Analysis, Models

SITES = "ABCDEFGHI"
_QUIET = 0.95  # share of plain phantoms that must be


def phantom(folder: Path, seed: int) -> Path:
    """The DICOM folder of the phantom of that seed, made if it is not there."""
    out = folder / str(seed)
    if not out.exists():
        words = ["phantom", "study", str(out), "--seed", str(seed), "--site", SITES[(seed - 1) % 9], "--matrix-scale", "0.5"]
        code = "import sys; from lumbar.cli.main import main; main(sys.argv[1:])"
        subprocess.run([sys.executable, "-c", code, *words], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return out / "dicom"


def alarms(study: Path, models: Models) -> list[str]:
    """The checks of an analysis that did not pass, as text."""
    return not_passed(lumbar.analyze(lumbar.read_study(study), models))


def not_passed(analysis: Analysis) -> list[str]:
    """The checks that did not pass, as text."""
    checks = analysis.findings.quality.checks if analysis.findings.quality else ()
    return [f"{check.status} {check.name}: {check.note}" for check in checks if check.status != "passed"]


def source_version() -> str:
    """Hash of the source that is run."""
    folder = Path(lumbar.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def remembered(folder: Path, seed: int, models: Models) -> list[str]:
    """The alarms of the phantom of that seed, from an earlier run of the same source if there is one."""
    record = folder / f"{seed}.{source_version()}.json"
    if not record.exists():
        record.write_text(json.dumps(alarms(phantom(folder, seed), models)))
    return list(json.loads(record.read_text()))


def true_grades(folder: Path, seed: int) -> dict[str, str]:
    """The true grade of central stenosis by level."""
    truth = json.loads((folder / str(seed) / "truth" / "truth.json").read_text())
    return {entry["level"]: entry["severity"] for entry in truth["severity"] if entry["condition"] == "spinal_canal_stenosis"}


def deserved(text: str, canals: dict[str, str]) -> bool:
    """Whether an alarm names something that is wrong: a canal with a wrong grade, or one so narrow that its mask breaks off there."""
    _, check, rest = text.split(" ", 2)
    level = rest.split(":", maxsplit=1)[0]
    if check == "measurement_against_grade:":
        return rest.rsplit("graded ", maxsplit=1)[-1].replace(" or ", "_") != canals[level]
    return check == "measurements_plausible:" and "canal from front to back" in rest and canals[level] != "normal_mild"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--real", type=Path)
    options = parser.parse_args()
    models = lumbar.load_models()
    real = alarms(options.real, models) if options.real else []
    if options.real:
        print("real study:", real or "quiet", flush=True)
    quiet = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in range(options.first, options.first + options.studies):
            found, canals = remembered(folder, seed, models), true_grades(folder, seed)
            quiet += all(deserved(text, canals) for text in found)
            for text in found:
                print(f"seed {seed}, site {SITES[(seed - 1) % 9]}: {text}{' (rightly)' if deserved(text, canals) else ''}", flush=True)
    low, high = proportion_confint(quiet, options.studies, method="wilson")
    passed = quiet >= _QUIET * options.studies and not real
    print(f"quiet on {quiet} of {options.studies} phantoms ({low:.1%} to {high:.1%}): {'PASSED' if passed else 'FAILED'}")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
