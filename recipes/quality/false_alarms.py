"""How often the quality gate doubts studies in which nothing is wrong: plain phantoms of all nine sites, and the real study if it is there.

    python recipes/quality/false_alarms.py [--studies 100] [--folder PHANTOMS] [--real STUDY]

Prints every check that did not pass, the share of studies without any, and the interval (Wilson, 95 %) of that share. `--folder` keeps the phantoms.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from statsmodels.stats.proportion import proportion_confint

import lumbar
from lumbar.pipeline import Analysis, Models

SITES = "ABCDEFGHI"


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--real", type=Path)
    options = parser.parse_args()
    models = lumbar.load_models()
    if options.real:
        print("real study:", alarms(options.real, models) or "quiet", flush=True)
    quiet = 0
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(options.first, options.first + options.studies):
            found = alarms(phantom(options.folder or Path(temporary), seed), models)
            quiet += not found
            for text in found:
                print(f"seed {seed}, site {SITES[(seed - 1) % 9]}: {text}", flush=True)
    low, high = proportion_confint(quiet, options.studies, method="wilson")
    print(f"quiet on {quiet} of {options.studies} phantoms ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
