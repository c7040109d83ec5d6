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
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag

LIMIT_BYTES = 2 * 2**30
_TIME_LIMIT_S = 600  # generous: the machine may be busy, and what hangs is found all the same
_BATCH = 50

# What a header can hold in place of a value, whatever its representation allows.
_VALUES: list[object] = [
    "", "0", "-1", "1e308", "nan", "inf", "1\\2", "1\\2\\3\\4\\5\\6\\7", "x" * 3000, "\x00\x01\x02", "Ä ö ß", "表示ソ", "\x1b[31m", "../../etc/passwd", "%s%n",
    "{0}",     "99999999999999999999", "1,5", "0x10", "None", " ", "\\", "\\\\\\", "2.25.0", "1.2.840." + "9" * 60, "True", "-0", "1e-308", "١٢٣",
]  # fmt: skip
_NUMBERS = [0, 1, -1, 2, 7, 255, 32767, 65535, 2**31 - 1]
_IMPORTANT = [
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "InstanceNumber",
    "SeriesNumber", "SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "SeriesDescription", "ImageType",
    "EchoTime", "RepetitionTime", "InversionTime", "FlipAngle", "ScanningSequence", "SequenceVariant", "ScanOptions", "PatientAge", "PatientSex",
    "SpecificCharacterSet", "SliceThickness", "SpacingBetweenSlices", "FrameOfReferenceUID", "Manufacturer", "PatientPosition", "DiffusionBValue",
    "PlanarConfiguration", "PixelPaddingValue", "WindowCenter", "ProtocolName", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "PixelData", "FloatPixelData", "TransferSyntaxUID", "LossyImageCompression",
]  # fmt: skip


def any_tag(dataset: Dataset, rng: random.Random) -> Tag:
    """A tag that matters, one that is there, or one made up."""
    kind = rng.random()
    if kind < 0.6:
        return Tag(tag_for_keyword(rng.choice(_IMPORTANT)))
    if kind < 0.9:
        return rng.choice(list(dataset.keys()) or [Tag(0x00080005)])
    return Tag(rng.randrange(0x0008, 0x7FFF), rng.randrange(0x10000))


def set_value(folder: Path, rng: random.Random) -> None:
    """Write a value of a wrong kind, size or sense."""
    value = rng.choice(_VALUES)
    seed = rng.random()
    for path in mutilate.some(folder, rng):
        mutilate.edit(path, lambda dataset: _set(dataset, any_tag(dataset, random.Random(seed)), value, random.Random(seed)))  # noqa: S311


def _set(dataset: Dataset, tag: Tag, value: object, rng: random.Random) -> None:
    present = dataset[tag].VR if tag in dataset else rng.choice(["LO", "DS", "IS", "US", "SQ", "UI", "OB", "UN", "FD", "AS", "CS"])
    if present in ("US", "SS", "UL", "SL", "FD", "FL"):
        value = rng.choice(_NUMBERS[:8] if present in ("US", "SS") else _NUMBERS) if rng.random() < 0.8 else [1, 2, 3]
        value = abs(value) % 32768 if isinstance(value, int) else value
    elif present in ("OB", "OW", "UN"):
        value = rng.randbytes(rng.choice([0, 2, 64, 4096]))
    elif present == "SQ":
        value = [Dataset() for _ in range(rng.choice([0, 1, 3]))]
    try:
        dataset.add_new(tag, present, value)
    except Exception:
        dataset.add_new(tag, "UN", str(value).encode("utf-8", "replace"))


def wrong_representation(folder: Path, rng: random.Random) -> None:
    """Swap the two letters of the value representation of an element in the bytes."""
    kinds = [b"DS", b"IS", b"LO", b"UI", b"CS", b"US", b"OW", b"SQ", b"UN", b"ZZ", b"AT"]
    for path in mutilate.some(folder, rng):
        content = bytearray(path.read_bytes())
        places = [at for at in range(132, min(3000, len(content) - 2)) if bytes(content[at : at + 2]) in kinds]
        if places:
            at = rng.choice(places)
            content[at : at + 2] = rng.choice(kinds)
        mutilate.rewrite(path, bytes(content))


