"""Zip files: unpacked into a private temporary folder that is gone afterwards, within bounds that a study never reaches."""

import lzma
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from lumbar.errors import UnreadableInput

_MOST_FILES = 50_000
_MOST_BYTES = 8 * 2**30
_MOST_RATIO = 100  # pictures shrink to a third; a hundredth is a bomb or blank
_FREE_BYTES = 64 * 2**20  # below this size the ratio does not matter
_CHUNK_BYTES = 2**20
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A temporary folder with the files of the zip at `path`, and warnings on members that were left out.

    Raises:
        UnreadableInput: the zip is damaged, encrypted, wants to write outside, or grows beyond bounds.
    """
    folder = Path(tempfile.mkdtemp(prefix="lumbar-"))
    try:
        yield folder, tuple(_unpack(path, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(path: Path, folder: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check(path, members)
            return _copy_all(path, archive, members, folder)
    except zipfile.BadZipFile as error:
        raise UnreadableInput(f"{path} is a damaged zip ({error}); pack or download it again") from None
    except OSError as error:
        raise UnreadableInput(f"{path} cannot be unpacked ({error.strerror or error}); unpack it yourself and give the folder") from None


def _check(path: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > _MOST_FILES:
        raise UnreadableInput(f"{path} holds {len(members)} files, more than {_MOST_FILES}; give the zip of one study")
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/")).parts
        if ".." in parts or member.filename.startswith(("/", "\\")) or (parts and ":" in parts[0]):
            raise UnreadableInput(f"{path} holds a file that would be written outside of its folder ({member.filename!r}); it was not unpacked")
        if member.flag_bits & 0x1:
            raise UnreadableInput(f"{path} is encrypted; unpack it yourself and give the folder")
    if sum(member.file_size for member in members) > _allowed(path):
        raise UnreadableInput(_too_large(path))


def _copy_all(path: Path, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path) -> list[str]:
    """Unpack members one by one, counting what really comes out: sizes in the directory can lie."""
    warnings: list[str] = []
    left = _allowed(path)
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            continue
        target = folder / PurePosixPath(member.filename.replace("\\", "/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with archive.open(member) as source, target.open("wb") as copy:
                while chunk := source.read(_CHUNK_BYTES):
                    left -= len(chunk)
                    if left < 0:
                        raise UnreadableInput(_too_large(path))
                    copy.write(chunk)
        except _DAMAGE as error:
            target.unlink(missing_ok=True)
            warnings.append(f"{member.filename} is damaged inside the zip and was left out ({type(error).__name__})")
    return warnings


def _allowed(path: Path) -> int:
    return min(_MOST_BYTES, max(_FREE_BYTES, _MOST_RATIO * path.stat().st_size))


def _too_large(path: Path) -> str:
    return f"{path} unpacks to more than {_allowed(path) / 2**20:.0f} MiB, which no study of its size does; unpack it yourself and give the folder"
