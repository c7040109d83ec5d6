"""Draws the gallery of the documentation from synthetic studies: python scripts/gallery.py WORK. No patient is in these images.

WORK is a folder for the studies and their results. Chromium takes the screenshot of the report, if installed.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

IMAGES = Path(__file__).parent.parent / "docs" / "images"
SEED, SITE = "7", "A"  # the study of `make demo`
PREVIEWS = {"sagittal": "levels", "axial_l4_l5": "muscles", "fat_l4_l5": "fat"}
PAGE_PX = (1300, 1500)


def main() -> None:
    work = Path(sys.argv[1])
    lumbar = str(Path(sys.executable).with_name("lumbar"))
    _run([lumbar, "phantom", "study", str(work / "study"), "--seed", SEED, "--site", SITE, "--overwrite"])
    _run([lumbar, "analyze", str(work / "study"), "-o", str(work / "result"), "--overwrite"])
    for preview, name in PREVIEWS.items():
        Image.open(work / "result" / "previews" / f"{preview}.png").convert("RGB").save(IMAGES / f"{name}.jpg", quality=85, optimize=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium:
        page, shot = (work / "result" / "report.html").resolve().as_uri(), work / "report.png"
        size = ",".join(map(str, PAGE_PX))
        _run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}", f"--screenshot={shot}", page])
        Image.open(shot).convert("RGB").save(IMAGES / "report.jpg", quality=80, optimize=True)


def _run(command: list[str]) -> None:
    code = subprocess.run(command, check=False).returncode
    if code not in (0, 4):
        sys.exit(code)


if __name__ == "__main__":
    main()
