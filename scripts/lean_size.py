"""Prints the size of a lean install, package by package: lumbar and all that its core dependencies need, as they are installed here.

    python scripts/lean_size.py

Sizes are those of the installed files, with compiled bytecode, as `du` counts them after an install by pip; pip itself is not counted.
"""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = 4096  # bytes of a block of the file system


def main() -> None:
    """Print the table, the largest package first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    sizes = {name: size_of(name) for name in needed(project["dependencies"])}
    sizes["lumbar"] = sum(blocks(path) for path in (ROOT / "src").rglob("*") if path.is_file())
    for name, size in sorted(sizes.items(), key=lambda pair: -pair[1]):
        print(f"{name:24s} {size / 1e6:7.1f} MB")
    print(f"{'together':24s} {sum(sizes.values()) / 1e6:7.1f} MB")


def needed(requirements: list[str]) -> set[str]:
    """Names of all packages that `requirements` need, directly or not."""
    found: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        one = waiting.pop()
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        if name in found or (one.marker is not None and not one.marker.evaluate({"extra": ""})):
            continue
        try:
            waiting += [Requirement(text) for text in distribution(name).requires or ()]
        except PackageNotFoundError:
            continue
        found.add(name)
    return found


def size_of(name: str) -> int:
    """Bytes on disk of an installed package."""
    paths = {Path(str(file.locate())) for file in distribution(name).files or ()}
    return sum(blocks(path) for path in paths if path.is_file())


def blocks(path: Path) -> int:
    """Bytes of a file in whole blocks."""
    return -(-path.stat().st_size // _BLOCK) * _BLOCK


if __name__ == "__main__":
    main()
