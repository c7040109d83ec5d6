"""Finding DICOM images among whatever a folder holds, and reading their headers."""

import os
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from lumbar.errors import UnreadableInput
from lumbar.io.enhanced import lookups
from lumbar.io.header_values import integer, text
from lumbar.io.slices import Refused, SliceHeader, read_slice

Progress = Callable[[int, int], None]
_FREE_BYTES = 512 * 2**20  # of a study: below this size nothing is compared
_MOST_RATIO = 40  # images shrink to a third; a fortieth is blank or a lie
_CHUNK_BYTES = 2**20


@dataclass
class Census:
    """Counts of the files of an input by outcome."""

    files: int = 0
    foreign: int = 0  # no DICOM, and no name that claims so
    refused: Counter[str] = field(default_factory=Counter)  # rule broken → number of files
    first: dict[str, str] = field(default_factory=dict)  # rule broken → first file by name

    def refuse(self, name: str, why: str) -> None:
        """Count a file that is left out."""
        self.refused[why] += 1
        self.first.setdefault(why, name)

    def sentences(self) -> list[str]:
        """One sentence for each rule that files broke."""
        return [f"{_files(count)} left out ({self.first[why]}{', …' if count > 1 else ''}): {why}" for why, count in self.refused.most_common()]


@dataclass(frozen=True)
class Headers:
    """All slices of an input, before their pixels are decoded."""

    slices: tuple[SliceHeader, ...]
    census: Census


def files_below(folder: Path) -> list[Path]:
    """All files of a folder and of those nested in it, as `names_below` finds them, without those whose name begins with a dot."""
    return [path for path in names_below(folder) if not path.name.startswith(".") and path.is_file()]


def names_below(folder: Path, unreadable: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Names in a folder and in those nested in it that are not folders, in a fixed order; each folder once, even if several links lead to it.

    Folders with a name that starts with a dot are skipped; such files, and entries that are not files (broken links, pipes), are included.
    """
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        real = os.path.realpath(parent)
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent) / name for name in sorted(names))


def read_headers(paths: list[Path], root: Path, progress: Progress | None = None) -> Headers:
    """Headers of all image slices in `paths`; names in messages are relative to `root`."""
    census = Census(files=len(paths))
    slices: list[SliceHeader] = []
    with quiet_pydicom():
        for number, path in enumerate(paths):
            name = name_in(root, path)
            try:
                header = _header(path)
                if header is None:
                    census.foreign += 1
                    continue
                slices += _slices(header, path, name)
            except Refused as refusal:
                census.refuse(name, str(refusal))
            except Exception as error:  # a broken header can make pydicom raise nearly anything; its text may hold patient data, its type does not
                census.refuse(name, f"its header cannot be parsed ({type(error).__name__})")
            if progress is not None:
                progress(number + 1, len(paths))
    _check_size(slices, root)
    return Headers(tuple(slices), census)


def _check_size(slices: Sequence[SliceHeader], root: Path) -> None:
    """Compressed images can announce far more than the files hold; a whole study never does."""
    announced = sum(2 * one.rows * one.columns for one in slices)
    held = sum(path.stat().st_size for path in {one.path for one in slices})
    if announced > _FREE_BYTES and announced > _MOST_RATIO * held:
        raise UnreadableInput(
            f"{root} announces {announced / 2**20:.0f} MiB of images in {held / 2**20:.0f} MiB of files, which no study does; check its rows and columns"
        )


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's warnings off the screen: they quote values, and values can be names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def name_in(root: Path, path: Path) -> str:
    """How messages name a file of the input `root`: without characters that would change a terminal."""
    name = path.name if path == root else path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
    return "".join(character if character.isprintable() else "?" for character in name)


def is_dicomdir(path: Path) -> bool:
    """Whether the file is the directory of a DICOM medium: it holds no image and names those beside it."""
    if not looks_like_dicom(path):
        return False
    with quiet_pydicom():
        try:
            meta = pydicom.filereader.read_file_meta_info(path)
        except Exception:  # a broken header can make pydicom raise nearly anything
            return path.name.upper().startswith("DICOMDIR")
    return text(meta.get("MediaStorageSOPClassUID")) == MediaStorageDirectoryStorage or path.name.upper().startswith("DICOMDIR")


def looks_like_dicom(path: Path) -> bool:
    """Whether the first bytes are those of a DICOM file, with or without its preamble."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    return start[128:132] == b"DICM" or _bare_dataset(start)


def _bare_dataset(start: bytes) -> bool:
    # A file without preamble starts with group 0002 or 0008 and an element below 0x0100 in little endian.
    return len(start) >= 8 and start[:2] in (b"\x02\x00", b"\x08\x00") and start[3] == 0


def _header(path: Path) -> FileDataset | None:
    """The header, or None for a file that is not DICOM and is not named as such."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError as error:
        raise Refused(f"it cannot be opened ({error.strerror})") from None
    _check_deflated(path)
    preamble = start[128:132] == b"DICM"
    if not preamble and not _bare_dataset(start):
        if path.suffix.lower() in (".dcm", ".dicom", ".ima"):
            raise Refused("it is named as DICOM but is empty" if not start else "it is named as DICOM but is not")
        return None
    header = pydicom.dcmread(path, stop_before_pixels=True, force=not preamble)
    if text(header.file_meta.get("MediaStorageSOPClassUID")) == MediaStorageDirectoryStorage:
        return None
    return header


def _check_deflated(path: Path) -> None:
    """Size of a deflated file after decompression, checked first because pydicom decompresses it as a whole."""
    with path.open("rb") as file:
        start = file.read(2048)
        if DeflatedExplicitVRLittleEndian.encode() not in start or start[128:132] != b"DICM":
            return
        file.seek(144 + int.from_bytes(start[140:144], "little"))  # behind the file meta information, whose length is its first element
        unpacker, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        allowed = max(_FREE_BYTES, _MOST_RATIO * path.stat().st_size)
        while (chunk := file.read(_CHUNK_BYTES)) or unpacker.unconsumed_tail:
            try:
                size += len(unpacker.decompress(unpacker.unconsumed_tail + chunk, 16 * _CHUNK_BYTES))
            except zlib.error:
                raise Refused("its compressed content is damaged") from None
            if size > allowed:
                raise Refused("it unpacks to more than an image of its size does")


def _slices(header: FileDataset, path: Path, name: str) -> list[SliceHeader]:
    if header.get("Rows") is None:
        raise Refused("it is DICOM but holds no image")
    if (integer(header.get("SamplesPerPixel")) or 1) != 1:
        raise Refused("it is a colour image (a screenshot or a report)")
    return [read_slice(lookup, path, name, frame) for frame, lookup in lookups(header)]


def _files(count: int) -> str:
    return "1 file was" if count == 1 else f"{count} files were"
