"""Fill the disk of a running service, and make room again: nothing half-written stays, nothing is lost, and clients get a clear answer.

    python benchmarks/service_full_disk.py

Needs root, for a small file system of its own (tmpfs in a mount namespace). The analysis stands in and writes 2 MiB a study. Prints one JSON document; exit
code 1 for a fault.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

from lumbar.io.dicom_write import SeriesHeader, SliceImage, StudyHeader, write_slice
from lumbar.io.staging import staged_folder
from lumbar.service.config import config_from
from lumbar.service.folders import DataFolder
from lumbar.service.serve import serve
from lumbar.service.store.database import Database
from lumbar.service.store.jobs import ENDED, JobStore
from lumbar.service.store.studies import StudyStore
from lumbar.service.task import Progress, Task
from lumbar.service.users import Role, UserFile
from lumbar.service.worker_process import run_worker

PASSWORD, PORT, MIB = "a long password", 8195, 2**20
DISK_MIB, LEFT_KIB = 48, 700


class StandIn:
    """Writes 2 MiB."""

    def __init__(self, _: object) -> None:
        pass

    def run(self, task: Task, progress: Progress) -> None:
        progress("standing in", 0, 1)
        with staged_folder(task.result, False) as stage:
            (stage / "large").write_bytes(os.urandom(2 * MIB))
            (stage / "findings.json").write_text('{"severity": [], "quality": {"status": "passed"}}')


def study(number: int) -> bytes:
    """A zip of one study of 1 MiB."""
    header = StudyHeader(f"1.2.{number}", f"1.2.{number}.9", f"P{number}", "F", 50.0, "20260101", "Maker", "Model", 1.5)
    series = SeriesHeader(f"1.2.{number}.1", 1, "sag T2", "SE", 3000.0, 100.0, None, 90.0, 10, 4.0, 4.4)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed, tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for at in range(2):
            pixels = np.random.default_rng(number).integers(0, 999, (512, 512)).astype(np.uint16)
            image = SliceImage(pixels, np.array([4.4 * at, 0, 0]), np.array([0, 0, -2.0]), np.array([0, 2.0, 0]), at + 1)
            write_slice(Path(folder) / f"{at}.dcm", image, header, series)
            packed.write(Path(folder) / f"{at}.dcm", f"{at}.dcm")
    return sink.getvalue()


def main() -> int:
    """Fill, look, make room, judge."""
    if sys.argv[1:] == ["--worker"]:
        run_worker(StandIn)
    if sys.argv[1:2] == ["--serve"]:
        queue = {"wait_seconds": [1.0], "backoff_seconds": [0.5]}
        serve(config_from({"data": sys.argv[2], "port": PORT, "least_free_gib": 0, "queue": queue}), (sys.executable, __file__, "--worker"))
        return 0
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_known_args()
    if sys.argv[1:] != ["--inside"]:
        return subprocess.call(["unshare", "--mount", sys.executable, __file__, "--inside"])
    disk = Path(tempfile.mkdtemp(prefix="lumbar-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(disk)], check=True)
    UserFile(DataFolder(disk / "data").users).set("rita", Role.READER, PASSWORD)
    log = tempfile.TemporaryFile("w+", dir="/dev/shm")  # noqa: SIM115
    with subprocess.Popen([sys.executable, __file__, "--serve", str(disk / "data")], stderr=log) as server:
        try:
            result = run(disk)
        finally:
            server.terminate()
            server.wait(30)
    log.seek(0)
    told = log.read()
    errors = [line for line in told.splitlines() if " ERROR " in line]
    result["errors_in_the_log"] = sorted({line.split(" ERROR ")[1] for line in errors})[:5]
    result["tracebacks_in_the_log"] = told.count("Traceback")
    print(json.dumps(result))
    return 0 if result["passed"] and not result["tracebacks_in_the_log"] else 1


def run(disk: Path) -> dict[str, object]:
    """What happened before, while and after the disk was full."""
    client = httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60)
    wait(lambda: reached(client))
    client.post("/api/login", json={"user": "rita", "password": PASSWORD}).raise_for_status()
    client.headers["X-CSRF-Token"] = client.get("/api/session").json()["csrf"]
    jobs, studies = JobStore(Database(disk / "data" / "lumbar.sqlite")), StudyStore(Database(disk / "data" / "lumbar.sqlite"))
    for number in range(3):
        client.post("/api/studies", content=study(number)).raise_for_status()
    wait(lambda: jobs.counts() == {"done": 3})
    filler = disk / "filler"
    fill(filler, 2700 * 1024)
    client.post("/api/studies", content=study(3)).raise_for_status()  # there is room for its images, not for its result
    time.sleep(3)
    fill(filler, LEFT_KIB * 1024)
    answers = Counter(client.post("/api/studies", content=study(number)).status_code for number in range(4, 8))
    time.sleep(8)
    reasons = sorted({job.reason for job in jobs.changed_since(0) if job.state == "queued"})
    alive = client.get("/api/health").status_code
    filler.unlink()
    later = Counter(client.post("/api/studies", content=study(number)).status_code for number in range(4, 8))
    wait(lambda: set(jobs.counts()) <= set(ENDED))
    left = [path.name for path in (disk / "data").rglob("*") if path.name.startswith(".") or path.parent.name == "uploads"]
    done, versions = jobs.counts(), [len(studies.versions(job.study)) for job in jobs.changed_since(0)]
    passed = done == {"done": 8} and versions == [1] * 8 and not left and set(answers) <= {202, 503} and set(later) == {202} and alive == 200
    return {
        "uploads_while_full": {str(key): value for key, value in answers.items()}, "jobs_while_full": reasons, "health_while_full": alive,
        "uploads_with_room": {str(key): value for key, value in later.items()}, "jobs": done, "versions_of_each_study": versions, "left_over": left,
        "passed": passed,
    }  # fmt: skip


def fill(path: Path, leave: int) -> None:
    """Take all room but `leave` bytes."""
    with path.open("ab") as file:
        while (free := os.statvfs(path.parent).f_bavail * os.statvfs(path.parent).f_frsize) > leave:
            file.write(bytes(min(MIB, free - leave)))
            file.flush()


def reached(client: httpx.Client) -> bool:
    """Whether the service answers."""
    try:
        return client.get("/api/health").is_success
    except httpx.TransportError:
        return False


def wait(until, seconds: float = 300) -> None:
    """Wait until `until()` holds."""
    limit = time.monotonic() + seconds
    while not until():
        if time.monotonic() > limit:
            raise SystemExit("the service does not get on")
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
