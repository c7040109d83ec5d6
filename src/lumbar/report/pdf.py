"""The report as PDF: the page printed by Chromium, or plain pages with the same figures and images if Chromium is not installed."""

import io
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from lumbar.domain.findings import Findings
from lumbar.domain.values import value_rows
from lumbar.report.document import RESEARCH_USE, to_document
from lumbar.report.images import ReportImage

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS = 60
_A4 = (8.27, 11.69)  # inches
_LINES = 70  # per page
_LETTERS = 100  # per line


def report_pdf(page: Path, findings: Findings, images: Mapping[str, ReportImage]) -> bytes:
    """The report of `findings`, whose page is the file `page`, as PDF."""
    return printed(page) or plain_pdf(findings, images)


def printed(page: Path) -> bytes | None:
    """`page` as Chromium prints it; None where Chromium is missing or fails."""
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        return None
    with tempfile.TemporaryDirectory(prefix="lumbar-") as folder:
        out = Path(folder) / "report.pdf"
        command = [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={folder}/profile",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--no-pdf-header-footer", f"--print-to-pdf={out}", page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)  # noqa: S603  (no shell; the file was written by lumbar)
            return out.read_bytes()
        except (OSError, subprocess.SubprocessError):
            return None


def plain_pdf(findings: Findings, images: Mapping[str, ReportImage]) -> bytes:
    """All warnings, values and images on plain pages."""
    out = io.BytesIO()
    with PdfPages(out, metadata={"Title": "Lumbar spine MRI, automatic analysis", "CreationDate": None}) as pages:
        lines = _lines(findings)
        for start in range(0, len(lines), _LINES):
            figure = Figure(figsize=_A4)
            figure.text(0.06, 0.97, "\n".join(lines[start : start + _LINES]), family="monospace", fontsize=8, va="top")
            pages.savefig(figure)
        for image in images.values():
            figure = Figure(figsize=_A4)
            axes = figure.add_axes((0.06, 0.1, 0.88, 0.8))
            axes.imshow(image.image)
            axes.set_axis_off()
            figure.text(0.06, 0.95, textwrap.fill(f"{image.caption}. {RESEARCH_USE}", _LETTERS), fontsize=9, va="top")
            pages.savefig(figure)
    return out.getvalue()


def _lines(findings: Findings) -> list[str]:
    document = to_document(findings)
    lines = ["Lumbar spine MRI, automatic analysis", RESEARCH_USE, ""]
    checks = findings.quality.checks if findings.quality else ()
    for sentence in (*(f"quality {check.status}: {check.note}" for check in checks if check.status != "passed"), *findings.warnings):
        lines += textwrap.wrap(f"! {sentence}", _LETTERS)
    lines.append("")
    for row in value_rows(findings.study_uid, document):
        place = " ".join(part for part in (row.level, row.side, row.structure) if part)
        error = "" if row.error is None else f" ± {row.error:g}"
        lines.append(f"{place[:34]:34} {row.finding[:38]:38} {row.value:>10g}{error} {row.unit}")
    return lines