def lying_length(folder: Path, rng: random.Random) -> None:
    """Replace the length of an element."""
    lengths = [0, 1, 3, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, 2**20]
    for path in mutilate.some(folder, rng):
        content = bytearray(path.read_bytes())
        at = rng.randrange(136, min(2500, len(content) - 8)) & ~1
        content[at : at + 4] = rng.choice(lengths).to_bytes(4, "little")
        mutilate.rewrite(path, bytes(content))


def insert_bytes(folder: Path, rng: random.Random) -> None:
    """Put bytes in, or take some out."""
    for path in mutilate.some(folder, rng):
        content = path.read_bytes()
        at = rng.randrange(min(2500, len(content)))
        gone = rng.choice([0, 1, 2, 8, 100])
        mutilate.rewrite(path, content[:at] + rng.randbytes(rng.choice([0, 1, 2, 8, 300])) + content[at + gone :])


def splice(folder: Path, rng: random.Random) -> None:
    """The head of one file with the tail of another."""
    paths = mutilate.files(folder)
    for path in mutilate.some(folder, rng, 0.3):
        other = rng.choice(paths).read_bytes()
        own = path.read_bytes()
        at = rng.randrange(len(own))
        mutilate.rewrite(path, own[:at] + other[at:])


def huge_claims(folder: Path, rng: random.Random) -> None:
    """Rows, columns and frames that announce more than there is."""
    for path in mutilate.some(folder, rng):
        claims = {
            "Rows": rng.choice([2, 4096, 65535]),
            "Columns": rng.choice([2, 4096, 65535]),
            "NumberOfFrames": rng.choice(["1", "1000", "2147483647", "-1"]),
        }
        chosen = rng.sample(sorted(claims), rng.choice([1, 2, 3]))
        mutilate.edit(path, lambda dataset, chosen=chosen, claims=claims: [setattr(dataset, name, claims[name]) for name in chosen])


def nest(folder: Path, rng: random.Random) -> None:
    """Sequences in sequences, deep enough to exhaust a recursion; as bytes, since pydicom takes for ever to write them."""
    depth = rng.choice([3, 100, 3000])
    opened = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    for path in mutilate.some(folder, rng, 0.0):
        content = path.read_bytes()
        at = max(content.find(b"\xe0\x7f\x10\x00"), 132)
        mutilate.rewrite(path, content[:at] + depth * opened + (depth - rng.choice([0, 1])) * closed + content[at:])


def move_positions(folder: Path, rng: random.Random) -> None:
    """Scale, shift, reverse or round all positions, as anonymisers and converters do."""
    kind, factor = rng.choice(["scale", "shift", "round", "swap"]), rng.choice([0.001, 0.1, 10.0, 1000.0])
    for path in mutilate.files(folder):
        position = [float(value) for value in pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient]
        changed = {
            "scale": [value * factor for value in position], "shift": [value + 1e4 * factor for value in position],
            "round": [round(value / 10) * 10.0 for value in position], "swap": position[::-1],
        }[kind]  # fmt: skip
        mutilate.edit(path, lambda dataset, changed=changed: setattr(dataset, "ImagePositionPatient", [f"{value:.6g}" for value in changed]))


def noise_headers(folder: Path, rng: random.Random) -> None:
    """Many random changes of the headers at once."""
    for _ in range(rng.choice([2, 5])):
        rng.choice([set_value, mutilate.remove_tag, mutilate.contradict, wrong_representation])(folder, rng)


FUZZ = {
    **mutilate.MUTILATIONS,
    **{f.__name__: f for f in (set_value, wrong_representation, lying_length, insert_bytes, splice, huge_claims, nest, move_positions, noise_headers)},
}
_OFTEN = ["set_value"] * 8 + ["lying_length", "wrong_representation", "insert_bytes", "huge_claims", "noise_headers", "move_positions"] * 3


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
    name = rng.choice([*FUZZ, *_OFTEN])
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
