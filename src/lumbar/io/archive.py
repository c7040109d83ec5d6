"""Archives and compressed files, unpacked into a given folder within bounds that a study never reaches."""

import bz2
import gzip
import hashlib
import lzma
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from lumbar.errors import UnreadableInput

_MOST_FILES = 50_000
_MOST_BYTES = 8 * 2**30
_MOST_RATIO = 100  # images shrink to a third; a hundredth is a bomb or blank
_FREE_BYTES = 64 * 2**20  # below this size the ratio does not matter
_CHUNK_BYTES = 2**20
_LONGEST_NAME = 200  # bytes; most file systems take 255
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError, gzip.BadGzipFile)
_OPENERS: dict[str, Callable[..., IO[bytes]]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}  # type: ignore[dict-item]
_MAGIC = {
    b"PK\x03\x04": "zip", b"PK\x05\x06": "zip", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip


@dataclass
class Budget:
    """What may still be unpacked; archives inside archives share one."""

    source: Path  # the outermost archive
    left_bytes: int
    left_files: int = _MOST_FILES

    @classmethod
    def of(cls, path: Path) -> "Budget":
        """Largest content of the archive at `path` that its size allows."""
        return cls(path, min(_MOST_BYTES, max(_FREE_BYTES, _MOST_RATIO * path.stat().st_size)))

    def spend(self, size: int) -> None:
        """Count bytes that are about to be written.

        Raises:
            UnreadableInput: more than the bounds allow.
        """
        self.left_bytes -= size
        if self.left_bytes < 0:
            raise UnreadableInput(f"{self.source} unpacks to more than a study of its size does; unpack it yourself and give the folder")


def kind_of_archive(path: Path) -> str | None:
    """Format of an archive by its first bytes: zip, tar, gzip, bzip2, xz, or 7z, rar and zstd, which cannot be unpacked here; None for others."""
    try:
        with path.open("rb") as file:
            start = file.read(265)
    except OSError:
        return None
    if start[128:132] == b"DICM":
        return None
    if start[257:262] == b"ustar":
        return "tar"
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)


