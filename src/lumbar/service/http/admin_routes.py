"""The audit log."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from lumbar.service.http.access import Admin, Core
from lumbar.service.http.rows import moment

router = APIRouter()


@router.get("/api/audit")
def audit(user: Admin, core: Core, offset: Annotated[int, Query(ge=0, le=10**9)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
    """User actions, the newest first."""
    core.audit.add(user.name, "audit")
    total, entries = core.audit.entries(offset, limit)
    shown = [{"at": moment(one["at"]), **{name: one[name] for name in ("user", "action", "study", "detail")}} for one in entries]
    return {"total": total, "entries": shown}
