"""Studies in object storage (s3://, gs://, az://, file:// …) by fsspec."""

from pathlib import Path, PurePosixPath

import fsspec

from lumbar.batch.inputs import StudyInput, study_name
from lumbar.errors import UnreadableInput
from lumbar.io.sources import NIFTI


def studies_at(url: str) -> list[StudyInput]:
    """Every folder, zip and NIfTI file at `url` is one study; so is `url` itself where it ends like a file.

    Raises:
        UnreadableInput: nothing is there, or its kind of storage is not installed.
    """
    if url.lower().endswith((".zip", *NIFTI)):
        return [StudyInput(study_name(PurePosixPath(url).name), url)]
    try:
        system, root = fsspec.core.url_to_fs(url)
        entries = sorted(system.ls(root, detail=True), key=lambda entry: str(entry["name"]))
    except (ImportError, ValueError, OSError) as error:
        raise UnreadableInput(f"{url} cannot be listed ({type(error).__name__}: {error}); check the address, and that fsspec can read such") from error
    kept = [entry for entry in entries if entry["type"] == "directory" or str(entry["name"]).lower().endswith((".zip", *NIFTI))]
    return [StudyInput(study_name(PurePosixPath(entry["name"]).name), system.unstrip_protocol(entry["name"])) for entry in kept]


def download(url: str, folder: Path) -> Path:
    """Fetch the file or folder at `url` into `folder`; returns its local path.

    Raises:
        UnreadableInput: it cannot be fetched.
    """
    target = folder / PurePosixPath(url.rstrip("/")).name
    try:
        system, path = fsspec.core.url_to_fs(url)
        system.get(path, str(target), recursive=system.isdir(path))
    except (ImportError, ValueError, OSError) as error:
        raise UnreadableInput(f"{url} cannot be fetched ({type(error).__name__}: {error}); check the address and the rights to read it") from error
    return target
