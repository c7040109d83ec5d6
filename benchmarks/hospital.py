"""Many senders, an Orthanc and the service, with kills: no study may be lost, none done twice for the same images, and memory has to stay level.

    python benchmarks/hospital.py                                         50 studies, 4 senders, a stand-in analysis
    python benchmarks/hospital.py --kill orthanc --kills 10               Orthanc is killed (-9) while it receives; the service catches up
    python benchmarks/hospital.py --kill orthanc,service,worker --kills 40
    python benchmarks/hospital.py --real FOLDER --studies 4 --kill service,worker,orthanc --kills 8 --pause 40

Real: Orthanc, C-STORE (dcmtk), the follower, the queue, the workers and the delivery by STOW-RS. The analysis stands in (0.2 s, one small object) unless --real
names a folder with studies, which are analyzed in earnest. A sender tries again until Orthanc has taken a study. Prints one JSON document; exit code 1 where
something is lost or doubled.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pydicom
from pydicom.uid import ComprehensiveSRStorage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from loopback import HTTP, USER, LoopbackOrthanc, completed, isolated, missing_tools, run_isolated, sent, wait

from lumbar.io.dicom_write import SeriesHeader, SliceImage, StudyHeader, derived_uid, write_slice
from lumbar.io.staging import staged_folder
from lumbar.service.config import config_from
from lumbar.service.engine import LumbarEngine
from lumbar.service.serve import serve
from lumbar.service.store.database import Database
from lumbar.service.store.jobs import ENDED, JobStore
from lumbar.service.store.studies import StudyStore
from lumbar.service.task import Progress, Task
from lumbar.service.worker_process import run_worker

SLICES, PORT = 12, 8080
QUEUE = {"lease_seconds": 5.0, "backoff_seconds": [0.5, 1.0], "wait_seconds": [0.5, 1.0, 2.0]}


class StandIn:
    """Takes a fifth of a second and writes one object, which follows from the images."""

    def __init__(self, _: object) -> None:
        pass

    def run(self, task: Task, progress: Progress) -> None:
        progress("standing in", 0, 1)
        time.sleep(0.2)
        images = sorted(task.images.glob("*.dcm"))
        made = pydicom.dcmread(images[0], stop_before_pixels=True)
        names = sorted(str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).SOPInstanceUID) for path in images)
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = derived_uid("stand-in", *names)
        made.SeriesInstanceUID, made.Modality = derived_uid("stand-in series", made.StudyInstanceUID), "SR"
        with staged_folder(task.result, False) as stage:
            (stage / "findings.json").write_text('{"severity": [], "quality": {"status": "passed"}}')
            (stage / "dicom").mkdir()
            made.save_as(stage / "dicom" / "measurements_sr.dcm", enforce_file_format=True)


class Node:
    """The service in a process of its own, which can be killed and started again."""

    def __init__(self, given: argparse.Namespace, orthanc: LoopbackOrthanc, folder: Path) -> None:
        self._command = [sys.executable, __file__, "--serve", "real" if given.real else "stand-in"]
        archive = {"url": f"http://127.0.0.1:{HTTP}", "user": USER, "password_file": str(orthanc.password_file), "reconcile_seconds": 10.0}
        queue = {} if given.real else QUEUE  # real analyses keep the patience that is shipped
        self._config = json.dumps({"data": str(folder / "data"), "port": PORT, "workers": 2, "least_free_gib": 0, "archive": archive, "queue": queue})
        self._log = folder / "node.log"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self._log.open("a") as log:
            self.process = subprocess.Popen(self._command, stdin=subprocess.PIPE, text=True, stderr=log)
        assert self.process.stdin is not None
        self.process.stdin.write(self._config + "\n")
        self.process.stdin.flush()
        wait(self._healthy, 300, "the service does not start")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    @property
    def workers(self) -> list[int]:
        """Process numbers of the workers."""
        assert self.process is not None
        try:
            return [int(one) for task in Path(f"/proc/{self.process.pid}/task").iterdir() for one in (task / "children").read_text().split()]
        except OSError:
            return []

    def mebibytes(self) -> int:
        """Resident memory of the service without its workers."""
        assert self.process is not None
        try:
            return round(int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096 / 2**20)
        except (OSError, IndexError):
            return 0

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{PORT}/api/health").is_success
        except httpx.TransportError:
            return False


def main() -> int:
    """Send, kill, judge."""
    if sys.argv[1:2] == ["--worker"]:
        run_worker(StandIn if sys.argv[2] == "stand-in" else LumbarEngine)
    if sys.argv[1:2] == ["--serve"]:
        serve(config_from(json.loads(sys.stdin.readline())), (sys.executable, __file__, "--worker", sys.argv[2]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--kill", default="", help="orthanc, service, worker; several with commas")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--pause", type=float, default=3.0, help="longest pause between two kills, seconds")
    parser.add_argument("--real", type=Path, help="folder with one folder a study, analyzed in earnest")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if missing := missing_tools():
        parser.error(missing)
    if not isolated():
        return run_isolated([__file__, *sys.argv[1:]])
    with tempfile.TemporaryDirectory(prefix="lumbar-load-") as folder:
        result = run(given, Path(folder))
        print(json.dumps(result))
        if not result["passed"]:
            print((Path(folder) / "node.log").read_text()[-4000:], file=sys.stderr)
    return 0 if result["passed"] else 1


def run(given: argparse.Namespace, folder: Path) -> dict[str, object]:
    """One round; what became of the studies."""
    folders = studies_of(given, folder / "send")
    orthanc = LoopbackOrthanc(folder, secrets.token_hex(16), stable_seconds=5)
    node = Node(given, orthanc, folder)
    orthanc.start()
    node.start()
    jobs = JobStore(Database(folder / "data" / "lumbar.sqlite"))
    memory, over = [node.mebibytes()], threading.Event()
    began = time.monotonic()
    with ThreadPoolExecutor(given.senders + 1) as pool:
        pool.submit(watch, memory, node, over)
        kills = Counter[str]()
        turns = [number * given.kills / given.studies for number in range(given.studies)]  # studies come as long as there are kills
        senders = [pool.submit(send_until_taken, one, lambda turn=turn: kills.total() >= turn) for one, turn in zip(folders, turns, strict=True)]
        kill_at_random(given, kills, orthanc, node)
        tries = sum(one.result() for one in senders)
        received = time.monotonic() - began
        wait(lambda: settled(orthanc, jobs, given.studies), 1800, "not all studies came to an end", 0.5)
        ended = time.monotonic() - began
        over.set()
    result = judged(given, orthanc, folder, folders)
    assert node.process is not None
    node.process.terminate()
    node.process.wait(30)
    orthanc.stop()
    half = len(memory) // 2
    level = kills["service"] > 0 or max(memory[half:]) <= 1.1 * max(memory[: half + 1])
    counts = {
        "studies": given.studies,
        "senders": given.senders,
        "sendings": tries,
        "kills": dict(kills),
        "received_after_s": round(received),
        "ended_after_s": round(ended),
    }
    sizes = {"service_mib_first_half": max(memory[: half + 1]), "service_mib_second_half": max(memory[half:])}
    return {**counts, **result, **sizes, "passed": level and all(result[name] == 0 for name in ("lost", "without_result", "doubled", "failed_without_reason"))}


def studies_of(given: argparse.Namespace, folder: Path) -> list[Path]:
    """The studies to send, ready for storescu."""
    folder.mkdir()
    draw = np.random.default_rng(given.seed)
    if given.real:
        sources = [path for path in sorted(given.real.iterdir()) if path.is_dir()][: given.studies]
        given.studies = len(sources)
        for source in sources:
            completed(source / "dicom" if (source / "dicom").is_dir() else source, folder / source.name)
        return [folder / source.name for source in sources]
    for number in range(given.studies):
        uid = f"1.2.826.0.1.{given.seed}.{number}"
        study = StudyHeader(uid, f"{uid}.9", f"P{number}", "F", 50.0, "20260101", "Maker", "Model", 1.5)
        series = SeriesHeader(f"{uid}.1", 1, "sag T2", "SE", 3000.0, 100.0, None, 90.0, 10, 4.0, 4.4)
        (folder / str(number)).mkdir()
        for at in range(SLICES):
            pixels = draw.integers(0, 900, (64, 64)).astype(np.uint16)
            image = SliceImage(pixels, np.array([4.4 * at, 0.0, 0.0]), np.array([0.0, 0.0, -2.0]), np.array([0.0, 2.0, 0.0]), at + 1)
            write_slice(folder / str(number) / f"{at}.dcm", image, study, series)
    return [folder / str(number) for number in range(given.studies)]


def send_until_taken(folder: Path, may_begin: Callable[[], bool]) -> int:
    """Send a study as a scanner does: again until all of it was taken; returns the number of tries."""
    wait(may_begin, 3600, "the kills do not come on")
    for tries in range(1, 200):
        if sent(folder):
            return tries
        time.sleep(0.5)
    raise SystemExit(f"{folder.name} was never taken")


def kill_at_random(given: argparse.Namespace, kills: Counter[str], orthanc: LoopbackOrthanc, node: Node) -> None:
    """Kill and start again until it was done as often as asked; counts in `kills`."""
    draw = random.Random(given.seed)  # noqa: S311
    while kills.total() < given.kills:
        time.sleep(draw.uniform(0.2, given.pause))
        what = draw.choice(given.kill.split(","))
        if what == "orthanc":
            orthanc.kill()
            orthanc.start()
        elif what == "service":
            node.kill()
            node.start()
        elif workers := node.workers:
            try:
                os.kill(draw.choice(workers), signal.SIGKILL)
            except ProcessLookupError:
                continue
        else:
            continue
        kills[what] += 1


def watch(memory: list[int], node: Node, over: threading.Event) -> None:
    """Note the memory of the service."""
    while not over.wait(1):
        if found := node.mebibytes():
            memory.append(found)


def settled(orthanc: LoopbackOrthanc, jobs: JobStore, studies: int) -> bool:
    """Whether all `studies` have been processed and Orthanc is receiving no more images."""
    counts = jobs.counts()
    if set(counts) - set(ENDED) or len({job.study for job in jobs.changed_since(0)}) < studies:
        return False
    return all(arrived is not None and arrived.stable for arrived in map(orthanc.client.study, (name for name, _ in orthanc.client.updates())))


def judged(given: argparse.Namespace, orthanc: LoopbackOrthanc, folder: Path, folders: list[Path]) -> dict[str, object]:
    """Counts of what has to hold."""
    database = Database(folder / "data" / "lumbar.sqlite")
    jobs, versions = JobStore(database).changed_since(0), StudyStore(database)
    by_study = {study: [job for job in jobs if job.study == study and job.state != "replaced"] for study in {job.study for job in jobs}}
    lost = incomplete = doubled = without = 0
    for path in folders:
        uid = str(pydicom.dcmread(next(path.glob("*.dcm")), stop_before_pixels=True).StudyInstanceUID)
        arrived, reports = in_archive(orthanc, uid)
        lost += arrived != len(list(path.glob("*.dcm")))
        without += reports == 0
    for study, own in by_study.items():
        results = versions.versions(study)
        doubled += len({one.fingerprint for one in results}) != len(results) or len({job.fingerprint for job in own}) != len(own)
        incomplete += len(results) > 1
    states = Counter(job.state for own in by_study.values() for job in own)
    failed = [job for own in by_study.values() for job in own if job.state == "failed"]
    return {
        "states": dict(states), "lost": lost, "without_result": without - len(failed), "doubled": doubled, "also_analyzed_while_incomplete": incomplete,
        "failed_without_reason": sum(not job.reason for job in failed), "reasons": dict(Counter(job.reason for job in failed)),
        "undelivered": sum(one.delivered is False for study in by_study for one in versions.versions(study)),
    }  # fmt: skip


def in_archive(orthanc: LoopbackOrthanc, uid: str) -> tuple[int, int]:
    """Number of MR images and of structured reports of a study in Orthanc."""
    for name, _ in orthanc.client.updates():
        arrived = orthanc.client.study(name)
        if arrived is not None and arrived.uid == uid:
            return len(arrived.images), orthanc.client.counts(name).get("SR", 0)
    return 0, 0


if __name__ == "__main__":
    sys.exit(main())
