"""Who may come in, and what the service says to those who may not."""

import logging
from pathlib import Path

import pytest
from running_site import PASSWORD, Site

from lumbar.errors import UsageError
from lumbar.service.config import config_from
from lumbar.service.store.sessions import IDLE_SECONDS, SessionStore
from lumbar.service.users import Role


def test_every_route_of_the_interface_needs_a_session(site: Site) -> None:
    paths = site.login("reader").get("/api/openapi.json").json()["paths"]
    asked = 0
    for path, methods in paths.items():
        for method in methods:
            if (method, path) in (("get", "/api/health"), ("post", "/api/login")):
                continue
            filled = path.replace("{", "0").replace("}", "0")
            assert site.client.request(method.upper(), filled).status_code == 401, (method, path)
            asked += 1
    assert asked >= 25
    for path in ("/api/openapi.json", "/api/nothing", "/dicom-web/studies", "/docs", "/api/login/x"):
        assert site.client.get(path).status_code in (401, 303), path
    assert site.client.get("/").headers["location"] == "/login" and site.client.get("/api/health").json() == {"status": "ok"}


def test_a_session_is_a_cookie_that_scripts_and_other_sites_cannot_use(site: Site) -> None:
    answer = site.client.post("/api/login", json={"user": "reader", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and "Secure" not in cookie  # plain HTTP on loopback
    site.client.cookies.clear()


def test_changes_need_the_token_and_the_own_origin(site: Site) -> None:
    client = site.login("admin")
    token = client.headers.pop("X-CSRF-Token")
    assert client.post("/api/studies/search", json={}).status_code == 403
    assert client.post("/api/studies/search", json={}, headers={"X-CSRF-Token": "x"}).status_code == 403
    good = {"X-CSRF-Token": token}
    assert client.post("/api/studies/search", json={}, headers=good).status_code == 200
    assert client.post("/api/studies/search", json={}, headers={**good, "Origin": "http://evil.example"}).status_code == 403
    assert client.post("/api/studies/search", json={}, headers={**good, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post("/api/studies/search", json={}, headers={**good, "Origin": "http://localhost"}).status_code == 200


def test_other_host_names_are_refused(site: Site) -> None:
    assert site.client.get("/api/health", headers={"Host": "evil.example"}).status_code == 400
    assert site.client.get("/api/health", headers={"Host": "127.0.0.1:8080"}).status_code == 200


def test_wrong_passwords_are_counted_and_names_are_not_told_apart(site: Site) -> None:
    answers = [site.client.post("/api/login", json={"user": "nobody", "password": "x"}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] and int(answers[-1].headers["retry-after"]) > 0
    wrong = site.client.post("/api/login", json={"user": "reviewer", "password": "x"})
    assert wrong.status_code == 401 and wrong.json() == answers[0].json()
    site.app._app.state.throttle._wrong.clear()


def test_roles_limit_what_a_user_may_do(site: Site, tmp_path: Path) -> None:
    reader = site.login("reader")
    study = site.upload(reader, tmp_path / "s", StudyInstanceUID="1.9.1")["study"]
    for method, path in (
        ("POST", f"/api/studies/{study}/corrections"), ("PUT", f"/api/studies/{study}/masks/spine"), ("POST", "/api/jobs/x/retry"),
        ("DELETE", f"/api/studies/{study}"), ("GET", "/api/audit"),
    ):  # fmt: skip
        answer = reader.request(method, path, json={"based_on": 1} if method == "POST" else None)
        assert answer.status_code == 403 and "role" in answer.json()["error"], path
    reviewer = site.login("reviewer")
    assert reviewer.delete(f"/api/studies/{study}").status_code == 403 and reviewer.get("/api/audit").status_code == 403
    admin = site.login("admin")
    assert admin.delete(f"/api/studies/{study}").status_code == 204 and admin.get(f"/api/studies/{study}").status_code == 404
    assert not site.core.folder.study(study).exists()
    entries = admin.get("/api/audit").json()["entries"]
    assert ("delete", study, "admin") in [(one["action"], one["study"], one["user"]) for one in entries]


def test_users_who_are_removed_or_get_another_password_are_out_at_once(site: Site) -> None:
    site.users.set("guest", Role.READER, PASSWORD)
    client = site.login("guest")
    assert client.get("/api/session").status_code == 200
    site.users.set("guest", Role.READER, PASSWORD + "!")
    assert client.get("/api/session").status_code == 401
    site.users.remove("guest")
    assert site.client.post("/api/login", json={"user": "guest", "password": PASSWORD + "!"}).status_code == 401
    site.app._app.state.throttle._wrong.clear()


def test_logging_out_ends_the_session(site: Site) -> None:
    client = site.login("reader")
    kept = client.cookies["lumbar_session"]
    assert client.post("/api/logout").status_code == 204
    assert site.client.get("/api/session", headers={"Cookie": f"lumbar_session={kept}"}).status_code == 401


def test_sessions_end_when_they_are_not_used(site: Site) -> None:
    now = [1000.0]
    sessions = SessionStore(site.core.sessions._database, lambda: now[0])
    token = sessions.begin("reader")
    now[0] += IDLE_SECONDS - 1
    assert sessions.find(token) is not None
    now[0] += IDLE_SECONDS - 1
    assert sessions.find(token) is not None
    now[0] += IDLE_SECONDS + 1
    assert sessions.find(token) is None


def test_neither_log_nor_addresses_hold_an_identity(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lumbar.service")
    client = site.login("reader")
    taken = site.upload(client, tmp_path / "s", StudyInstanceUID="1.77.5", PatientName="Hidden^Name", PatientID="HID-1")
    site.work()
    found = client.post("/api/studies/search", json={"text": "hidden hid-1"}).json()
    assert [row["study"] for row in found["studies"]] == [taken["study"]] and found["studies"][0]["patient"]["name"] == "Hidden Name"
    client.get(f"/api/studies/{taken['study']}")
    assert len(caplog.records) > 4
    for secret in ("hidden", "hid-1", "1.77.5"):
        assert secret not in caplog.text.lower() and secret not in str(taken).lower()
        assert secret not in str(site.login("admin").get("/api/audit").json()).lower()


@pytest.mark.parametrize(
    ("tables", "word"),
    [
        ({"data": "x", "host": "0.0.0.0"}, "HTTPS"), ({"data": "x", "certificate": "c"}, "belong together"), ({"data": "x", "colour": 1}, "not a setting"),
        ({"data": "x", "port": "80"}, "wrong kind"), ({}, "data"), ({"data": "x", "receiver": {"host": "0.0.0.0"}}, "titles"),
        ({"data": "x", "archive": {"nothing": 1}}, "archive.nothing"),
        ({"data": "x", "certificate": "/no/c", "key": "/no/k", "host": "0.0.0.0"}, "does not exist"),
    ],
)  # fmt: skip
def test_unsafe_or_unknown_settings_are_refused(tables: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        config_from(tables)
