"""One key for everything that a result depends on: the bytes of the input, the models, the request and the version."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lumbar.io.dicom_files import files_below

_CHUNK_BYTES = 1 << 20


def stat_mark(path: Path) -> str:
    """A quick fingerprint of the files at `path`: changes whenever a name, size or time of change does, without reading a file."""
    digest = hashlib.sha256()
    for one in _files(path):
        facts = one.stat()
        digest.update(f"{_name(one, path)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def content_hash(path: Path) -> str:
    """sha256 over the names and bytes of all files at `path`, a folder or a file; the same wherever it lies."""
    digest = hashlib.sha256()
    for one in _files(path):
        own = hashlib.sha256()
        with one.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                own.update(chunk)
        digest.update(f"{_name(one, path)}\0{own.hexdigest()}\n".encode())
    return digest.hexdigest()


def plan_key(models: Mapping[str, str], request: Mapping[str, Any], version: str) -> str:
    """The key of everything but the input: `models` are sha256 by folder name."""
    text = json.dumps({"models": dict(models), "request": dict(request), "version": version}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _files(path: Path) -> list[Path]:
    return files_below(path) if path.is_dir() else [path]


def _name(one: Path, root: Path) -> str:
    return one.relative_to(root).as_posix() if one != root else ""
