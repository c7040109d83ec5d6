"""Earlier examinations of the same person, and what changed since."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter

from lumbar.errors import InputError
from lumbar.population.follow_up.compare import compare
from lumbar.population.follow_up.examination import read_examination
from lumbar.report.follow_up.document import comparison_document
from lumbar.service.core import ServiceCore
from lumbar.service.http.access import Core, Reader
from lumbar.service.http.errors import Refusal, not_found
from lumbar.service.http.rows import study_row

router = APIRouter()
_SHOWN = ("study", "study_date", "version", "quality", "worst", "description")


@router.get("/api/studies/{study}/earlier")
def earlier_studies(study: str, _: Reader, core: Core) -> list[dict[str, Any]]:
    """Older studies of the same person, the newest first."""
    if core.studies.row(study) is None:
        raise not_found("study")
    return [{name: row[name] for name in _SHOWN} for row in map(study_row, core.studies.earlier(study))]


@router.get("/api/studies/{study}/compare/{earlier}")
def compare_with(study: str, earlier: str, user: Reader, core: Core, force: bool = False) -> dict[str, Any]:
    """Values of two studies side by side, as `lumbar compare` does it; `force` where persons or level names do not fit."""
    found = next((row for row in core.studies.earlier(study) if row["study"] == earlier), None)
    if found is None:
        raise not_found("earlier study of the same person")
    core.audit.add(user.name, "view", earlier, f"compared with {study}")
    try:
        comparison = compare(_examination(core, earlier), _examination(core, study), force)
    except InputError as error:
        raise Refusal(HTTPStatus.CONFLICT, str(error)) from None
    document = comparison_document(comparison)
    rows = document.pop("changes")
    ends = {name: _end(core, one) for name, one in (("earlier", earlier), ("later", study))}
    return {**document, **ends, "rows": rows}


def _examination(core: ServiceCore, study: str) -> Any:
    versions = core.studies.versions(study)
    if not versions:
        raise not_found("result of the study")
    return read_examination(core.folder.result(study, versions[0].job))


def _end(core: ServiceCore, study: str) -> dict[str, Any]:
    row = core.studies.row(study)
    if row is None:
        raise not_found("study")
    shown = study_row(row)
    return {name: shown[name] for name in ("study", "study_date", "version")}
