"""Fixtures of the service."""

from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("fastapi", reason="lumbar[service] is not installed")
pytest.importorskip("highdicom", reason="lumbar[dicom] is not installed")

from fastapi.testclient import TestClient
from running_site import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("service") / "data")
    with made.client:
        yield made


@pytest.fixture
def login(site: Site) -> Callable[[str], TestClient]:
    return site.login
