"""Time from opening a study's page to its first slice on the screen, in Chromium against a running service.

    python benchmarks/viewer.py STUDY [--loads 10]

STUDY is a folder of DICOM images. It is uploaded in the browser and analyzed; then its page is opened again and again, each time in a new browser context
without a cache. Prints one JSON document. WebGL is emulated in software here, which is slower than any graphics card.
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
from playwright.sync_api import Browser, sync_playwright

LUMBAR = [sys.executable, "-c", "from lumbar.cli.main import main; main()"]
CHROMIUM_OPTIONS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader", "--disable-background-networking"]
PATIENCE_MS = 600_000
SHOWN = "#pane-right canvas[data-slice]"  # set when a slice has been drawn


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
        service = subprocess.Popen([*LUMBAR, "serve", "--data", str(Path(folder) / "data"), "--port", str(port)], stderr=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(address)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_OPTIONS)
                page = upload(browser, address, archive)
                seconds = [first_slice(browser, page) for _ in range(options.loads)]
                browser.close()
        finally:
            service.terminate()
            service.wait(30)
    facts = {"loads": len(seconds), "median_seconds": round(statistics.median(seconds), 2), "longest_seconds": round(max(seconds), 2)}
    print(json.dumps(facts))


def wait_for(address: str) -> None:
    for _ in range(300):
        try:
            httpx.get(f"{address}/api/health").raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SystemExit("the service does not start")


def upload(browser: Browser, address: str, archive: str) -> str:
    """Upload the study, wait for its analysis, and return the address of its page."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{address}/")
    page.set_input_files("#pick-archive", archive)
    page.click("tr:has(td[data-state=done]) a")
    page.wait_for_selector(SHOWN)
    found = page.url
    page.close()
    return found


def first_slice(browser: Browser, address: str) -> float:
    """Seconds from the request of the page to the first slice in the viewer."""
    context = browser.new_context(viewport={"width": 1300, "height": 850})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    start = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(SHOWN)
    seconds = time.perf_counter() - start
    context.close()
    return seconds


if __name__ == "__main__":
    main()
