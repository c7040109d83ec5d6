"""Random associations against the DICOM receiver of a running service: it may not crash, take anything without rights, or queue what it did not confirm.

    python benchmarks/receiver_fuzz.py --associations 1000

The bytes of one right session (C-ECHO, C-STORE of an image) are recorded and sent again with changed, cut, repeated, exchanged or random parts, with wrong
titles, and with other data sets. Afterwards the receiver has to answer a C-ECHO and to take a study. Prints one JSON document; exit code 1 for a fault.
"""

import argparse
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, evt

from lumbar.io.dicom_write import SeriesHeader, SliceImage, StudyHeader, write_slice
from lumbar.service.store.database import Database
from lumbar.service.store.jobs import JobStore

TITLE, CALLER, AT_ONCE = "LUMBAR", "SCANNER", 4
FULL = "too many associations"
VERIFICATION = "1.2.840.10008.1.1"


class Recorder:
    """The messages of a right session, in their order."""

    def __init__(self, port: int, image: Path) -> None:
        self.sent: list[bytes] = []
        link = associate(port, handlers=[(evt.EVT_DATA_SENT, lambda event: self.sent.append(event.data))])
        assert link.send_c_echo().Status == 0
        assert link.send_c_store(pydicom.dcmread(image)).Status == 0
        link.release()


def associate(port: int, caller: str = CALLER, called: str = TITLE, handlers: list | None = None):
    """An association of pynetdicom."""
    entity = AE(ae_title=caller)
    entity.add_requested_context(VERIFICATION)
    entity.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    return entity.associate("127.0.0.1", port, ae_title=called, evt_handlers=handlers or [])


def changed(messages: list[bytes], draw: random.Random) -> list[bytes]:
    """The session with one kind of damage."""
    made = list(messages)
    at = draw.randrange(len(made))
    kind = draw.randrange(8)
    if kind == 0:  # some bytes
        part = bytearray(made[at])
        for _ in range(draw.randint(1, 12)):
            part[draw.randrange(len(part))] = draw.randrange(256)
        made[at] = bytes(part)
    elif kind == 1:  # cut
        made = [*made[:at], made[at][: draw.randrange(len(made[at]) + 1)]]
    elif kind == 2:  # another length
        made[at] = made[at][:2] + draw.randbytes(4) + made[at][6:]
    elif kind == 3:  # repeated
        made.insert(at, made[at])
    elif kind == 4:  # exchanged
        draw.shuffle(made)
    elif kind == 5:  # random bytes of a kind of message
        made[at] = bytes([draw.randint(0, 8), 0]) + len(payload := draw.randbytes(draw.randint(0, 3000))).to_bytes(4, "big") + payload
    elif kind == 6:  # noise instead of everything
        made = [draw.randbytes(draw.randint(0, 5000))]
    else:  # another title
        made[0] = made[0][:10] + draw.randbytes(32) + made[0][42:]
    return made


def attack(port: int, messages: list[bytes], seed: int) -> str:
    """One damaged session; how the receiver ended it. Where too many sessions before it have not ended yet, it is tried again."""
    for _ in range(120):
        if (end := attack_once(port, messages, seed)) != FULL:
            return end
        time.sleep(0.5)
    return FULL


def attack_once(port: int, messages: list[bytes], seed: int) -> str:
    """One damaged session."""
    draw = random.Random(seed)  # noqa: S311
    answer, end = b"", ""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as link:
            link.settimeout(0.3)
            for message in changed(messages, draw):
                link.sendall(message)
                try:
                    answer = answer or link.recv(65536)
                except TimeoutError:
                    continue
    except OSError:
        end = ", then broken off"
    if answer[:1] == b"\3" and answer[7:8] == b"\2":
        return FULL
    return {2: "accepted", 3: "rejected", 7: "aborted"}.get(answer[0] if answer else -1, "no answer") + end


def unknown_callers(port: int, count: int, draw: random.Random) -> int:
    """How many associations with wrong titles were let in."""
    names = ("ANY-SCP", "scanner", "SCANNER2", "LUMBAR", "*")
    admitted = 0
    for _ in range(count):
        link = associate(port, caller=draw.choice(names), called=draw.choice((TITLE, "OTHER")))
        admitted += link.is_established
        link.abort()
    return admitted


