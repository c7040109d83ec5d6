"""Which files an input holds: folders walked, links followed, archives unpacked for as long as they are read, and a word on all that is left out."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lumbar.errors import UnreadableInput
from lumbar.io.archive import Budget, holds_one_file, kind_of_archive, unpack
from lumbar.io.dicom_files import is_dicomdir, looks_like_dicom, name_in, names_below

NIFTI = (".nii", ".nii.gz")
_OTHER_IMAGES = (".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".mnc", ".hdr", ".par", ".fdf", ".2dseq")
_MOST_FILES = 200_000
_DEEPEST = 4  # archives in archives
_HIDDEN = "its name begins with a dot; rename it if it belongs to the study"
_LOOKED_AT = 20  # files of a hidden folder


@dataclass
class Sources:
    """The files of an input, and those left out."""

    root: Path  # what names in messages are relative to
    files: list[Path] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)  # (folder of an unpacked archive, how messages name it), the innermost last
    left_out: dict[str, list[str]] = field(default_factory=dict)  # reason → names
    notes: list[str] = field(default_factory=list)  # sentences on files left out of archives

    def leave_out(self, why: str, path: Path) -> None:
        """Count a file that is not read."""
        self.left_out.setdefault(why, []).append(self.shown(path))

    def shown(self, path: Path) -> str:
        """The name of a file in messages."""
        return self.renamed(name_in(self.root, path))

    def renamed(self, text: str) -> str:
        """`text` with the archive's name in place of the temporary folder that it was unpacked into."""
        for folder, name in reversed(self.names):
            text = text.replace(folder, name)
        return text

    def sentences(self) -> list[str]:
        """One sentence for each reason to leave files out."""
        return self.notes + [
            f"{names[0]} was left out: {why}" if len(names) == 1 else f"{len(names)} files were left out ({names[0]}, …): {why}"
            for why, names in self.left_out.items()
        ]


@contextmanager
def gathered(inputs: Sequence[Path]) -> Iterator[Sources]:
    """All files of `inputs` (folders, files, archives), for as long as the block runs.

    Raises:
        UnreadableInput: an input does not exist, or is an archive that cannot be unpacked.
    """
    for path in inputs:
        if not path.exists():
            raise UnreadableInput(f"{path} does not exist; give a folder, a zip or a file")
    with _scratch() as scratch:
        gathering = _Gathering(_root(inputs), scratch)
        for path in inputs:
            gathering.take(path)
        yield gathering.sources


def _root(inputs: Sequence[Path]) -> Path:
    if len(inputs) == 1:
        return inputs[0].parent if inputs[0].is_file() and is_dicomdir(inputs[0]) else inputs[0]
    return Path(os.path.commonpath([path if path.is_dir() else path.parent for path in inputs]))


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="lumbar-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Gathering:
    """One pass over the inputs."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self.sources = Sources(root)
        self.scratch = scratch
        self.singles: dict[Path, Path] = {}

    def take(self, path: Path) -> None:
        """Add one input; an archive that was named by the user must be unpacked, one among other files may fail."""
        if path.is_dir():
            self.walk(path)
        elif not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
            raise UnreadableInput(f"{path} is neither a file nor a folder; give a folder, a zip or a file")
        elif is_dicomdir(path):
            self.walk(path.parent)
        elif self.packed(path):
            self.unpacked(path, str(path), None, 1)
        else:
            self.sources.files.append(path)

    def walk(self, folder: Path, budget: Budget | None = None, depth: int = 0) -> None:
        """Add the files of a folder and those nested in it in a fixed order; each folder once, though links lead to it again."""
        looked: set[Path] = set()
        for path in names_below(folder, self._unreadable):
            if path.parent not in looked:
                looked.add(path.parent)
                self._look_for_hidden_folders(path.parent)
            self._file(path, budget, depth)

    def _file(self, path: Path, budget: Budget | None, depth: int) -> None:
        try:
            regular = stat.S_ISREG(path.stat().st_mode)
        except OSError as error:
            return self.sources.leave_out(f"it cannot be opened ({error.strerror})" if not path.is_symlink() else "it is a link that leads nowhere", path)
        if not regular:
            return self.sources.leave_out("it is neither a file nor a folder", path)
        if path.name.startswith("."):
            if not path.name.startswith("._") and (looks_like_dicom(path) or path.name.lower().endswith(NIFTI)):
                self.sources.leave_out(_HIDDEN, path)
            return None
        if self.packed(path):
            return self._archive(path, budget, depth)
        if path.name.lower().endswith(_OTHER_IMAGES):
            self.sources.leave_out("images of this format are not read; convert it to NIfTI or give the DICOM files", path)
        self.sources.files.append(path)
        if len(self.sources.files) > _MOST_FILES:
            raise UnreadableInput(f"{self.sources.root} holds more than {_MOST_FILES} files; give the folder of one study")
        return None

    def _archive(self, path: Path, budget: Budget | None, depth: int) -> None:
        if depth >= _DEEPEST:
            return self.sources.leave_out(f"it lies in {depth} archives, one in the other; unpack them yourself", path)
        shown = self.sources.shown(path)
        try:
            self.unpacked(path, shown, budget, depth + 1)
        except UnreadableInput as error:
            why = str(error)
            for named in (path, budget.source if budget else path):
                why = why.removeprefix(f"{named} ")
            why = self.sources.renamed(why)
            self.sources.leave_out(why if why.startswith("it ") else f"it {why}", path)
        return None

    def packed(self, path: Path) -> bool:
        """Whether the file is an archive; a packed NIfTI file is none."""
        return not path.name.lower().endswith(NIFTI) and kind_of_archive(path) is not None

    def unpacked(self, path: Path, shown: str, budget: Budget | None, depth: int) -> None:
        """Unpack an archive and add its files."""
        given = path == self.sources.root
        budget = budget or Budget.of(path)
        if not given and holds_one_file(path):
            return self._single(path, shown, budget, depth)
        folder = self.scratch / str(len(self.sources.names)) / (path.stem.strip(". ") or "archive")[:100]
        folder.mkdir(parents=True)
        self.sources.names.append((str(folder), shown))
        if given:
            self.sources.root = folder
        self.sources.notes += [f"{shown}: {sentence}" for sentence in unpack(path, folder, budget)]
        self.walk(folder, budget, depth)
        return None

    def _single(self, path: Path, shown: str, budget: Budget, depth: int) -> None:
        """Unpack one compressed file beside the others of its folder, so that series without a number stay together."""
        folder = self.singles.get(path.parent)
        if folder is None:
            folder = self.singles[path.parent] = self.scratch / str(len(self.sources.names)) / path.parent.name
            folder.mkdir(parents=True)
            self.sources.names.append((f"{folder}{os.sep}", shown.removesuffix(path.name)))
        before = set(folder.iterdir())
        self.sources.notes += unpack(path, folder, budget)
        for new in sorted(set(folder.iterdir()) - before):
            self._file(new, budget, depth)

    def _unreadable(self, error: OSError) -> None:
        self.sources.leave_out(f"the folder cannot be opened ({error.strerror})", Path(os.fsdecode(error.filename)))

    def _look_for_hidden_folders(self, folder: Path) -> None:
        for path in sorted(folder.glob(".*/")):
            if path.name.endswith(".lumbar"):
                continue  # of a run that is writing
            with suppress(OSError):
                files = [one for one in sorted(path.iterdir())[:_LOOKED_AT] if one.is_file()]
                if any(looks_like_dicom(one) for one in files):
                    self.sources.leave_out(_HIDDEN, path)
