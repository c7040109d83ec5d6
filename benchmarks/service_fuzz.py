"""Random requests against a running service, and the time of the worklist's first page with 1,000 studies.

python benchmarks/service_fuzz.py --requests 1000

Half of the requests come without a session, half from a reader; some are bytes that are no HTTP. Nothing may crash, show a traceback, be let in without
rights, or change the list. Prints one JSON document.
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
from pathlib import Path

import httpx

from lumbar.service.folders import DataFolder
from lumbar.service.store.database import Database
from lumbar.service.store.jobs import JobStore, Work
from lumbar.service.store.studies import NewVersion, StudyFacts, StudyStore
from lumbar.service.users import Role, UserFile

PASSWORD = "a long password"  # noqa: S105
OPEN = {("GET", "/api/health"), ("GET", "/login"), ("HEAD", "/login")}
WORDS = (
    *[
        "api",
        "api",
        "api",
        "studies",
        "studies",
        "jobs",
        "search",
        "versions",
        "1",
        "-1",
        "files",
        "..",
        "%2e%2e",
        "%00",
        "masks",
        "spine",
        "corrections",
        "uploads",
        "finish",
        "audit",
        "session",
        "login",
    ],
    *["dicom-web", "static", "places", "volumes", "v1.nii.gz", "events", "health", "earlier", "compare", "<script>", "é"],
    "a" * 300,
    "'; DROP TABLE jobs; --",
)
METHODS = ("GET", "GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "FOO")
BODIES = (
    b"", b"{}", b"[]", b"null", b'{"text": 1}', b'{"user": "x", "password": null}', b"\xff" * 100, b'{"based_on": 1e999}', b"[" * 5000,
    b"PK\x03\x04" + bytes(50),
)  # fmt: skip


def fill(data: Path, count: int) -> None:
    """A worklist of finished studies."""
    folder = DataFolder(data)
    database = Database(folder.database)
    jobs, studies = JobStore(database), StudyStore(database)
    draw = random.Random(1)  # noqa: S311
    for number in range(count):
        study = folder.key_of_study(f"1.2.{number}")
        studies.register(study, "", StudyFacts(f"Name {number}", f"P{number}", study_date="2026-01-01"), "upload", float(number))
        job, _ = jobs.submit(Work(study, "analyze", f"{number}", {"kind": "files"}, {}))
        leased = jobs.claim("fill")
        assert leased is not None
        severity = draw.choice(("normal_mild", "moderate", "severe"))
        worst = {"condition": "spinal_canal_stenosis", "level": "L4/L5", "severity": severity, "text": severity}
        studies.add_version(NewVersion(study, job, f"{number}", 0.0, draw.choice(("passed", "doubtful")), worst, draw.random()))
        jobs.finish(leased)


def paths(draw: random.Random) -> str:
    """An address of words that mean something and words that do not."""
    return "/" + "/".join(draw.choice(WORDS) for _ in range(draw.randint(0, 7))) + draw.choice(("", "?limit=1", "?offset=-1", "?a=%ff", "?" + "x" * 500))


def raw(port: int, draw: random.Random) -> bytes:
    """Bytes that are no request, or a broken one."""
    heads = (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00", b"POST /api/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
             b"GET /api/session HTTP/1.1\r\nHost: localhost\r\nCookie: lumbar_session=" + b"a" * 5000 + b"\r\n\r\n", b"GET " + b"a" * 30000)  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), 5) as link:
        link.settimeout(1)
        link.sendall(draw.choice(heads) + draw.randbytes(draw.randint(0, 200)))
        link.shutdown(socket.SHUT_WR)
        try:
            return link.recv(65536)
        except (TimeoutError, ConnectionError):
            return b""


def attack(base: str, port: int, count: int, clients: dict[str, httpx.Client]) -> dict[str, object]:
    """Send the requests and judge the answers."""
    draw, statuses, bad = random.Random(2), Counter(), []  # noqa: S311
    for _ in range(count):
        if draw.random() < 0.15:
            answer = raw(port, draw)
            statuses["raw"] += 1
            if b"Traceback" in answer or b" 200 " in answer[:20]:
                bad.append(answer[:100].decode("latin-1"))
            continue
        who, method, path = draw.choice(("nobody", "reader")), draw.choice(METHODS), paths(draw)
        headers = {"X-Junk": "x" * draw.randint(0, 300), **({"X-CSRF-Token": "wrong"} if draw.random() < 0.3 else {})}
        try:
            answer = clients[who].request(method, base + path, content=draw.choice(BODIES), headers=headers, timeout=20)
        except (httpx.InvalidURL, httpx.RemoteProtocolError):
            statuses["refused by the client or broken off"] += 1
            continue
        statuses[answer.status_code] += 1
        opened = (method, answer.request.url.path) in OPEN or answer.request.url.path.startswith("/static/")
        if "Traceback" in answer.text or answer.status_code >= 500 or (who == "nobody" and answer.is_success and not opened):
            bad.append(f"{who} {method} {answer.request.url.path}: {answer.status_code}")
    return {"requests": count, "statuses": {str(key): value for key, value in statuses.items()}, "bad": bad}


def main() -> None:
    """Start the service, send, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--port", type=int, default=8193)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lumbar-fuzz-") as root:
        data, base = Path(root) / "data", f"http://127.0.0.1:{given.port}"
        fill(data, given.studies)
        UserFile(DataFolder(data).users).set("reader", Role.READER, PASSWORD)
        command = (sys.executable, "-c", "from lumbar.cli.main import main; main()", "serve", "--data", str(data), "--port", str(given.port), "--workers", "0")
        with (Path(root) / "log").open("w") as log, subprocess.Popen(command, stderr=log) as server:
            try:
                reader = httpx.Client()
                for _ in range(300):
                    try:
                        if reader.get(f"{base}/api/health").is_success:
                            break
                    except httpx.TransportError:
                        time.sleep(0.2)
                reader.post(f"{base}/api/login", json={"user": "reader", "password": PASSWORD}).raise_for_status()
                token = {"X-CSRF-Token": reader.get(f"{base}/api/session").json()["csrf"]}
                times = []
                for _ in range(10):
                    began = time.perf_counter()
                    page = reader.post(f"{base}/api/studies/search", json={"sort": "severity"}, headers=token).json()
                    times.append(time.perf_counter() - began)
                result = attack(base, given.port, given.requests, {"nobody": httpx.Client(), "reader": reader})
                after = httpx.get(f"{base}/api/health").json()
                total = Database(data / "lumbar.sqlite").read.execute("SELECT count(*) FROM studies").fetchone()[0]
            finally:
                server.terminate()
                server.wait(20)
        traces = (Path(root) / "log").read_text().count("Traceback")
        print(json.dumps({**result, "alive": after["status"] == "ok", "studies": page["total"], "studies_afterwards": total, "tracebacks_in_the_log": traces,
                          "first_page_seconds": {"median": round(sorted(times)[5], 3), "slowest": round(max(times), 3)}}))  # fmt: skip


if __name__ == "__main__":
    main()
