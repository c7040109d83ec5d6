"""The pages in Debian's Chromium against a service with real workers: upload, progress, viewer, correction, and what must not happen."""

import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from stand_in import small_study

from lumbar.phantom.study import StudyOptions, make_study, write_study

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install 'lumbar[dev]')")
pytest.importorskip("fastapi", reason="lumbar[service] is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Debian's chromium is not installed")]

USERS = {"rita": ("reader", "a long password of rita"), "rob": ("reviewer", "a long password of rob")}
HOSTILE = "<img src=x onerror=alert(1)>"
PATIENCE_MS = 240_000  # for an analysis on a busy machine
LUMBAR = [sys.executable, "-c", "from lumbar.cli.main import main; main()"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic study as a zip, whose header and file name try to run scripts."""
    folder = tmp_path_factory.mktemp("study")
    write_study(make_study(StudyOptions(7, matrix_scale=0.5)), folder / "made", masks=False)
    path = folder / f"{HOSTILE}.zip".replace("/", "")
    with zipfile.ZipFile(path, "w") as file:
        for number, one in enumerate(sorted((folder / "made" / "dicom").rglob("*.dcm"))):
            data = dcmread(one)
            data.PatientName, data.StudyDescription = "Doe^Jane", HOSTILE
            buffer = io.BytesIO()
            data.save_as(buffer)
            file.writestr(f"{number}.dcm", buffer.getvalue())
    return path


@dataclass(frozen=True)
class Service:
    address: str
    pid: int

    def mebibytes(self) -> float:
        """Resident memory without the workers."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * 4096 / 2**20


@pytest.fixture(scope="module")
def address(service: Service) -> str:
    return service.address


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service with two users."""
    data = tmp_path_factory.mktemp("service") / "data"
    for name, (role, password) in USERS.items():
        subprocess.run([*LUMBAR, "users", "set", name, "--role", role, "--data", str(data)], input=f"{password}\n{password}\n", text=True, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([*LUMBAR, "serve", "--data", str(data), "--port", str(port)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{url}/api/health").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield Service(url, process.pid)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    arguments = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


class Person:
    """Somebody at a browser of their own; fails if a script of a file ever runs or a request leaves the service."""

    def __init__(self, browser, address: str) -> None:
        self.address, self.alarms = address, []
        self.page = browser.new_context(viewport={"width": 1300, "height": 850}).new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("dialog", lambda dialog: (self.alarms.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.alarms.append(f"error {error}"))
        self.page.on("request", lambda request: request.url.startswith((address, "blob:", "data:")) or self.alarms.append(f"outside {request.url}"))

    def log_in(self, user: str, password: str | None = None) -> None:
        self.page.goto(f"{self.address}/login")
        self.page.fill("#user", user)
        self.page.fill("#password", password or USERS[user][1])
        self.page.click("button[type=submit]")

    def open_done_study(self) -> None:
        self.page.goto(f"{self.address}/")
        self.page.click("tr:has(td[data-state=done]) a")
        self.page.wait_for_selector("body[data-ready]")

    def colors(self, pane: str) -> np.ndarray:
        """(pixels, 3) of a pane as it is on the screen."""
        self.page.wait_for_timeout(700)
        image = Image.open(io.BytesIO(self.page.locator(f"#{pane} canvas").screenshot())).convert("RGB")
        return np.asarray(image).astype(int).reshape(-1, 3)


def colored(pixels: np.ndarray) -> int:
    """How many pixels are neither grey nor the blue of the crosshair."""
    spread = pixels.max(1) - pixels.min(1)
    blue = (pixels[:, 2] > pixels[:, 0] + 60) & (pixels[:, 1] > pixels[:, 0] + 30)
    return int(((spread > 12) & ~blue).sum())


def test_a_wrong_password_opens_nothing(browser, address):
    person = Person(browser, address)
    person.page.goto(f"{address}/")
    assert person.page.url.startswith(f"{address}/login")
    person.log_in("rita", "a guess at the password")
    person.page.wait_for_selector("#message:not(:empty)")
    assert "wrong" in person.page.text_content("#message")
    assert person.page.request.post(f"{address}/api/studies/search", data={}).status in (401, 403)
    assert not person.alarms


def test_from_upload_to_corrected_numbers(browser, address, archive):
    rob = Person(browser, address)
    rob.log_in("rob")
    rob.page.set_input_files("#pick-archive", archive)
    rob.page.wait_for_selector("td[data-state=running] progress")
    rob.page.wait_for_selector("td[data-state=done]")
    row = rob.page.text_content("#rows tr")
    assert "Doe" in row and HOSTILE in row  # as text
    rob.open_done_study()
    masked = rob.colors("pane-right")
    rob.page.keyboard.press("m")
    plain = rob.colors("pane-right")
    assert colored(masked) > 500 and colored(plain) < 50, (colored(masked), colored(plain))
    rob.page.keyboard.press("m")
    assert colored(rob.colors("pane-left")) > 500
    last = rob.page.locator(".finding").last
    before = rob.page.get_attribute("#pane-right canvas", "data-slice"), rob.page.input_value("#pane-right select")
    last.click()
    rob.page.wait_for_timeout(3000)
    shown = rob.page.get_attribute("#pane-right canvas", "data-slice"), rob.page.input_value("#pane-right select")
    assert shown != before
    rob.page.click("#tab-report")
    assert "esearch use" in rob.page.frame_locator("#report").locator("body").inner_text()
    rob.page.click("#tab-correct")
    choice = rob.page.get_by_label("spinal canal L4/L5")
    found = choice.input_value()
    wanted = "severe" if found != "severe" else "moderate"
    choice.select_option(wanted)
    rob.page.fill("input[name=note]", "read again")
    rob.page.click("#correct button[type=submit]")
    rob.page.wait_for_selector("body[data-ready='2']")
    rob.page.wait_for_timeout(1500)
    assert found and rob.page.get_by_label("spinal canal L4/L5").input_value() == wanted
    rob.page.select_option("#version", "1")
    rob.page.wait_for_selector("body[data-ready='1']")
    rob.page.wait_for_timeout(1000)
    assert rob.page.get_by_label("spinal canal L4/L5").input_value() == found  # both versions are kept
    assert not rob.alarms


def test_a_reader_looks_and_corrects_nothing(browser, address):
    rita, rob = Person(browser, address), Person(browser, address)
    rita.log_in("rita")
    rob.log_in("rob")
    for person in (rita, rob):
        person.open_done_study()
        person.page.click("#tab-correct")
    assert rita.page.is_disabled("#correct button[type=submit]") and not rob.page.is_disabled("#correct button[type=submit]")
    assert rita.page.is_visible("#correct-role")
    study = rita.page.url.rsplit("/", 1)[1]
    token = rita.page.request.get(f"{address}/api/session").json()["csrf"]
    answer = rita.page.request.post(f"{address}/api/studies/{study}/corrections", data={"based_on": 1}, headers={"X-CSRF-Token": token})
    assert answer.status == 403
    assert not rita.alarms and not rob.alarms


def test_a_phone_shows_the_same_without_scrolling_sideways(browser, address):
    person = Person(browser, address)
    person.page.set_viewport_size({"width": 390, "height": 844})
    person.log_in("rita")
    person.page.wait_for_selector("#rows a")
    for _ in range(2):
        box = person.page.locator("main").bounding_box()
        assert box["width"] <= 390 and person.page.evaluate("document.scrollingElement.scrollWidth") <= 390
        person.open_done_study()
        for tab in ("viewer", "report", "correct", "earlier", "files"):
            person.page.click(f"#tab-{tab}")
            assert person.page.evaluate("document.scrollingElement.scrollWidth") <= 390, tab
        person.page.click("#tab-viewer")
    assert not person.alarms


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, which is no part of the product; npm fetches it or has it."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if npm is None or subprocess.run([npm, "pack", "axe-core@4.14.1", "--silent"], cwd=folder, check=False, capture_output=True).returncode:
        pytest.skip("axe-core cannot be fetched (npm)")
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        return package.extractfile("package/axe.min.js").read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(browser, address, axe, scheme):
    person = Person(browser, address)
    person.page.emulate_media(color_scheme=scheme)
    faults = []

    def check(where: str) -> None:
        person.page.evaluate(axe)
        found = person.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert found["passes"]
        for one in found["violations"]:
            if one["impact"] in ("serious", "critical"):
                faults.append((where, one["id"], [node["html"][:150] for node in one["nodes"]][:3]))

    person.page.goto(f"{address}/login")
    check("login")
    person.log_in("rob")
    person.page.wait_for_selector("#rows a")
    check("worklist")
    person.open_done_study()
    for tab in ("viewer", "report", "correct", "earlier", "files"):
        person.page.click(f"#tab-{tab}")
        person.page.wait_for_timeout(500)
        check(tab)
    assert not faults, faults


def test_half_a_gigabyte_passes_through_the_page_and_the_service_without_staying(browser, service, tmp_path):
    large = tmp_path / "large.zip"
    with zipfile.ZipFile(large, "w", zipfile.ZIP_STORED) as file:
        for path in small_study(tmp_path / "small", StudyInstanceUID="1.2.840.500").iterdir():
            file.write(path, path.name)
        with file.open("photos.bin", "w", force_zip64=True) as sink:
            for _ in range(500):
                sink.write(os.urandom(2**20))
    rob = Person(browser, service.address)
    rob.log_in("rob")
    rob.page.wait_for_selector("#pick-archive", state="attached")
    heap = "performance.memory.usedJSHeapSize / 2**20"
    before, at_most, over = service.mebibytes(), [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            at_most[0] = max(at_most[0], service.mebibytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    page_before = rob.page.evaluate(heap)
    rob.page.set_input_files("#pick-archive", large)
    rob.page.wait_for_selector("#uploads li:has-text('received')")
    over.set()
    watcher.join()
    assert at_most[0] - before < 64, (before, at_most)
    assert rob.page.evaluate(heap) - page_before < 32
    assert not rob.alarms
