"""The walk of a study through the modules of lumbar: which are entered, over which passages, and which passages lead back.

    python benchmarks/walk.py STUDY [--source OTHER_CHECKOUT/src]

A module is entered when one of its functions runs. A passage is a pair of modules of which the first calls the second. It leads back where the second is
still waiting further up the call stack: a reader has to return to a file that he had left. With --source the same is counted for another version.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

_NOT_OF_THE_WALK = ("cli", "domain", "errors")  # the way in, and what every module knows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--source", type=Path, default=Path(__file__).resolve().parents[1] / "src")
    options = parser.parse_args()
    sys.path.insert(0, str(options.source.resolve()))
    passages: set[tuple[str, str]] = set()
    back: set[tuple[str, str]] = set()
    with tempfile.TemporaryDirectory() as folder:
        observed(observer(options.source.resolve() / "lumbar", passages, back), options.study, Path(folder) / "out")
    for name in ("", "spine", "severity", "muscle", "report"):
        inside = {pair for pair in passages if all(module.split(".")[0] == name for module in pair)} if name else passages
        rooms = {module for pair in inside for module in pair}
        print(f"{name or 'whole analysis':15s} {len(rooms):4d} modules entered, {len(inside):4d} passages, {len(inside & back):3d} of them lead back")


def observed(observe: Callable[[FrameType, str, Any], None], study: Path, out: Path) -> None:
    """Analyze `study` while every call is shown to `observe`."""
    from lumbar.cli.main import main as run  # noqa: PLC0415  (from the source that the options name)

    threading.setprofile(observe)
    sys.setprofile(observe)
    try:
        run(["analyze", str(study), "-o", str(out), "--quiet"])
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def observer(package: Path, passages: set[tuple[str, str]], back: set[tuple[str, str]]) -> Callable[[FrameType, str, Any], None]:
    """A profile function that collects passages between the modules of `package`, and those that lead back."""
    root, names = f"{package}/", dict[str, str | None]()
    stacks = threading.local()

    def module_of(file: str) -> str | None:
        if file not in names:
            inside = file.startswith(root) and not file.removeprefix(root).startswith(_NOT_OF_THE_WALK)
            names[file] = file.removeprefix(root).removesuffix(".py").replace("/", ".") if inside else None
        return names[file]

    def observe(frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "return"):
            return
        module = module_of(frame.f_code.co_filename)
        if module is None or frame.f_code.co_name == "<module>":
            return
        stack: list[str] = stacks.__dict__.setdefault("modules", [])
        if event == "return":
            if stack:
                stack.pop()
            return
        if stack and stack[-1] != module:
            passages.add((stack[-1], module))
            if module in stack:
                back.add((stack[-1], module))
        stack.append(module)

    return observe


if __name__ == "__main__":
    main()
