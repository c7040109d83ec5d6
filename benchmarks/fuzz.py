"""Run `lumbar` on damaged copies of a DICOM study in one process each and count the outcomes.

    python -W error benchmarks/fuzz.py STUDY --inputs 10000                    # mostly `inspect`, every 20th input a whole analysis of the spine
    python -W error benchmarks/fuzz.py STUDY --inputs 300 --full-every 0       # `inspect` alone
    python -W error benchmarks/fuzz.py STUDY --inputs 5000 --first 5000 --progress FILE     # a half; a run that was stopped goes on from FILE

Each input is a small part of STUDY with some tags or bytes changed: values of every kind of representation, elements removed, repeated, moved into other
groups, lengths that lie, transfer syntaxes that lie, and the mutilations of `mutilate.py`. An input passes if the command ends with exit code 0, 3 or 4
within its time, without a traceback or warning, with a message for code 3, below the memory limit, and leaves a whole output or none.
"""

import argparse
import contextlib
import io
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import mutilate
import pydicom
from damage import FUZZ, OFTEN

LIMIT_BYTES = 2 * 2**30
_TIME_LIMIT_S = 600  # generous: the machine may be busy, and what hangs is found all the same
_BATCH = 50


def run_forked(words: list[str], log: Path) -> tuple[int, float, int]:
    """Exit code (negative for a signal, 124 out of time), seconds and peak memory in bytes of `lumbar words`, its output in `log`."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            mutilate.child(words, log)
        except SystemExit as left:
            sys.stdout.flush()
            os._exit(left.code if isinstance(left.code, int) else 1)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status, memory = _waited(child, _TIME_LIMIT_S)
    return status, time.perf_counter() - start, memory


def _waited(child: int, limit_s: float) -> tuple[int, int]:
    """Exit code and peak memory of a forked process, which is stopped after `limit_s`."""
    start = time.perf_counter()
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024
        if time.perf_counter() - start > limit_s:
            os.kill(child, 9)
            os.wait4(child, 0)
            return 124, 0
        time.sleep(0.003)


def run_batch(small: Path, work: Path, numbers: range, results: Path) -> None:
    """Inputs without a whole analysis, one after the other in this process, with a line of `results` for each; crashes end the process."""
    from lumbar.cli.main import main as run  # noqa: PLC0415

    with results.open("a") as file:
        for number in numbers:
            place = work / str(number)
            place.mkdir()
            with mutilate.quiet():
                name, words, out = fuzzed(small, small, place, number, 0)
            output = io.StringIO()
            code: object = 0
            start = time.perf_counter()
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                try:
                    run(words)
                except SystemExit as left:
                    code = left.code or 0
                except BaseException as error:
                    code = f"{type(error).__name__}: {error}"
            seconds = time.perf_counter() - start
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            row = [
                number,
                name,
                code,
                output.getvalue()[-3000:],
                mutilate.verdict(code if isinstance(code, int) else 1, output.getvalue(), out),
                seconds,
                memory,
            ]
            file.write(json.dumps(row) + "\n")
            file.flush()
            shutil.rmtree(place, ignore_errors=True)


def fuzzed(small: Path, whole: Path, place: Path, number: int, full_every: int) -> tuple[str, list[str], Path]:
    """Damage a copy; the mutation's name, the words of the command, and where output would lie."""
    rng = random.Random(number)  # noqa: S311
    name = rng.choice([*FUZZ, *OFTEN])
    full = bool(full_every) and number % full_every == 0
    source = whole if full else small
    copy = place / "in"
    for path in mutilate.files(source):
        target = copy / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(path, target)
    try:
        FUZZ[name](copy, rng)
    except Exception as error:  # pydicom cannot write all invalid values; the part written so far is the input
        name = f"{name} ({type(error).__name__})"
    (place / "result").mkdir()
    out = place / "result" / "out"
    return name, ["analyze", str(copy), "-o", str(out), "--tasks", "spine", "--quiet"] if full else ["inspect", str(copy)], out


def small_study(study: Path, folder: Path, slices: int) -> Path:
    """The first `slices` of every series of `study`, uncompressed copies cut to 32 × 32 pixels."""
    counts: Counter[str] = Counter()
    for path in mutilate.files(study):
        dataset = pydicom.dcmread(path)
        counts[dataset.SeriesInstanceUID] += 1
        if counts[dataset.SeriesInstanceUID] > slices:
            continue
        pixels = dataset.pixel_array[:32, :32].copy()
        dataset.Rows, dataset.Columns, dataset.PixelData = *pixels.shape, pixels.tobytes()
        folder.mkdir(parents=True, exist_ok=True)
        dataset.save_as(folder / f"{len(counts)}_{counts[dataset.SeriesInstanceUID]:03}.dcm")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="a DICOM study; `lumbar phantom study` makes one")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first input")
    parser.add_argument("--full-every", type=int, default=250, help="every so many inputs a whole analysis of the spine; 0: none")
    parser.add_argument("--show", action="store_true", help="print the output of each failed input")
    parser.add_argument("--progress", type=Path, help="file that holds what was counted; a run with the same inputs goes on from it")
    options = parser.parse_args()
    import lumbar.cli.inspect  # noqa: PLC0415  (imported once, before the forks)
    import lumbar.io.nifti_read  # noqa: PLC0415
    import lumbar.io.weighting_from_pixels  # noqa: F401, PLC0415

    tally = Tally(options.show)
    done = tally.restored(options.progress, f"{options.first} {options.inputs} {options.full_every}")
    with tempfile.TemporaryDirectory() as text:
        work = Path(text)
        with mutilate.quiet():
            small = small_study(options.study, work / "small", 3)
        last = options.first + options.inputs
        for start in range(options.first + done, last, _BATCH):
            inspected(small, work, range(start, min(start + _BATCH, last)), tally)
            if options.full_every and (start - options.first) % options.full_every == 0:
                analyzed(options.study, work, last + start, tally)
            tally.save(min(start + _BATCH, last) - options.first)
    sys.exit(tally.summary())


