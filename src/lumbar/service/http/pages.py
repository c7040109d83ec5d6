"""The pages: files of `service/page/`, served as they are; everything that they show comes from the interface."""

from importlib import resources
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from lumbar.service.http.errors import not_found

router = APIRouter(include_in_schema=False)
PAGE_FOLDER = Path(str(resources.files("lumbar.service").joinpath("page")))


def add_static_files(app: FastAPI) -> None:
    """Serve `page/static/` without a login: it holds no data."""
    app.mount("/static", StaticFiles(directory=PAGE_FOLDER / "static", check_dir=False))


@router.get("/")
def worklist() -> FileResponse:
    """The worklist."""
    return _page("worklist")


@router.get("/login")
def login() -> FileResponse:
    """The form to log in."""
    return _page("login")


@router.get("/studies/{study}")
def study_page(study: str) -> FileResponse:
    """The page of a study."""
    return _page("study")


def _page(name: str) -> FileResponse:
    path = PAGE_FOLDER / f"{name}.html"
    if not path.is_file():
        raise not_found("page")
    return FileResponse(path, media_type="text/html")
