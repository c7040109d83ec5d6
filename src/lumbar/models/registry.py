"""The search order of models: a folder that the user names, the user's store, then the package.

    ~/.lumbar/models/<name>/<version>/   installed by `lumbar models install`, versions side by side
    weights_research/<name>/             trained on data for non-commercial research only; can be left out
    weights/<name>/                      trained on data that allow any use

For one task the user's models come first, then the research-only ones, then the others; within one place in alphabetical order, and of one model the
newest version. To use an older version, name its folder with --models.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from lumbar.errors import ModelError
from lumbar.models.card import CARD_FILE, Card, read_card
from lumbar.models.folder import Model, load_folder
from lumbar.models.install import default_store

_PACKAGED = Path(__file__).parent
PLACES = (_PACKAGED / "weights_research", _PACKAGED / "weights")


def model_folders(extra: Path | None = None) -> list[Path]:
    """All model folders in the order in which they are preferred; `extra` is a model folder or a folder of them.

    Raises:
        ModelError: `extra` is not a folder, or holds no model.
    """
    found: list[Path] = []
    if extra is not None:
        own = [extra] if (extra / CARD_FILE).is_file() else _inside(extra)
        if not own:
            raise ModelError(f"{extra} holds no model: a model is a folder with a {CARD_FILE}; give one, or a folder of such folders")
        found += own
    for place in (default_store(), *PLACES):
        found += _inside(place)
    return found


def find_folder(task: str, extra: Path | None = None) -> Path:
    """The preferred model folder for `task`.

    Raises:
        ModelError: there is none.
    """
    seen = []
    for folder in model_folders(extra):
        card = read_card(folder)
        if card.task == task:
            return folder
        seen.append(f"{card.name} ({card.task})")
    where = f"{extra} and the package" if extra else "the package"
    raise ModelError(f"no model for the task {task!r} in {where}; found: {', '.join(seen) or 'none'}; give a folder with --models")


def preferred_task(tasks: Sequence[str], extra: Path | None = None) -> str | None:
    """Which of `tasks`, that do the same in different ways, the preferred model is for; None where there is a model for none."""
    found = (read_card(folder).task for folder in model_folders(extra))
    return next((task for task in found if task in tasks), None)


def has_model(task: str, extra: Path | None = None) -> bool:
    """Whether a model for `task` is installed."""
    return any(read_card(folder).task == task for folder in model_folders(extra))


def find_model(task: str, extra: Path | None = None, threads: int = 0) -> Model:
    """The preferred model for `task`, checked and loaded; `threads` 0 means all cores.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    return load_folder(find_folder(task, extra), threads, task)


def find_named(name: str, extra: Path | None = None) -> tuple[Path, Card]:
    """The first model called `name`.

    Raises:
        ModelError: there is none.
    """
    names = []
    for folder in model_folders(extra):
        card = read_card(folder)
        if card.name == name:
            return folder, card
        names.append(card.name)
    raise ModelError(f"no model is called {name!r}; there are: {', '.join(names) or 'none'}")


def _inside(place: Path) -> list[Path]:
    """Model folders of `place` and of its folders of versions: by name, the newest version first."""
    if not place.is_dir():
        return []
    single = [path.parent for path in place.glob(f"*/{CARD_FILE}")]
    versions = [path.parent for path in place.glob(f"*/*/{CARD_FILE}")]
    newest_first = sorted(versions, key=_version, reverse=True)
    named = [(folder.relative_to(place).parts[0], folder) for folder in (*single, *newest_first)]
    return [folder for name, folder in sorted(named, key=lambda pair: pair[0]) if not name.startswith(".")]


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.name))
