"""Studies of a DICOMweb server: found by QIDO-RS, fetched by WADO-RS when their turn comes. Sources have the form https://host/dicom-web/studies/<uid>."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import requests
from dicomweb_client import DICOMwebClient

from lumbar.batch.inputs import DICOMWEB, StudyInput
from lumbar.errors import UnreadableInput

_STUDY_UID = "0020000D"
_PAGE = 500  # studies a request


def query(address: str) -> list[StudyInput]:
    """The studies that match `address`: the base of the service with the search after a question mark, such as ?ModalitiesInStudy=MR.

    A study is called by its UID: no name or number of the patient enters the output.

    Raises:
        UnreadableInput: the server does not respond, or not according to DICOMweb.
    """
    base, filters = _parts(address)
    try:
        found = [entry[_STUDY_UID]["Value"][0] for page in _pages(DICOMwebClient(base), filters) for entry in page]
    except (requests.RequestException, ValueError, KeyError, IndexError, TypeError) as error:
        raise UnreadableInput(f"{base} cannot be searched ({type(error).__name__}: {_first_line(error)}); check the address and the rights") from error
    return [StudyInput(uid, f"{DICOMWEB}{base}/studies/{uid}") for uid in dict.fromkeys(found)]


def retrieve(address: str, folder: Path) -> Path:
    """Fetch all instances of one study into `folder`, one file each, and return it.

    Raises:
        UnreadableInput: the instances cannot be fetched.
    """
    base, uid = address.rsplit("/studies/", 1)
    try:
        for number, instance in enumerate(DICOMwebClient(base).iter_study(uid)):
            instance.save_as(folder / f"{number:06d}.dcm", enforce_file_format=True)
    except (requests.RequestException, ValueError, OSError) as error:
        raise UnreadableInput(f"{address} cannot be fetched ({type(error).__name__}: {_first_line(error)}); check that the server is up") from error
    return folder


def _pages(client: DICOMwebClient, filters: dict[str, str]) -> Iterator[list[dict[str, dict[str, list[str]]]]]:
    start = 0
    while page := client.search_for_studies(limit=_PAGE, offset=start, search_filters=filters):
        yield page
        if len(page) < _PAGE:
            return
        start += len(page)


def _parts(address: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")), dict(parse_qsl(parts.query))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