def study(folder: Path) -> list[Path]:
    """Two slices."""
    folder.mkdir()
    header = StudyHeader("1.2.3", "1.2.3.9", "P1", "F", 50.0, "20260101", "Maker", "Model", 1.5)
    series = SeriesHeader("1.2.3.1", 1, "sag T2", "SE", 3000.0, 100.0, None, 90.0, 10, 4.0, 4.4)
    for at in range(2):
        image = SliceImage(np.full((32, 32), 7, np.uint16), np.array([4.4 * at, 0, 0]), np.array([0, 0, -2.0]), np.array([0, 2.0, 0]), at + 1)
        write_slice(folder / f"{at}.dcm", image, header, series)
    return sorted(folder.iterdir())


def main() -> int:
    """Start the service, attack, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--associations", type=int, default=1000)
    parser.add_argument("--port", type=int, default=11193)
    parser.add_argument("--web-port", type=int, default=8194)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lumbar-fuzz-") as root:
        folder, data = Path(root), Path(root) / "data"
        settings = f'data = "{data}"\nport = {given.web_port}\nworkers = 0\nleast_free_gib = 0.0\n[receiver]\nport = {given.port}\n'
        (folder / "lumbar.toml").write_text(f'{settings}callers = ["{CALLER}"]\nquiet_seconds = 2.0\nmost_associations = 64\n')
        command = (sys.executable, "-c", "from lumbar.cli.main import main; main()", "serve", "--config", str(folder / "lumbar.toml"))
        with (folder / "log").open("w") as log, subprocess.Popen(command, stderr=log) as server:
            try:
                result = attacked(given, server.pid, data, study(folder / "study"))
            finally:
                server.terminate()
                server.wait(40)
        result["tracebacks_in_the_log"] = (folder / "log").read_text().count("Traceback")
        print(json.dumps(result))
    faults = result["tracebacks_in_the_log"] or result["let_in_without_rights"] or not result["takes_a_study_afterwards"] or result["unknown_studies"]
    return 1 if faults else 0


def attacked(given: argparse.Namespace, pid: int, data: Path, images: list[Path]) -> dict[str, object]:
    """What became of the associations, and of the service."""
    wait_for(lambda: healthy(given.web_port))
    wait_for(lambda: established(given.port))
    messages = Recorder(given.port, images[0]).sent
    memory, draw = resident(pid), random.Random(7)  # noqa: S311
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = Counter(pool.map(lambda seed: attack(given.port, messages, seed), range(given.associations)))
    wait_for(lambda: established(given.port))
    admitted = unknown_callers(given.port, 50, draw)
    link = associate(given.port)
    statuses = [link.send_c_store(pydicom.dcmread(path)).get("Status") for path in images]
    link.release()
    time.sleep(5)  # the quiet period
    jobs = JobStore(Database(data / "lumbar.sqlite")).changed_since(0)
    folders = [path for path in (data / "receiving").iterdir() if path.is_dir()]
    whole = [path for path in folders if all(pydicom.dcmread(one, force=True).get("Rows") is not None for one in path.glob("*.dcm"))]
    return {
        "associations": given.associations, "ended": dict(ends), "let_in_without_rights": admitted, "healthy": healthy(given.web_port),
        "takes_a_study_afterwards": statuses == [0, 0] and any(job.state == "queued" for job in jobs), "unknown_studies": len(folders) - len(whole),
        "half_written_files": len(list((data / "receiving").rglob("*.part"))), "mib_before": memory, "mib_after": resident(pid),
        "threads_after": threads(pid),
    }  # fmt: skip


def established(port: int) -> bool:
    """Whether the receiver answers a C-ECHO; it may be busy with what was sent before."""
    link = associate(port)
    answers = link.is_established and link.send_c_echo().get("Status") == 0
    link.release() if link.is_established else link.abort()
    return answers


def healthy(port: int) -> bool:
    """Whether the pages are there."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=10).is_success
    except httpx.TransportError:
        return False


def wait_for(until, seconds: float = 240) -> None:
    """Wait until `until()` holds."""
    limit = time.monotonic() + seconds
    while not until():
        if time.monotonic() > limit:
            raise SystemExit("the service does not answer")
        time.sleep(0.3)


def resident(pid: int) -> int:
    """Resident memory, MiB."""
    return round(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20)


def threads(pid: int) -> int:
    """Threads of the service: associations that hang would show."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


if __name__ == "__main__":
    sys.exit(main())
