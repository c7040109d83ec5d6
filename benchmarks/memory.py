"""Memory and processor time of study after study in one process; the models are loaded once.

    python benchmarks/memory.py STUDY [--studies 10] [--as-library]

Prints, after each analysis with its report, the resident memory and the processor time it took. The first line counts the start of the process too, so that
it compares with a command of its own.
"""

import argparse
import tempfile
import time
from pathlib import Path

import lumbar
from lumbar.models.memory import keep_free_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--as-library", action="store_true", help="leave the allocator as it is, as in a program that only imports lumbar")
    options = parser.parse_args()
    if not options.as_library:
        keep_free_memory()
    models, before = lumbar.load_models(), 0.0
    for number in range(1, options.studies + 1):
        with tempfile.TemporaryDirectory() as folder:
            lumbar.analyze(lumbar.read_study(options.study), models).write(Path(folder) / "out")
        now = time.process_time()
        print(f"study {number:2d}: {resident_mib():5.0f} MiB resident, {now - before:5.2f} s of processor", flush=True)
        before = now


def resident_mib() -> float:
    """Resident memory of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main()
