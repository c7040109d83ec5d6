"""The read-only way to the archive's DICOMweb, with a web server that plays the archive."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from fastapi.testclient import TestClient
from running_site import PASSWORD

from lumbar.service.config import ArchiveSettings, ServiceConfig
from lumbar.service.core import ServiceCore
from lumbar.service.http.app import make_app
from lumbar.service.users import Role, UserFile


class Archive(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        if self.path.startswith("/dicom-web"):
            self.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    Archive.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "password").write_text("of the archive")
    settings = ArchiveSettings(f"http://127.0.0.1:{server.server_address[1]}", "node", tmp_path / "password")
    core = ServiceCore(ServiceConfig(tmp_path / "data", workers=0, least_free_gib=0, archive=settings))
    UserFile(core.folder.users).set("rita", Role.READER, PASSWORD)
    with TestClient(make_app(core), base_url="http://localhost", follow_redirects=False) as made:
        yield made
    server.shutdown()


def test_a_reader_looks_into_the_archive_with_the_service_s_password_and_others_do_not(client: TestClient) -> None:
    assert client.get("/dicom-web/studies").status_code == 401 and not Archive.asked
    client.post("/api/login", json={"user": "rita", "password": PASSWORD})
    answer = client.get("/dicom-web/studies/1.2.3/series?limit=5")
    assert answer.status_code == 200 and answer.json() == [] and "basic" not in str(answer.headers).lower()
    (asked,) = Archive.asked
    assert asked[0] == "/dicom-web/studies/1.2.3/series?limit=5" and asked[1].startswith("Basic ")


@pytest.mark.parametrize("path", ["system", "studies/%2e%2e/%2e%2e/system", "studies/%252e%252e/system", "studies//1", "series/a%0d%0a"])
def test_other_paths_do_not_reach_the_archive(client: TestClient, path: str) -> None:
    client.post("/api/login", json={"user": "rita", "password": PASSWORD})
    assert client.get(f"/dicom-web/{path}").status_code == 404 and not Archive.asked


def test_nothing_is_written_through_it(client: TestClient) -> None:
    client.post("/api/login", json={"user": "rita", "password": PASSWORD})
    client.headers["X-CSRF-Token"] = client.get("/api/session").json()["csrf"]
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/dicom-web/studies").status_code == 405
    assert not Archive.asked
