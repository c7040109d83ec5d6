"""Prints the structure of the source in numbers: rooms, circles, arrows that point upwards, long files, and what an analysis imports.

python scripts/structure.py [SOURCE]      (by default src of this checkout; another version of lumbar can be named)
"""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

FLOORS = (
    ("errors",), ("domain",), ("io", "imaging", "models", "training", "metrics"), ("spine", "phantom", "datasets", "quality"),
    ("severity", "discs", "muscle", "age"), ("population",), ("pipeline",), ("report", "exchange"), ("api",), ("batch", "service"), ("cli",),
)  # fmt: skip
LONG_FILE, LONG_FUNCTION = 400, 60
IMPORTED = "import sys, lumbar.cli.analyze; print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('lumbar') and getattr(m, '__file__', '')))"


def main() -> None:
    """Print the numbers of one source folder."""
    source = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "src").resolve()
    files = sorted((source / "lumbar").rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    arrows = room_arrows(source, trees)
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    long_functions = [node for tree in trees.values() for node in ast.walk(tree)
                      if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > LONG_FUNCTION]  # fmt: skip
    print(f"files {len(files)}, lines {sum(lines.values())}, longest file {max(lines.values())} lines")
    print(f"files over {LONG_FILE} lines: {sum(count > LONG_FILE for count in lines.values())}; functions over {LONG_FUNCTION} lines: {len(long_functions)}")
    print(f"rooms {len(arrows)}, arrows between rooms {sum(map(len, arrows.values()))}")
    print(f"circles of rooms: {circles(arrows) or 'none'}")
    print(f"arrows that point upwards: {upwards(arrows) or 'none'}")
    listed = subprocess.run([sys.executable, "-c", IMPORTED], env={"PYTHONPATH": str(source)}, capture_output=True, text=True, check=True).stdout.split()
    imported = [Path(path).relative_to(source / "lumbar") for path in listed]
    training = [str(path) for path in imported if "learn" in path.parts or path.parts[0] == "training" or uses_torch(trees[source / "lumbar" / path])]
    print(f"files that `lumbar analyze` imports: {len(imported)}; of those with training code: {len(training)} {' '.join(sorted(training))}")


def room_arrows(source: Path, trees: dict[Path, ast.Module]) -> dict[str, set[str]]:
    """Which rooms (first folder or file below lumbar) each room imports."""
    arrows: dict[str, set[str]] = defaultdict(set)
    for path, tree in trees.items():
        room = path.relative_to(source / "lumbar").parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        arrows.setdefault(room, set())
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""] if node.module != "lumbar" else [f"lumbar.{alias.name}" for alias in node.names]
            arrows[room] |= {name.split(".")[1] for name in names if name.startswith("lumbar.")} - {room, "__version__"}
    return dict(arrows)


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """Every pair of rooms that reach each other."""
    reach = {room: reachable(room, arrows) for room in arrows}
    return sorted(f"{a} ⇄ {b}" for a in arrows for b in arrows if a < b and b in reach[a] and a in reach[b])


def reachable(room: str, arrows: dict[str, set[str]]) -> set[str]:
    """All rooms that `room` imports, directly or not."""
    found: set[str] = set()
    waiting = [room]
    while waiting:
        for other in arrows.get(waiting.pop(), set()) - found:
            found.add(other)
            waiting.append(other)
    return found


def upwards(arrows: dict[str, set[str]]) -> list[str]:
    """Imports of a room on the same or a higher floor."""
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    return sorted(f"{a} → {b}" for a, targets in arrows.items() for b in targets if floor.get(b, -1) >= floor.get(a, len(FLOORS)))


def uses_torch(tree: ast.Module) -> bool:
    """Whether a file imports PyTorch or Lightning."""
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return any(name.split(".")[0] in {"torch", "lightning"} for name in names)


if __name__ == "__main__":
    main()
