"""A service in this process, with users of every role and an analysis that stands in for the real one."""

import io
import zipfile
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from stand_in import StandIn, small_study

from lumbar.service.config import ServiceConfig
from lumbar.service.core import ServiceCore
from lumbar.service.http.app import make_app
from lumbar.service.users import Role, UserFile
from lumbar.service.worker import Outside, Worker

PASSWORD = "a long password"


class Site:
    """The service and its clients."""

    def __init__(self, folder: Path) -> None:
        self.core = ServiceCore(ServiceConfig(folder, workers=0, least_free_gib=0, upload_gib=0.5))
        users = UserFile(self.core.folder.users)
        for role in Role:
            users.set(role.value, role, PASSWORD)
        self.users = users
        self.app = make_app(self.core)
        self.engine = StandIn()
        self.worker = Worker("w", self.core.config, self.core.folder, (self.core.jobs, self.core.studies), self.engine, Outside())
        self.client = TestClient(self.app, base_url="http://localhost", follow_redirects=False)

    def login(self, user: str) -> TestClient:
        """A client with a session, which sends the CSRF token by itself."""
        client = TestClient(self.app, base_url="http://localhost", follow_redirects=False)
        assert client.post("/api/login", json={"user": user, "password": PASSWORD}).status_code == 204
        client.headers["X-CSRF-Token"] = client.get("/api/session").json()["csrf"]
        return client

    def work(self) -> bool:
        """Do all that is queued; False if nothing was."""
        done = False
        while self.worker.step():
            done = True
        return done

    def upload(self, client: TestClient, folder: Path, **header: str) -> dict[str, Any]:
        """A small study sent as a zip."""
        answer = client.post("/api/studies", content=zipped(small_study(folder, **header)))
        assert answer.status_code == 202, answer.text
        return answer.json()


def zipped(folder: Path) -> bytes:
    """A folder as a zip."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder).as_posix())
    return sink.getvalue()
