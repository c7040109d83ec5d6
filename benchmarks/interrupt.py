"""Kills analyses at random moments, and runs them on full disks: a result must be complete or absent.

    python benchmarks/interrupt.py kill STUDY --times 100
    sudo python benchmarks/interrupt.py disk STUDY --sizes 20      # mounts small tmpfs

`kill` sends SIGKILL to `lumbar analyze --tasks spine`, to every second run at a moment of the whole run and to every other one while it writes; every third run
replaces an earlier result. Afterwards the output is absent, or the earlier or the new result as a whole, and the next run leaves nothing but the result.
`disk` analyzes once and writes the result to disks from 4 KiB to a little more than the result needs: exit by an error that names the reason and an empty
disk, or a whole result.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_POLL_S = 0.002


def snapshot(folder: Path) -> dict[str, int] | None:
    """Relative names and sizes of all files; None if the folder is absent."""
    if not folder.exists():
        return None
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}


def start(study: Path, out: Path) -> "subprocess.Popen[bytes]":
    words = ["analyze", str(study), "-o", str(out), "--tasks", "spine", "--quiet", "--threads", "1", "--overwrite"]
    code = "import sys; from lumbar.cli.main import main; main(sys.argv[1:])"
    return subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(process: "subprocess.Popen[bytes]", path: Path) -> None:
    while process.poll() is None and not path.exists():
        time.sleep(_POLL_S)


def complete(out: Path, names: set[str]) -> bool:
    """Whether all files are there and the findings can be parsed."""
    found = snapshot(out) or {}
    return set(found) == names and all(found.values()) and bool(json.loads((out / "findings.json").read_text())["spine"])


def kill(study: Path, times: int, seed: int) -> int:
    rng = random.Random(seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as work:
        out = Path(work) / "out"
        writing = Path(work) / ".out.lumbar" / "new" / "previews"
        began = time.perf_counter()
        process = start(study, out)
        wait_for(process, writing)
        first_write = time.perf_counter() - began
        if process.wait():
            raise SystemExit("the uninterrupted run failed")
        whole = time.perf_counter() - began
        names = set(snapshot(out) or {})
        counts = {"absent": 0, "earlier": 0, "new": 0, "half": 0, "ended before the kill": 0}
        for number in range(times):
            shutil.rmtree(out, ignore_errors=True)
            earlier = number % 3 == 0
            if earlier:
                out.mkdir()
                (out / "findings.json").write_text("{}")
                (out / "muscles.csv").write_text("earlier")
            process = start(study, out)
            if number % 2:
                wait_for(process, writing)
                time.sleep(rng.uniform(0, 1.1 * (whole - first_write)))
            else:
                time.sleep(rng.uniform(0, whole))
            process.send_signal(signal.SIGKILL)
            counts["ended before the kill"] += process.wait() == 0
            if earlier and snapshot(out) == {"findings.json": 2, "muscles.csv": 7}:
                state = "earlier"
            else:
                state = "absent" if not out.exists() else "new" if complete(out, names) else "half"
            counts[state] += 1
            if number % 10 == 9:
                print(f"{number + 1} kills: {counts}", flush=True)
        shutil.rmtree(out, ignore_errors=True)
        clean = start(study, out).wait() == 0 and complete(out, names) and [path.name for path in Path(work).iterdir()] == ["out"]
    after = "cleans up" if clean else "leaves other files"
    verdict = "PASSED" if clean and not counts["half"] else "FAILED"
    print(f"{times} kills of runs of {whole:.1f} s, of which the last {whole - first_write:.1f} s write: {counts}; the next run {after}: {verdict}")
    return counts["half"] + (not clean)


def disk(study: Path, sizes: int) -> int:
    import lumbar  # noqa: PLC0415
    from lumbar.errors import UsageError  # noqa: PLC0415

    result = lumbar.analyze(lumbar.read_study(study), lumbar.load_models(threads=1), lumbar.Request(tasks=("spine",)))
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        result.write(Path(work) / "out")
        expected = snapshot(Path(work) / "out") or {}
        needed = sum(expected.values())
        mount = Path(work) / "disk"
        mount.mkdir()
        for number in range(sizes):
            size = round(4096 + number * (1.3 * needed) / (sizes - 1)) // 4096 * 4096
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(mount)], check=True)
            try:
                outcome = "written"
                try:
                    result.write(mount / "out")
                except UsageError as error:
                    outcome = str(error)
                left = sorted(path.name for path in mount.iterdir())
                whole = outcome == "written" and set(snapshot(mount / "out") or {}) == set(expected)
                fine = (whole and left == ["out"]) or ("No space left" in outcome and not left)
                failed += not fine
                print(f"{size / 1024:8.0f} KiB: {'ok' if fine else f'FAILED, left {left}'}: {outcome.replace(work, '…')}")
            finally:
                subprocess.run(["umount", str(mount)], check=True)
    print(f"{sizes} sizes, {failed} failed: {'FAILED' if failed else 'PASSED'}")
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kill", "disk"])
    parser.add_argument("study", type=Path)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills; give each of several processes another one")
    parser.add_argument("--sizes", type=int, default=20)
    options = parser.parse_args()
    sys.exit(bool(kill(options.study, options.times, options.seed) if options.what == "kill" else disk(options.study, options.sizes)))


if __name__ == "__main__":
    main()
