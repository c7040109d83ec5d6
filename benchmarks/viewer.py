"""Time from opening a study's page to its first slice on the screen, in Chromium against a running service.

    python benchmarks/viewer.py STUDY [--loads 10]

STUDY is a folder of DICOM images. It is uploaded in the browser and analyzed; then its page is opened again and again, each time in a new browser context
without a cache. Prints the medians as one JSON document. WebGL is emulated in software here: drawing takes seconds that a graphics card does not need.
"""

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

LUMBAR = [sys.executable, "-c", "from lumbar.cli.main import main; main()"]
CHROMIUM_OPTIONS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader", "--disable-background-networking"]
PATIENCE_MS = 300_000
USER, PASSWORD = "rita", "a long password of rita"
SHOWN = "canvas[data-slice]"  # set when a slice has been drawn, in either of the two viewers
ARRIVED = "performance.getEntriesByType('resource').filter(one => one.name.endsWith('.nii.gz')).slice(0, 2).at(-1).responseEnd / 1000"  # first volume and mask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--loads", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        archive = shutil.make_archive(str(Path(folder) / "study"), "zip", options.study)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        data = str(Path(folder) / "data")
        subprocess.run([*LUMBAR, "users", "set", USER, "--role", "reader", "--data", data], input=f"{PASSWORD}\n{PASSWORD}\n", text=True, check=True)
        service = subprocess.Popen([*LUMBAR, "serve", "--data", data, "--port", str(port)], stderr=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(address)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_OPTIONS)
                study = upload(browser, address, archive)
                seconds = [first_slice(browser, address, study) for _ in range(options.loads)]
                browser.close()
        finally:
            service.terminate()
            service.wait(30)
    arrived, drawn = zip(*seconds, strict=True)
    facts = {"loads": len(seconds), "arrived_seconds": round(statistics.median(arrived), 2), "drawn_seconds": round(statistics.median(drawn), 2)}
    print(json.dumps(facts))


def wait_for(address: str) -> None:
    for _ in range(300):
        try:
            httpx.get(f"{address}/api/health").raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SystemExit("the service does not start")


def logged_in(browser: Browser, address: str) -> Page:
    """A page of a new browser context, whose cache is empty, with a session of the user."""
    page = browser.new_context(viewport={"width": 1300, "height": 850}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{address}/login")
    page.fill("#user", USER)
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("#pick-archive", state="attached")
    return page


def upload(browser: Browser, address: str, archive: str) -> str:
    """Upload the study, wait for its analysis, and return the address of its page."""
    page = logged_in(browser, address)
    page.set_input_files("#pick-archive", archive)
    page.click("tr:has(td[data-state=done]) a")
    page.wait_for_selector(SHOWN)
    found = page.url
    page.context.close()
    return found


def first_slice(browser: Browser, address: str, study: str) -> tuple[float, float]:
    """Seconds from the request of the study's page until the first volume and mask have arrived, and until their first slice has been drawn."""
    page = logged_in(browser, address)
    start = time.perf_counter()
    page.goto(study, wait_until="commit")
    page.wait_for_selector(SHOWN)
    seconds = time.perf_counter() - start
    arrived = float(page.evaluate(ARRIVED))
    page.context.close()
    return arrived, seconds


if __name__ == "__main__":
    main()
