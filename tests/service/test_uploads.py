"""Uploads, results and corrections over HTTP; bombs and hostile names."""

import errno
import gzip
import io
import json
import time
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from running_site import Site, zipped
from stand_in import small_study

from lumbar.errors import UnreadableInput
from lumbar.service.masks import changed_voxels


def bomb() -> bytes:
    """A zip whose directory announces 10 GiB."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(2**20))
        archive.infolist()[0].file_size = 10 * 2**30
    return sink.getvalue()


def test_a_study_goes_in_and_its_findings_come_out(site: Site, tmp_path: Path) -> None:
    client = site.login("reader")
    taken = site.upload(client, tmp_path / "s", StudyInstanceUID="1.1.1", StudyDate="20200102")
    again = site.upload(client, tmp_path / "t", StudyInstanceUID="1.1.1")
    assert again["study"] == taken["study"] and again["job"] != taken["job"]  # other images
    assert client.get(f"/api/jobs/{taken['job']}").json()["state"] == "replaced"
    assert site.work()
    row = client.get(f"/api/studies/{taken['study']}").json()
    assert (row["state"], row["quality"], row["worst"]["severity"], row["version"]) == ("done", "doubtful", "severe", 1)
    version = f"/api/studies/{taken['study']}/versions/1"
    assert client.get(f"{version}/findings").json()["quality"]["status"] == "doubtful"
    names = [one["path"] for one in client.get(f"{version}/files").json()]
    assert names == ["dicom/measurements_sr.dcm", "findings.json", "report.html"]
    packed = zipfile.ZipFile(io.BytesIO(client.get(f"{version}/archive").content))
    assert sorted(packed.namelist()) == names and packed.read("dicom/measurements_sr.dcm") == b"sr"
    events = client.get(f"/api/jobs/{again['job']}/events").text
    assert events.startswith("event: progress\ndata: ") and json.loads(events.split("data: ")[1])["state"] == "done"


def test_a_report_runs_no_script_and_no_path_leads_out(site: Site, tmp_path: Path) -> None:
    client = site.login("reader")
    study = site.upload(client, tmp_path / "s", StudyInstanceUID="1.1.2")["study"]
    site.work()
    for path in ("report", "files/report.html"):
        answer = client.get(f"/api/studies/{study}/versions/1/{path}")
        assert answer.status_code == 200 and "sandbox" in answer.headers["content-security-policy"] and answer.headers["x-content-type-options"] == "nosniff"
        assert "script" not in answer.headers["content-security-policy"]
    for path in ("../../../../lumbar.sqlite", "..%2f..%2f..%2f..%2flumbar.sqlite", "%2e%2e/%2e%2e/secret", "%00", "//etc/passwd", "masks"):
        assert client.get(f"/api/studies/{study}/versions/1/files/{path}").status_code in (404, 400), path
    assert client.get(f"/api/studies/{study}/versions/9/findings").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422), (b"no image", 422), (b"PK\x03\x04 broken", 415), (b"7z\xbc\xaf\x27\x1c", 415), (gzip.compress(b"text", mtime=0), 422),
    ],
    ids=("empty", "text", "broken zip", "7z", "gzip of text"),
)  # fmt: skip
def test_what_is_no_study_is_refused_and_leaves_nothing(site: Site, body: bytes, status: int) -> None:
    answer = site.login("reader").post("/api/studies", content=body)
    assert answer.status_code == status and set(answer.json()) == {"error"} and str(site.core.folder.root) not in answer.text
    assert not any(site.core.folder.uploads.iterdir())


def test_bombs_are_refused_within_two_seconds(site: Site) -> None:
    client = site.login("reader")
    inner = gzip.compress(bytes(2**28), 1)  # 256 MiB of zeros
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3000):
            archive.writestr(f"{number}", bytes(2**15))
    for body in (bomb(), inner, nested.getvalue()):
        began = time.process_time()
        answer = client.post("/api/studies", content=body)
        assert answer.status_code == 413 and time.process_time() - began < 2
    assert not any(site.core.folder.uploads.iterdir())


def test_files_that_would_lie_elsewhere_are_refused(site: Site) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("../../evil.dcm", b"x")
    answer = site.login("reader").post("/api/studies", content=sink.getvalue())
    assert answer.status_code == 415 and "outside" in answer.json()["error"]


def test_more_than_the_limit_is_refused_while_it_comes(site: Site) -> None:
    client = site.login("reader")
    assert client.post("/api/studies", headers={"Content-Length": str(2**40)}, content=b"x").status_code == 413

    def endless():
        for _ in range(600):
            yield bytes(2**20)

    assert client.post("/api/studies", content=endless()).status_code == 413
    assert client.post("/api/login", content=b"x" * (2**20 + 1)).status_code == 413
    assert not any(site.core.folder.uploads.iterdir())


def test_the_files_of_a_folder_come_one_by_one_under_hostile_names(site: Site, tmp_path: Path) -> None:
    client = site.login("reader")
    upload = client.post("/api/uploads").json()["upload"]
    for number, path in enumerate(sorted(small_study(tmp_path / "s", StudyInstanceUID="1.1.4", PatientName='"><script>alert(1)</script>').iterdir())):
        sent = client.put(f"/api/uploads/{upload}/files/{number}", content=path.read_bytes(), headers={"X-File-Name": "..%2F..%2F<img src=x>.nii"})
        assert sent.status_code == 204
    stored = [path.name for path in (site.core.folder.uploads / upload).iterdir()]
    assert all("/" not in name and "<" not in name for name in stored)
    taken = client.post(f"/api/uploads/{upload}/finish")
    assert taken.status_code == 202 and client.post(f"/api/uploads/{upload}/finish").status_code == 404
    row = client.get(f"/api/studies/{taken.json()['study']}")
    assert row.headers["content-type"] == "application/json" and "<script>" in row.json()["patient"]["name"]  # data, which pages show as text
    assert client.put("/api/uploads/..%2f..%2fx/files/0", content=b"x").status_code == 404
    assert client.put(f"/api/uploads/{upload}/files/-1", content=b"x").status_code in (400, 404)


def test_a_list_is_filtered_sorted_and_paged(site: Site, tmp_path: Path) -> None:
    client = site.login("reader")
    for number in range(3):
        site.upload(client, tmp_path / str(number), StudyInstanceUID=f"1.5.{number}", PatientName=f"Zed^{number}", StudyDate=f"2020010{number + 1}")
        site.work()
    page = client.post("/api/studies/search", json={"text": "zed", "sort": "study_date", "descending": False, "limit": 2}).json()
    assert page["total"] == 3 and [row["study_date"] for row in page["studies"]] == ["2020-01-01", "2020-01-02"]
    assert client.post("/api/studies/search", json={"text": "zed", "offset": 2, "limit": 2}).json()["total"] == 3
    assert client.post("/api/studies/search", json={"text": "ze%"}).json()["total"] == 0
    assert client.get("/api/studies?severity=severe&status=done").json()["total"] >= 3 and client.get("/api/studies?severity=moderate").json()["total"] == 0
    assert client.get("/api/studies?sort=name;drop").status_code == 422 and client.get("/api/studies?text=x").status_code == 422


def test_corrections_make_versions_and_keep_what_was_given_before(site: Site, tmp_path: Path) -> None:
    client = site.login("reviewer")
    study = site.upload(client, tmp_path / "s", StudyInstanceUID="1.6.1")["study"]
    site.work()
    base = f"/api/studies/{study}/corrections"
    grade = {"condition": "spinal_canal_stenosis", "level": "L3/L4", "severity": "severe"}
    assert client.post(base, json={"based_on": 1}).status_code == 422
    assert client.post(base, json={"based_on": 1, "grades": [{**grade, "level": "T1"}]}).status_code == 422
    first = client.post(base, json={"based_on": 1, "note": "seen", "grades": [grade]})
    assert first.status_code == 202 and site.work()
    row = client.get(f"/api/studies/{study}").json()
    newest, oldest = row["versions_list"]
    assert (newest["version"], newest["made_by"], newest["based_on"], newest["note"], oldest["made_by"]) == (2, "reviewer", 1, "seen", None)
    assert newest["changes"] == ["spinal canal stenosis L3/L4: moderate → severe"] and row["corrected_by"] == "reviewer"
    assert client.post(base, json={"based_on": 1, "lowest_level": "L4/L5"}).status_code == 409
    second = client.post(base, json={"based_on": 2, "lowest_level": "L4/L5"}).json()
    job = site.core.jobs.get(second["job"])
    assert job is not None and job.request["lowest_level"] == "L4/L5" and job.request["grades"][0]["severity"] == "severe"
    assert site.work() and client.get(f"/api/studies/{study}").json()["versions"] == 3


def test_a_redrawn_mask_has_to_fit_the_result(site: Site, tmp_path: Path) -> None:
    client = site.login("reviewer")
    study = site.upload(client, tmp_path / "s", StudyInstanceUID="1.6.2")["study"]
    site.work()
    version = site.core.studies.versions(study)[0]
    folder = site.core.folder.result(study, version.job) / "masks"
    folder.mkdir()
    labels = np.zeros((6, 5, 4), np.uint8)
    labels[2, 2, 2] = 2
    for name in ("spine", "levels", "structures"):
        nib.save(nib.Nifti1Image(labels, np.diag([1, 2, 3, 1])), folder / f"{name}.nii.gz")
    labels[3, 2, 2] = 2

    def sent(array: np.ndarray, affine: np.ndarray) -> tuple[int, dict[str, object]]:
        answer = client.put(f"/api/studies/{study}/masks/spine", content=nib.Nifti1Image(array, affine).to_bytes())
        return answer.status_code, answer.json()

    status, body = sent(labels, np.diag([1, 2, 3, 1]))
    assert status == 201 and body["changed_voxels"] == 1
    assert sent(labels, np.diag([-1, 2, 3, 1]))[0] == 422 and sent(labels[:5], np.diag([1, 2, 3, 1]))[0] == 422  # mirrored; smaller
    assert sent(labels * 4, np.diag([1, 2, 3, 1]))[0] == 422 and client.put(f"/api/studies/{study}/masks/spine", content=b"no").status_code == 422
    for derived in ("levels", "structures"):
        assert client.put(f"/api/studies/{study}/masks/{derived}", content=b"").status_code == 404
    answer = client.post(f"/api/studies/{study}/corrections", json={"based_on": 1, "masks": [body["mask_upload"]]})
    assert answer.status_code == 202
    job = site.core.jobs.get(answer.json()["job"])
    assert job is not None and job.request["masks"] == {"spine": body["mask_upload"]}
    assert client.post(f"/api/studies/{study}/corrections", json={"based_on": 1, "masks": ["../x"]}).status_code == 404


def test_earlier_studies_of_the_person_are_listed(site: Site, tmp_path: Path) -> None:
    client = site.login("reader")
    made = [
        site.upload(client, tmp_path / str(n), StudyInstanceUID=f"1.8.{n}", PatientID="same person", StudyDate=f"20{20 + n}0101")["study"] for n in range(2)
    ]
    site.work()
    assert [one["study"] for one in client.get(f"/api/studies/{made[1]}/earlier").json()] == [made[0]]
    assert client.get(f"/api/studies/{made[0]}/earlier").json() == []
    assert client.get(f"/api/studies/{made[0]}/compare/{made[1]}").status_code == 404


def test_the_same_zip_is_analyzed_once(site: Site, tmp_path: Path) -> None:
    client = site.login("reader")
    body = zipped(small_study(tmp_path / "s", StudyInstanceUID="1.1.9"))
    first, second = (client.post("/api/studies", content=body).json() for _ in range(2))
    assert first["job"] == second["job"] and not first["known"] and second["known"]


@pytest.mark.parametrize(("value", "accepted"), [(6, True), (7, True), (8, False)])
def test_a_muscle_mask_may_hold_what_the_result_holds(tmp_path: Path, value: int, accepted: bool) -> None:
    """Masks of models that outline the vertebral body hold 7; a reader who redraws a muscle leaves it in."""
    labels = np.zeros((4, 5, 3), np.uint8)
    labels[1, 1, 1] = 7
    nib.save(nib.Nifti1Image(labels, np.eye(4)), tmp_path / "result.nii.gz")
    labels[2, 2, 1] = value
    nib.save(nib.Nifti1Image(labels, np.eye(4)), tmp_path / "redrawn.nii.gz")
    if accepted:
        assert changed_voxels(tmp_path / "redrawn.nii.gz", tmp_path / "result.nii.gz", "muscle") == 1
    else:
        with pytest.raises(UnreadableInput, match="holds the value 8"):
            changed_voxels(tmp_path / "redrawn.nii.gz", tmp_path / "result.nii.gz", "muscle")


def test_an_upload_that_finds_no_room_is_told_so_and_leaves_nothing(site, login, tmp_path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    client = login("reader")
    before = sorted(site.core.folder.uploads.iterdir())
    monkeypatch.setattr("lumbar.service.http.upload_routes.unpack", full)
    answer = client.post("/api/studies", content=zipped(small_study(tmp_path / "s", StudyInstanceUID="1.2.77")))
    assert answer.status_code == 503 and "full" in answer.json()["error"]
    assert sorted(site.core.folder.uploads.iterdir()) == before
