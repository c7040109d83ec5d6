"""Results and the volumes of the viewer."""

import json
import mimetypes
import zipfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, StreamingResponse

from lumbar.service.core import ServiceCore
from lumbar.service.http.access import Core, Reader
from lumbar.service.http.errors import Refusal, not_found
from lumbar.service.places import INDEX, RESULT_VIEW, placed
from lumbar.service.store.studies import Version

router = APIRouter()
# A report is one file with styles and images inside; no script may run and nothing may be requested.
_REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
_KINDS = {".gz": "application/gzip", ".dcm": "application/dicom", ".json": "application/json", ".csv": "text/csv"}


@router.get("/api/studies/{study}/versions/{version}/findings")
def findings(study: str, version: int, user: Reader, core: Core) -> FileResponse:
    """`findings.json` of a version."""
    return _file(core, _version(core, study, version), "findings.json", user.name)


@router.get("/api/studies/{study}/versions/{version}/report")
def report(study: str, version: int, user: Reader, core: Core) -> FileResponse:
    """The report of a version; no script in it runs."""
    answer = _file(core, _version(core, study, version), "report.html", user.name)
    answer.headers["content-security-policy"] = _REPORT_POLICY
    return answer


@router.get("/api/studies/{study}/versions/{version}/files")
def files(study: str, version: int, _: Reader, core: Core) -> list[dict[str, Any]]:
    """The files of a version."""
    found = _version(core, study, version)
    folder = core.folder.result(study, found.job)
    base = f"/api/studies/{study}/versions/{version}/files"
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RESULT_VIEW)
    names = [(path.relative_to(folder).as_posix(), path) for path in paths]
    return [{"path": name, "bytes": path.stat().st_size, "media_type": _kind(path), "url": f"{base}/{name}"} for name, path in names]


@router.get("/api/studies/{study}/versions/{version}/files/{path:path}")
def one_file(study: str, version: int, path: str, user: Reader, core: Core) -> FileResponse:
    """One file of a version."""
    answer = _file(core, _version(core, study, version), path, user.name)
    if answer.media_type == "text/html":
        answer.headers["content-security-policy"] = _REPORT_POLICY
    return answer


@router.get("/api/studies/{study}/versions/{version}/archive")
def archive(study: str, version: int, user: Reader, core: Core) -> StreamingResponse:
    """All files of a version in a zip."""
    found = _version(core, study, version)
    core.audit.add(user.name, "download", study, f"version {version}, all files")
    headers = {"Content-Disposition": f'attachment; filename="{study}_version_{version}.zip"'}
    return StreamingResponse(_zipped(core.folder.result(study, found.job)), media_type="application/zip", headers=headers)


@router.get("/api/studies/{study}/volumes")
def volumes(study: str, _: Reader, core: Core) -> list[dict[str, Any]]:
    """The stacks of the newest images of a study."""
    return [_volume_entry(study, entry) for entry in _volumes(core, study)]


@router.get("/api/studies/{study}/volumes/{volume}.nii.gz")
def volume_file(study: str, volume: str, user: Reader, core: Core) -> FileResponse:
    """One stack as NIfTI."""
    entry = next((one for one in _volumes(core, study) if one["volume"] == volume), None)
    if entry is None or entry["file"] is None:
        raise not_found("volume")
    core.audit.add(user.name, "view", study, f"volume {volume}")
    return FileResponse(_views(core, study) / entry["file"], media_type="application/gzip")


@router.get("/api/studies/{study}/versions/{version}/masks")
def masks(study: str, version: int, _: Reader, core: Core) -> list[dict[str, Any]]:
    """The masks of a version with the volumes on whose grids they lie."""
    found = _version(core, study, version)
    stacks = {(one["series_uid"], one["stack"]): one["volume"] for one in _volumes(core, study)}
    base = f"/api/studies/{study}/versions/{version}/files/masks"
    return [
        {
            "mask": mask["mask"],
            "volume": stacks.get((mask["series_uid"], mask["stack"])),
            "url": f"{base}/{mask['mask']}.nii.gz",
            "labels": mask["labels"],
        }
        for mask in _view(core, found)["masks"]
    ]


@router.get("/api/studies/{study}/versions/{version}/places")
def places(study: str, version: int, _: Reader, core: Core) -> list[dict[str, Any]]:
    """Where the findings of a version lie, the most severe first."""
    found = _version(core, study, version)
    stacks = _volumes(core, study)
    return [place for one in _view(core, found)["places"] if (place := placed(one, stacks)) is not None]


def _version(core: ServiceCore, study: str, version: int) -> Version:
    found = next((one for one in core.studies.versions(study) if one.version == version), None)
    if found is None:
        raise not_found("version of a study")
    return found


def _file(core: ServiceCore, version: Version, name: str, user: str) -> FileResponse:
    if "\0" in name:
        raise not_found("file")
    folder = core.folder.result(version.study, version.job).resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder) or not path.is_file():
        raise not_found("file")
    core.audit.add(user, "download", version.study, f"version {version.version}, {path.relative_to(folder).as_posix()}")
    return FileResponse(path, media_type=_kind(path))


def _kind(path: Path) -> str:
    return _KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _zipped(folder: Path) -> Iterator[bytes]:
    """A zip that is sent while it is written; results are packed already, so they are stored as they are."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name != RESULT_VIEW:
                archive.write(path, path.relative_to(folder).as_posix())
                yield sink.taken()
    yield sink.taken()


class _Sink:
    """A file whose content is consumed while it is written."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered."""

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _views(core: ServiceCore, study: str) -> Path:
    """The folder of the volumes that belong to the newest version, or to the images if there is none yet."""
    versions = core.studies.versions(study)
    if versions:
        return core.folder.views(study, versions[0].fingerprint)
    jobs = core.jobs.of_study(study)
    if not jobs:
        raise not_found("study")
    return core.folder.views(study, jobs[0].fingerprint)


def _volumes(core: ServiceCore, study: str) -> list[dict[str, Any]]:
    path = _views(core, study) / INDEX
    if not path.is_file():
        raise Refusal(HTTPStatus.NOT_FOUND, "the images of the study have not been read yet")
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return entries


def _volume_entry(study: str, entry: dict[str, Any]) -> dict[str, Any]:
    inner = ("matrix", "row_step_mm", "column_step_mm", "file")
    url = f"/api/studies/{study}/volumes/{entry['volume']}.nii.gz" if entry["file"] else None
    return {**{name: value for name, value in entry.items() if name not in inner}, "url": url}


def _view(core: ServiceCore, version: Version) -> dict[str, Any]:
    path = core.folder.result(version.study, version.job) / RESULT_VIEW
    view: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return view