def inspected(small: Path, work: Path, numbers: range, tally: "Tally") -> None:
    """One batch of `inspect` in one process; a crash ends the batch at the input that caused it, and the rest follows in another."""
    while numbers:
        results = work / f"results_{numbers.start}"
        results.touch()
        child = os.fork()
        if child == 0:
            try:
                run_batch(small, work, numbers, results)
            finally:
                os._exit(0)
        code, _ = _waited(child, _TIME_LIMIT_S * 5)
        rows = [json.loads(line) for line in results.read_text().splitlines()]
        for number, name, *rest in rows:
            tally.add("inspect", number, name, Run(*rest))
        numbers = numbers[len(rows) :]
        if numbers:
            tally.add("inspect", numbers[0], "?", Run(code, "", f"the process ended with {code}", 0.0, 0))
            shutil.rmtree(work / str(numbers[0]), ignore_errors=True)
            numbers = numbers[1:]


def analyzed(study: Path, work: Path, number: int, tally: "Tally") -> None:
    """One whole analysis in a process of its own."""
    place = work / str(number)
    place.mkdir()
    with mutilate.quiet():
        name, words, out = fuzzed(study, study, place, number, 1)
    code, seconds, memory = run_forked(words, place / "log")
    output = (place / "log").read_text(errors="replace")
    tally.add("analyze", number, name, Run(code, output, mutilate.verdict(code, output, out), seconds, memory))
    shutil.rmtree(place, ignore_errors=True)


@dataclass(frozen=True)
class Run:
    """One run of a command."""

    code: object  # exit code
    output: str
    wrong: str  # what was wrong, empty if nothing
    seconds: float
    memory: int  # peak, in bytes


class Tally:
    """Outcomes so far."""

    def __init__(self, show: bool) -> None:
        self.show = show
        self.outcomes: Counter[str] = Counter()
        self.failed = 0
        self.peak = 0
        self.longest = 0.0
        self.path: Path | None = None
        self.inputs = ""

    def restored(self, path: Path | None, inputs: str) -> int:
        """Take over what an earlier run of the same `inputs` counted; returns how many of them it had done."""
        self.path, self.inputs = path, inputs
        if path is None or not path.exists():
            return 0
        saved = json.loads(path.read_text())
        if saved["inputs"] != inputs:
            raise SystemExit(f"{path} belongs to other inputs ({saved['inputs']})")
        self.outcomes.update(saved["outcomes"])
        self.failed, self.peak, self.longest = saved["failed"], saved["peak"], saved["longest"]
        return int(saved["done"])

    def save(self, done: int) -> None:
        """Write what was counted to the file of `restored`, if there is one."""
        if self.path:
            part = self.path.with_suffix(".part")
            saved = {"inputs": self.inputs, "done": done, "outcomes": self.outcomes, "failed": self.failed, "peak": self.peak, "longest": self.longest}
            part.write_text(json.dumps(saved))
            part.replace(self.path)

    def add(self, verb: str, number: int, name: str, run: Run) -> None:
        """Count one input, and print it if it failed."""
        wrong = run.wrong or ("more than 2 GiB" if run.memory > LIMIT_BYTES else "") or ("a warning" if "Warning" in run.output else "")
        self.outcomes[f"{verb}: {wrong or f'code {run.code}'}"] += 1
        self.peak, self.longest = max(self.peak, run.memory), max(self.longest, run.seconds)
        if wrong:
            self.failed += 1
            print(f"{verb} {number} {name}: {wrong}, {run.code}", run.output[-1500:] if self.show else "", flush=True)
        if self.outcomes.total() % 500 == 0:
            print(f"{self.outcomes.total()} inputs, {self.failed} failed", flush=True)

    def summary(self) -> int:
        """Print the table; 1 if anything failed."""
        for outcome, count in sorted(self.outcomes.items()):
            print(f"{outcome:40} {count}")
        verdict = "FAILED" if self.failed else "PASSED"
        print(f"{self.outcomes.total()} inputs, {self.failed} failed; longest {self.longest:.1f} s, peak memory {self.peak / 2**20:.0f} MiB: {verdict}")
        return int(self.failed > 0)


if __name__ == "__main__":
    main()