def holds_one_file(path: Path) -> bool:
    """Whether the file is one compressed file and no archive of files."""
    kind = kind_of_archive(path)
    return kind in _OPENERS and not _packed_tar(path, kind)


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A temporary folder with the files of the archive at `path`, and a sentence for each member that was left out.

    Raises:
        UnreadableInput: see `unpack`.
    """
    folder = Path(tempfile.mkdtemp(prefix="lumbar-"))
    try:
        yield folder, tuple(unpack(path, folder, Budget.of(path)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack(path: Path, folder: Path, budget: Budget) -> list[str]:
    """Unpack the archive at `path` into `folder`, which exists; comes back with a sentence for each member that was left out.

    Raises:
        UnreadableInput: it is damaged, encrypted, of a kind that cannot be unpacked, wants to write outside, or grows beyond bounds.
    """
    kind = kind_of_archive(path)
    try:
        if kind == "zip":
            with zipfile.ZipFile(path) as archive:
                return _zip(path, archive, folder, budget)
        if kind == "tar" or (kind in _OPENERS and _packed_tar(path, kind)):
            with tarfile.open(path, "r:*") as archive:
                return _tar(path, archive, folder, budget)
        if kind in _OPENERS:
            name = path.name[: -len(path.suffix)] if path.suffix.lower() in (".gz", ".bz2", ".xz") else path.name
            with _OPENERS[kind](path, "rb") as source:
                _copy(source, _Names(folder).target(name), budget)
            return []
    except _DAMAGE as error:
        raise UnreadableInput(f"{path} is a damaged or incomplete {kind} ({error}); pack or download it again") from None
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be unpacked ({error.strerror or error}); unpack it yourself and give the folder") from None
    raise UnreadableInput(f"{path} is packed with {kind}, which cannot be unpacked here; unpack it yourself and give the folder")


def _packed_tar(path: Path, kind: str) -> bool:
    try:
        with _OPENERS[kind](path, "rb") as file:
            return file.read(265)[257:262] == b"ustar"
    except (OSError, *_DAMAGE):
        return False


def _zip(path: Path, archive: zipfile.ZipFile, folder: Path, budget: Budget) -> list[str]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    _check_names(path, [member.filename for member in members], budget)
    if any(member.flag_bits & 0x1 for member in members):
        raise UnreadableInput(f"{path} is encrypted; unpack it yourself and give the folder")
    if sum(member.file_size for member in members) > budget.left_bytes:
        budget.spend(budget.left_bytes + 1)
    names = _Names(folder)
    notes = _Notes()
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            notes.add("a link", member.filename)
            continue
        _member(member.filename, lambda member=member: archive.open(member), names, budget, notes)  # type: ignore[misc]
    return [*notes.sentences(), *names.sentences()]


def _tar(path: Path, archive: tarfile.TarFile, folder: Path, budget: Budget) -> list[str]:
    names = _Names(folder)
    notes = _Notes()
    for member in archive:
        if member.isdir():
            continue
        _check_names(path, [member.name], budget)
        if not member.isreg():
            notes.add("a link" if member.issym() or member.islnk() else "not a file", member.name)
            continue
        _member(member.name, lambda member=member: archive.extractfile(member), names, budget, notes)  # type: ignore[misc]
    return [*notes.sentences(), *names.sentences()]


def _check_names(path: Path, names: list[str], budget: Budget) -> None:
    budget.left_files -= len(names)
    if budget.left_files < 0:
        raise UnreadableInput(f"{path} holds more than {_MOST_FILES} files; give the archive of one study")
    for name in names:
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or name.startswith(("/", "\\")) or (parts and ":" in parts[0]):
            raise UnreadableInput(f"{path} holds a file that would be written outside of its folder ({name!r}); it was not unpacked")


def _member(name: str, open_member: Callable[[], IO[bytes] | None], names: "_Names", budget: Budget, notes: "_Notes") -> None:
    """Unpack one member, counting what really comes out: sizes in the directory can lie."""
    target = names.target(name)
    try:
        with open_member() or _no_member() as source:
            _copy(source, target, budget)
    except _DAMAGE as error:
        target.unlink(missing_ok=True)
        unknown = isinstance(error, NotImplementedError)
        notes.add("packed in a way that cannot be unpacked here" if unknown else f"damaged inside the archive ({type(error).__name__})", name)


def _no_member() -> IO[bytes]:
    raise EOFError


def _copy(source: IO[bytes], target: Path, budget: Budget) -> None:
    with target.open("wb") as copy:
        while chunk := source.read(_CHUNK_BYTES):
            budget.spend(len(chunk))
            copy.write(chunk)


class _Notes:
    """Members that were left out, by reason."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}

    def add(self, why: str, name: str) -> None:
        self.names.setdefault(why, []).append(name)

    def sentences(self) -> Iterator[str]:
        for why, names in self.names.items():
            if len(names) == 1:
                yield f"{names[0]} is {why} and was left out"
            else:
                yield f"{len(names)} members of the archive were left out ({names[0]}, …): each is {why}"


class _Names:
    """Names for members below a folder: each a new one, whatever the archive calls them and whichever file system this is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: set[str] = set()  # case-insensitive: some file systems do not distinguish a.dcm from A.dcm
        self.repeated = 0

    def target(self, member: str) -> Path:
        """The path of a new file for `member`; its folder exists."""
        *parents, name = [_short(part) for part in PurePosixPath(member.replace("\\", "/")).parts] or ["unnamed"]
        path = self.folder
        for parent in parents:
            path = path / parent
            while path.is_file():
                path = path.with_name(f"{path.name}~")
        path.mkdir(parents=True, exist_ok=True)
        stem, dot, suffix = name.partition(".")
        number, target = 1, path / name
        while str(target).casefold() in self.taken or target.exists():
            number += 1
            target = path / f"{stem}~{number}{dot}{suffix}"
        self.repeated += number > 1
        self.taken.add(str(target).casefold())
        return target

    def sentences(self) -> Iterator[str]:
        """A word on names that came more than once."""
        if self.repeated:
            yield f"{self.repeated} files of the archive have the name of another one in it; all were read"


def _short(part: str) -> str:
    clean = "".join(character if character.isprintable() and character not in '<>:"|?*' else "_" for character in part)
    if len(clean.encode(errors="surrogateescape")) <= _LONGEST_NAME:
        return clean
    return f"{clean[:40]}-{hashlib.sha256(part.encode(errors='surrogateescape')).hexdigest()[:12]}{Path(clean).suffix[:12]}"
