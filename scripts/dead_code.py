"""Find unused functions, classes, methods, properties and imports of the package (part of scripts/check).

Vulture looks for the uses in src, recipes, benchmarks and scripts: code that only a test calls is dead. Fields of dataclasses are left out, because
they are used when the object is written to a file. Names in Jinja templates and in the command table of `cli/main.py` count as uses.
"""

import re
import sys
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).parent.parent
KINDS = {"function", "class", "method", "property", "import", "unreachable_code"}
CALLED_FROM_OUTSIDE = [
    "__dir__", "__getattr__", "to_frame",  # Python and the users of the front door
    "format_commands", "get_command", "list_commands",  # click
    "on_*", "training_step", "validation_step", "configure_optimizers", "setup", "forward", "perform_actual_validation",  # Lightning, PyTorch, nnU-Net
    "do_*", "log_message",  # http.server
    "AnalyzeJob", "CallJob",  # a batch worker looks them up by their paths
    "load_bytecode", "dump_bytecode",  # Jinja
    "comparison_schema",  # for users of comparison.json
]  # fmt: skip


def main() -> None:
    vulture = Vulture(ignore_names=CALLED_FROM_OUTSIDE, ignore_decorators=["@click.*", "@*.command", "@app.*", "@router.*", "@atexit.register"])
    vulture.scavenge([str(ROOT / folder) for folder in ("src", "recipes", "benchmarks", "scripts")])
    templates = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.j2"))
    named = set(re.findall(r"\w+", templates)) | set(re.findall(r":(\w+)\"", (ROOT / "src/lumbar/cli/main.py").read_text(encoding="utf-8")))
    dead = [item for item in vulture.get_unused_code(min_confidence=60) if item.typ in KINDS and item.name not in named and "src" in item.filename.parts]
    for item in dead:
        print(f"{item.filename.relative_to(ROOT)}:{item.first_lineno}: {item.typ} {item.name} is not used; remove it, or use it")
    sys.exit(1 if dead else 0)


if __name__ == "__main__":
    main()
