"""Run a command of lumbar on copies of a DICOM study that are damaged in many ways.

    python benchmarks/mutilate.py STUDY                                        # lumbar inspect, 200 copies
    python benchmarks/mutilate.py --copies 50 STUDY -- analyze {input} -o {out}
    python -W error::RuntimeWarning benchmarks/mutilate.py --copies 30 STUDY -- analyze {input} -o {out}

A copy passes if the command ends with exit code 0, 3 or 4, without a traceback, in time, with a message for code 3, and leaves either whole output or
none. Prints a table of outcomes and fails if any copy does not pass. Each copy runs in a forked process, so that a crash of a decoder is seen as one.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

ALLOWED_CODES = (0, 3, 4)
_TIME_LIMIT_S = 120


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def some(folder: Path, rng: random.Random, share: float | None = None) -> list[Path]:
    """One file, some or all of them, at random."""
    paths = files(folder)
    share = rng.choice([0.0, 0.3, 1.0]) if share is None else share
    return rng.sample(paths, max(1, round(share * len(paths))))


def rewrite(path: Path, content: bytes) -> None:
    path.unlink()  # the copy is linked to the original, which must stay as it is
    path.write_bytes(content)


def edit(path: Path, change: Callable[[Dataset], None]) -> None:
    settings = pydicom.config.settings
    before = settings.writing_validation_mode
    settings.writing_validation_mode = pydicom.config.IGNORE  # the written files are invalid on purpose
    try:
        dataset = pydicom.dcmread(path)
        change(dataset)
        path.unlink()
        dataset.save_as(path)
    finally:
        settings.writing_validation_mode = before


def truncate(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng):
        content = path.read_bytes()
        rewrite(path, content[: rng.randrange(len(content))])


def cut_header(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng):
        rewrite(path, path.read_bytes()[: rng.randrange(1500)])


def cut_pixels(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng):
        rewrite(path, path.read_bytes()[: -rng.randrange(1, 5000)])


def random_bytes(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng):
        content = bytearray(path.read_bytes())
        for _ in range(rng.choice([1, 20, 400])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        rewrite(path, bytes(content))


def random_header_bytes(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng):
        content = bytearray(path.read_bytes())
        for _ in range(rng.choice([1, 5, 50])):
            content[rng.randrange(132, min(1800, len(content)))] = rng.randrange(256)
        rewrite(path, bytes(content))


def shuffle_names(folder: Path, rng: random.Random) -> None:
    paths = files(folder)
    contents = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    for number, content in zip(rng.sample(range(10**6), len(paths)), contents, strict=True):
        (folder / f"{number}{rng.choice(['', '.dcm', '.IMA', '.txt', '.jpg'])}").write_bytes(content)


_TAGS = [
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID",
    "InstanceNumber", "SeriesDescription", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation",
    "SamplesPerPixel", "PixelData", "SOPClassUID",
]  # fmt: skip


def remove_tag(folder: Path, rng: random.Random) -> None:
    tag = rng.choice(_TAGS)
    for path in some(folder, rng):
        edit(path, lambda dataset: delattr(dataset, tag) if tag in dataset else None)


def remove_many_tags(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng):
        for tag in rng.sample(_TAGS, 4):
            edit(path, lambda dataset, tag=tag: delattr(dataset, tag) if tag in dataset else None)


_CONTRADICTIONS: dict[str, list[object]] = {
    "ImageOrientationPatient": [[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, -1], [2, 0, 0, 0, 2, 0], [1, 0, 0, 0.5, 0.5, 0.7]],
    "ImagePositionPatient": [[0, 0, 0], [1e30, 0, 0], [1, 2]],
    "PixelSpacing": [[0, 0], [-1, 1], [1000, 1000], [0.5]],
    "Rows": [0, 1, 7, 65535],
    "Columns": [0, 33, 65535],
    "BitsAllocated": [1, 8, 32],
    "BitsStored": [0, 8, 40],
    "HighBit": [0, 31],
    "PixelRepresentation": [1, 7],
    "SamplesPerPixel": [0, 3],
    "PhotometricInterpretation": ["MONOCHROME1", "RGB", "PALETTE COLOR", "NONSENSE"],
    "NumberOfFrames": [0, 5, -3, 10**6],
    "Modality": ["CT", "SR", "OT"],
    "SeriesDescription": ["T1", "", "LOCALIZER", "x" * 500],
    "InstanceNumber": [1, -5, 2**31 - 1],
    "RescaleSlope": [0, 1e30, -1],
    "StudyInstanceUID": ["1.2.3", ""],
    "SeriesInstanceUID": ["1.2.3", ""],
    "RepetitionTime": [0, 4000],
    "EchoTime": [100, 1e9],
}


def contradict(folder: Path, rng: random.Random) -> None:
    tag = rng.choice(list(_CONTRADICTIONS))
    value = rng.choice(_CONTRADICTIONS[tag])
    for path in some(folder, rng):
        edit(path, lambda dataset: setattr(dataset, tag, value))


def not_a_number(folder: Path, rng: random.Random) -> None:
    """Put NaN where a position starts, in the bytes themselves."""
    for path in some(folder, rng):
        position = str(pydicom.dcmread(path).ImagePositionPatient[0]).encode()
        rewrite(path, path.read_bytes().replace(position, b"nan".ljust(len(position)), 1))


def wrong_transfer_syntax(folder: Path, rng: random.Random) -> None:
    syntax = rng.choice([b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.2"])
    for path in some(folder, rng):
        old = str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID).encode()
        rewrite(path, path.read_bytes().replace(old, syntax[: len(old)].ljust(len(old), b"\0"), 1))


def drop_slices(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng, rng.choice([0.1, 0.5, 0.9, 0.98])):
        path.unlink()


def drop_series(folder: Path, rng: random.Random) -> None:
    folders = sorted({path.parent for path in files(folder)})
    for parent in rng.sample(folders, max(1, len(folders) - 1)):
        if parent != folder:
            shutil.rmtree(parent)


def one_file(folder: Path, rng: random.Random) -> None:
    kept = rng.choice(files(folder))
    for path in files(folder):
        if path != kept:
            path.unlink()


def duplicate(folder: Path, rng: random.Random) -> None:
    for number, path in enumerate(some(folder, rng)):
        shutil.copy(path, folder / f"copy{number}")


def same_place(folder: Path, rng: random.Random) -> None:
    place = [str(value) for value in (1.5, -2.5, 3.5)]
    for path in some(folder, rng):
        edit(path, lambda dataset: setattr(dataset, "ImagePositionPatient", place))


def jitter(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng, 1.0):
        edit(path, lambda dataset: setattr(dataset, "ImagePositionPatient", [round(float(v) + rng.gauss(0, 2), 4) for v in dataset.ImagePositionPatient]))


def mix_series(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng, 1.0):
        edit(path, lambda dataset: setattr(dataset, "SeriesInstanceUID", "1.2.3.4"))


def strangers(folder: Path, rng: random.Random) -> None:
    (folder / "text.dcm").write_text("no DICOM at all\n" * 40)
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "random.dcm").write_bytes(rng.randbytes(3000))
    (folder / "preamble.dcm").write_bytes(bytes(128) + b"DICM" + rng.randbytes(3000))
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (folder / ("long name " * 12)).write_bytes(b"\x08\x00\x05\x00")


def only_strangers(folder: Path, rng: random.Random) -> None:
    empty_folder(folder, rng)
    strangers(folder, rng)


def empty_folder(folder: Path, rng: random.Random) -> None:
    for path in files(folder):
        path.unlink()


def empty_files(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng):
        rewrite(path, b"")


def text_named_dcm(folder: Path, rng: random.Random) -> None:
    empty_folder(folder, rng)
    (folder / "study.dcm").write_text("I only look like one")


def no_preamble(folder: Path, rng: random.Random) -> None:
    for path in some(folder, rng):
        rewrite(path, path.read_bytes()[132:])


MUTILATIONS: dict[str, Callable[[Path, random.Random], None]] = {
    function.__name__: function
    for function in (
        truncate, cut_header, cut_pixels, random_bytes, random_header_bytes, shuffle_names, remove_tag, remove_many_tags, contradict, not_a_number,
        wrong_transfer_syntax, drop_slices, drop_series, one_file, duplicate, same_place, jitter, mix_series, strangers, only_strangers, empty_folder,
        empty_files, text_named_dcm, no_preamble,
    )
}  # fmt: skip


def mutilated_copy(study: Path, target: Path, name: str, seed: int) -> None:
    """A copy of `study` at `target`, damaged by the mutilation `name`."""
    for path in files(study):
        copy = target / path.relative_to(study)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    target.mkdir(exist_ok=True)
    MUTILATIONS[name](target, random.Random(seed))  # noqa: S311


def run_command(words: list[str], log: Path) -> tuple[int, float]:
    """Exit code (negative for a signal, 124 out of time) and seconds of `lumbar words`, its output in `log`."""
    context = multiprocessing.get_context("fork")
    start = time.perf_counter()
    process = context.Process(target=child, args=(words, log))
    process.start()
    process.join(_TIME_LIMIT_S)
    if process.is_alive():
        process.kill()
        process.join()
        return 124, time.perf_counter() - start
    return process.exitcode or 0, time.perf_counter() - start


def child(words: list[str], log: Path) -> None:
    warnings.resetwarnings()  # as `python -W` wants them, whatever the parent has silenced
    for words_of in sys.warnoptions:
        warnings.simplefilter(words_of.split(":")[0])  # type: ignore[arg-type]
    from lumbar.cli.main import main  # noqa: PLC0415

    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    main(words)


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings about invalid values, which are intended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def verdict(code: int, output: str, out: Path) -> str:
    """What is wrong with an outcome, or "" if it passes."""
    leftovers = [path.name for path in out.parent.iterdir() if path != out]
    outputs = files(out) if out.is_dir() else []
    checks = [
        (code not in ALLOWED_CODES, f"exit code {code}"),
        ("Traceback" in output or "internal error" in output, "traceback"),
        (code == 3 and not any(line.startswith("error: ") for line in output.splitlines()), "exit code 3 without a message"),
        (bool(leftovers), f"left behind {leftovers}"),
        (code == 3 and out.exists(), "output in spite of an error"),
        (any(path.stat().st_size == 0 for path in outputs), "an empty file in the output"),
        (not all(map(_whole_json, outputs)), "a half-written file in the output"),
    ]
    return next((what for wrong, what in checks if wrong), "")


def _whole_json(path: Path) -> bool:
    try:
        return path.suffix != ".json" or json.loads(path.read_text()) is not None
    except ValueError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--copies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print the output of the command for each copy")
    parser.add_argument("command", nargs="*", default=["inspect", "{input}"], help="words of the lumbar command, after --")
    options = parser.parse_args()
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: list[float] = []
    failed = 0
    with tempfile.TemporaryDirectory() as work:
        for number in range(options.copies):
            name = list(MUTILATIONS)[number % len(MUTILATIONS)]
            place = Path(work) / str(number)
            mutilated_copy(options.study, place / "in", name, options.seed + number)
            (place / "result").mkdir()
            out = place / "result" / "out"
            words = [word.format(input=place / "in", out=out) for word in options.command]
            code, elapsed = run_command(words, place / "log")
            output = (place / "log").read_text(errors="replace")
            wrong = verdict(code, output, out)
            seconds.append(elapsed)
            outcomes[name][f"FAILED {wrong}" if wrong else f"code {code}"] += 1
            failed += bool(wrong)
            if wrong or options.show:
                print(f"--- {name}, seed {options.seed + number}: {wrong or code}\n{output}")
            shutil.rmtree(place)
    for name, counts in outcomes.items():
        print(f"{name:24}", "  ".join(f"{outcome}: {count}" for outcome, count in sorted(counts.items())))
    print(f"{options.copies} copies, {failed} failed; longest {max(seconds):.1f} s, all {sum(seconds):.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
