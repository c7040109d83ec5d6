"""Kill the service and its workers at random moments: every study has to end once, as done or as failed with a reason.

python benchmarks/service_kills.py --kills 200 --studies 60

The queue, the supervisor, the workers and the follower's intake are the real ones. The analysis stands in (0.1 to 0.5 s), and the archive is a folder
that notes every delivery. Prints one JSON document.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lumbar.io.staging import staged_folder
from lumbar.service.config import ServiceConfig, config_from
from lumbar.service.core import ServiceCore
from lumbar.service.folders import DataFolder
from lumbar.service.intake import Intake
from lumbar.service.log import set_up_log
from lumbar.service.orthanc import ArrivedStudy
from lumbar.service.store.database import Database
from lumbar.service.store.jobs import ENDED, JobStore, QueueRules
from lumbar.service.store.studies import StudyFacts, StudyStore
from lumbar.service.task import Progress, Task
from lumbar.service.worker import Outside, Worker
from lumbar.service.worker_process import end_with_the_service

RULES = QueueRules(lease_seconds=2.0, most_tries=3, backoff_seconds=(0.2, 0.5), wait_seconds=(0.2,))


class Folder:
    """An archive that writes a line for every delivery."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def download(self, images: Sequence[str], folder: Path) -> None:
        (folder / "000000.dcm").write_bytes(images[0].encode())

    def store(self, files: Sequence[Path]) -> None:
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
        with self._path.open("a") as file:
            file.write(f"{files[0].parent.parent.parent.parent.name} {digest}\n")


class StandIn:
    """Takes a while and writes other bytes at every run, so that a second analysis would show."""

    def run(self, task: Task, progress: Progress) -> None:
        for step in range(5):
            progress("standing in", step, 5)
            time.sleep(random.uniform(0.02, 0.1))  # noqa: S311
        with staged_folder(task.result, False) as stage:
            (stage / "findings.json").write_text('{"severity": [], "quality": {"status": "passed"}}')
            (stage / "dicom").mkdir()
            (stage / "dicom" / "sr.dcm").write_bytes(os.urandom(64))


def worker(delivered: Path) -> None:
    """The process of a worker."""
    set_up_log()
    told = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_the_service, daemon=True).start()
    config = config_from(told["config"])
    folder, database = DataFolder(config.data), Database(DataFolder(config.data).database)
    archive = Folder(delivered)
    Worker(told["name"], config, folder, (JobStore(database, config.queue), StudyStore(database)), StandIn(), Outside(archive)).run(threading.Event())  # type: ignore[arg-type]


def service(data: Path, delivered: Path) -> None:
    """The process of the service, without its pages."""
    set_up_log()
    config = ServiceConfig(data, workers=2, least_free_gib=0, queue=RULES)
    core = ServiceCore(config, (sys.executable, __file__, "--worker", str(delivered)))
    core.start()
    while True:
        time.sleep(1)


def children(pid: int) -> list[int]:
    """The workers of a service."""
    try:
        return [int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()]
    except OSError:
        return []


def wait_for_workers(pid: int) -> list[int]:
    """The workers of a service, which may be starting."""
    for _ in range(100):
        if found := children(pid):
            return found
        time.sleep(0.1)
    return []


def main() -> None:
    """Feed studies and kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--studies", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", type=Path)
    parser.add_argument("--service", type=Path, nargs=2)
    given = parser.parse_args()
    if given.worker:
        return worker(given.worker)
    if given.service:
        return service(*given.service)
    root = Path(tempfile.mkdtemp(prefix="lumbar-kills-"))
    try:
        print(json.dumps(run(given, root)))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return None


def run(given: argparse.Namespace, root: Path) -> dict[str, object]:
    """One round of kills, and what became of the studies."""
    draw = random.Random(given.seed)  # noqa: S311
    data, delivered = root / "data", root / "delivered"
    folder = DataFolder(data)
    database = Database(folder.database)
    jobs, studies = JobStore(database, RULES), StudyStore(database)
    intake = Intake(folder, studies, jobs)
    command = (sys.executable, __file__, "--service", str(data), str(delivered))
    log = (root / "log").open("w")
    process, kills, began = subprocess.Popen(command, stderr=log), Counter(), time.monotonic()
    sent = 0
    while kills.total() < given.kills:
        while sent < given.studies * (kills.total() + 1) / given.kills:
            intake.from_archive(ArrivedStudy(f"o{sent}", f"1.2.{sent}", "", StudyFacts(), (f"image {sent}",), True, ""))
            sent += 1
        workers = wait_for_workers(process.pid)
        time.sleep(draw.uniform(0.05, 1.0))
        if draw.random() < 0.3:
            process.kill()
            process.wait()
            kills["service"] += 1
            process = subprocess.Popen(command, stderr=log)
        elif workers:
            try:
                os.kill(draw.choice(workers), signal.SIGKILL)
                kills["worker"] += 1
            except ProcessLookupError:
                continue
    limit = time.monotonic() + 300
    while set(jobs.counts()) - set(ENDED) and time.monotonic() < limit:
        time.sleep(0.2)
    process.terminate()
    process.wait()
    return judged(given, jobs, studies, delivered) | {"kills": dict(kills), "seconds": round(time.monotonic() - began)}


def judged(given: argparse.Namespace, jobs: JobStore, studies: StudyStore, delivered: Path) -> dict[str, object]:
    """Counts of what has to hold."""
    found = jobs.changed_since(0)
    lines = [line.split() for line in delivered.read_text().splitlines()] if delivered.exists() else []
    contents = {study: {digest for name, digest in lines if name == study} for study, _ in lines}
    done = [job for job in found if job.state == "done"]
    versions = {job.study: len(studies.versions(job.study)) for job in found}
    return {
        "studies": given.studies, "jobs": len(found), "states": dict(Counter(job.state for job in found)),
        "failed_without_reason": sum(job.state == "failed" and not job.reason for job in found),
        "done_without_delivery": sum(job.study not in contents for job in done),
        "studies_with_two_results": sum(count > 1 for count in versions.values()), "studies_delivered_in_two_forms": sum(len(c) > 1 for c in contents.values()),
        "deliveries_repeated_unchanged": len(lines) - len(contents), "reasons": dict(Counter(job.reason for job in found if job.state == "failed")),
    }  # fmt: skip


if __name__ == "__main__":
    main()
