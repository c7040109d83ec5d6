"""`make demo`: analyze a synthetic study (or the user's own) and print the findings beside the ground truth."""

import json
import subprocess
import sys
from pathlib import Path

SEED = "7"


def main() -> None:
    out = Path(sys.argv[1])
    study = Path(sys.argv[2]) if len(sys.argv) > 2 else out / "study"
    lumbar = str(Path(sys.executable).with_name("lumbar"))
    if len(sys.argv) <= 2:
        print("Making a synthetic study …")
        _run([lumbar, "phantom", "study", str(study), "--seed", SEED, "--site", "A", "--overwrite"])
    print("Analyzing it …")
    images = study if len(sys.argv) > 2 else study / "dicom"  # the ground truth lies beside the images
    _run([lumbar, "analyze", str(images), "-o", str(out / "report"), "--overwrite"])
    findings = json.loads((out / "report" / "findings.json").read_text(encoding="utf-8"))
    truth = _truth(study)
    print(f"\nlevel    {'canal, antero-posterior':26s}mean disc height{'' if len(sys.argv) > 2 else '   (ground truth in brackets)'}")
    for level in findings["spine"]["levels"]:
        name = level["level"]
        cells = (_beside(level[field], truth.get(name, {}).get(field)) for field in ("canal_ap_mm", "disc_height_mm"))
        print(f"{name:8s} " + "   ".join(f"{cell:23s}" for cell in cells))
    print(f"\nOpen {out / 'report' / 'report.html'} in a browser. {findings['statement']}")


def _truth(study: Path) -> dict[str, dict[str, float]]:
    """Ground truth of a synthetic study by level; empty for a study of the user."""
    file = study / "truth" / "truth.json"
    if not file.is_file():
        return {}
    heights = ("disc_height_anterior_mm", "disc_height_middle_mm", "disc_height_posterior_mm")
    discs = json.loads(file.read_text(encoding="utf-8"))["discs"]
    return {d["level"]: {"canal_ap_mm": d["canal_ap_mm"], "disc_height_mm": sum(d[h] for h in heights) / 3} for d in discs}


def _beside(found: float | None, true: float | None) -> str:
    shown = "–" if found is None else f"{found:.1f} mm"
    return shown if true is None else f"{shown} (true {true:.1f})"


def _run(command: list[str]) -> None:
    code = subprocess.run(command, check=False).returncode
    if code not in (0, 4):
        sys.exit(code)


if __name__ == "__main__":
    main()
