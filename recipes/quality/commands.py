"""Commands as people give them around the world: tables of spreadsheets, terminals of other encodings, and folders that hold earlier results.

    python recipes/quality/commands.py STUDY

STUDY is a DICOM study (`lumbar phantom study` makes one). Tables in every spelling must give the figures of the plain table, or be refused with the line;
terminals must show every text without an error; a result folder must hold one result, and the second of two runs into it must stop.
Prints one line per case and a verdict.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

CODE = "import sys; from lumbar.cli.main import main; main(sys.argv[1:])"
ROWS = [(f"S{n:02}", "AB"[n % 2], ("F", "M", "")[n % 3], 40.5 + n, 38.25 + 1.1 * n) for n in range(12)]
COLUMNS = ("subject", "site", "sex", "age", "predicted")
ENCODINGS = ("cp1252", "cp932", "cp1251", "cp437", "ascii", "utf-8", "utf-16")
Verdict = tuple[str, bool, str]  # name of the case, whether it is right, what happened


def run(*words: str, encoding: str | None = None) -> "subprocess.CompletedProcess[bytes]":
    environment = dict(os.environ, OMP_NUM_THREADS="1") | ({"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"} if encoding else {})
    return subprocess.run([sys.executable, "-W", "error", "-c", CODE, *words], check=False, capture_output=True, env=environment)  # noqa: S603


def table(separator: str = ",", comma: bool = False, header: tuple[str, ...] = COLUMNS, end: str = "\n") -> str:
    lines = [separator.join(header)]
    for row in ROWS:
        cells = [f"{cell}".replace(".", ",") if comma and isinstance(cell, float) else f"{cell}" for cell in row]
        lines.append(separator.join(cells))
    return end.join(lines) + end


def quoted() -> str:
    """The plain table with decimal commas between quotes."""
    rows = [",".join(f'"{cell}"'.replace(".", ",") if isinstance(cell, float) else cell for cell in row) for row in ROWS]
    return "\n".join([",".join(COLUMNS), *rows])


def tables() -> dict[str, bytes]:
    """The plain table as programs write it."""
    plain = table()
    return {
        "byte-order mark": ("\ufeff" + plain).encode(),
        "UTF-16": plain.encode("utf-16"),
        "lines of Windows": table(end="\r\n").encode(),
        "lines of old Macs": table(end="\r").encode(),
        "semicolons": table(";").encode(),
        "semicolons and decimal commas": table(";", comma=True).encode(),
        "byte-order mark, semicolons, decimal commas": ("\ufeff" + table(";", comma=True, end="\r\n")).encode(),
        "tabs": table("\t").encode(),
        "tabs and decimal commas": table("\t", comma=True).encode(),
        "bars": table("|").encode(),
        "sep=; in the first line": ("sep=;\r\n" + table(";", end="\r\n")).encode(),
        "decimal commas in quotes": quoted().encode(),
        "capital letters and spaces in the header": table(header=("Subject ", " SITE", "Sex", "Age", "Predicted")).encode(),
        "blank lines and blank cells at the end": (plain.replace("\n", ",,\n") + "\n,,,,,,\n\n").encode(),
        "blank sex as NA": plain.replace(",,", ",NA,").encode(),
        "no break at the end": plain.rstrip().encode(),
    }  # fmt: skip


REFUSED = {
    "identifiers rounded by a spreadsheet": table().replace("S03", "4.003E+06").encode(),
    "a thousands separator": table(";").replace("43.5", "1,435").encode(),
    "a text where a number is needed": table().replace("43.5", "about 43").encode(),
    "a workbook": b"PK\x03\x04" + bytes(200),
    "no column of ages": table(header=("subject", "site", "sex", "years", "predicted")).encode(),
    "an age column twice": table(header=("subject", "age", "sex", "age", "predicted")).encode(),
    "a cell too many": table().replace("S03,", "S03,x,").encode(),
}


def table_cases(work: Path) -> Iterator[Verdict]:
    path = work / "table.csv"
    path.write_text(table())
    expected = run("evaluate", "age", "--table", str(path), "--json").stdout
    yield "plain table", bool(expected), f"{len(expected)} bytes"
    for name, content in tables().items():
        path.write_bytes(content)
        done = run("evaluate", "age", "--table", str(path), "--json")
        yield name, done.returncode == 0 and done.stdout == expected, last_line(done)
    for name, content in REFUSED.items():
        path.write_bytes(content)
        done = run("evaluate", "age", "--table", str(path), "--json")
        yield name, done.returncode == 3 and not done.stdout and b"Traceback" not in done.stderr and b"table.csv" in done.stderr, last_line(done)


def terminal_cases(work: Path, study: Path) -> Iterator[Verdict]:
    named = work / "Прогулка 表示 größer ≥ 5 µm"
    shutil.copytree(study, named)
    for encoding in ENCODINGS:
        for words in (("inspect", str(named)), ("inspect", str(named / "nothing — here")), ("--help",)):
            done = run(*words, encoding=encoding)
            wanted = 3 if "nothing" in words[-1] else 0
            right = done.returncode == wanted and b"Traceback" not in done.stderr and b"UnicodeEncodeError" not in done.stderr
            yield f"{' '.join(words)[:7]} in {encoding}, code {wanted}", right, last_line(done)


def folder_cases(work: Path, study: Path) -> Iterator[Verdict]:
    out = work / "out"
    analysis = ("analyze", str(study), "-o", str(out), "--tasks", "spine", "--quiet", "--threads", "1")
    out.mkdir()
    for name in ("findings.json", "report.html", "muscles.csv", "grades.csv"):
        (out / name).write_text("{}" if name.endswith("json") else "earlier patient")
    (out / "my notes.txt").write_text("mine")
    done = run(*analysis)
    kept = (out / "muscles.csv").read_text() == "earlier patient"
    yield "an earlier result without --overwrite", done.returncode == 2 and kept, last_line(done)
    first = subprocess.Popen([sys.executable, "-c", CODE, *analysis, "--overwrite"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        while first.poll() is None and not (work / ".out.lumbar").exists():
            pass
        second = run(*analysis, "--overwrite")
        yield "a second run into the folder of one that runs", second.returncode == 2, last_line(second)
    finally:
        code = first.wait()
    earlier = [path.name for path in out.rglob("*") if path.is_file() and path.read_bytes() == b"earlier patient"]
    levels = json.loads((out / "findings.json").read_text()).get("spine")
    yield "--overwrite replaces the earlier patient", code == 0 and not earlier and bool(levels), f"code {code}, left {earlier}"
    yield "a note of the user stays", (out / "my notes.txt").exists(), ""
    yield "nothing lies beside the result", [path.name for path in work.iterdir() if path.name.startswith(".out")] == [], ""
    inside = run("analyze", str(study), "-o", str(study / "out"), "--tasks", "spine", "--quiet")
    shutil.rmtree(study / "out", ignore_errors=True)
    yield "a result inside its input", inside.returncode in (0, 2), last_line(inside)
    file = work / "a file"
    file.write_text("x")
    onto = run("analyze", str(study), "-o", str(file), "--tasks", "spine", "--quiet", "--overwrite")
    yield "a file where the folder should be", onto.returncode == 2 and file.read_text() == "x", last_line(onto)


def last_line(done: "subprocess.CompletedProcess[bytes]") -> str:
    text = (done.stderr or done.stdout).decode("utf-8", errors="replace").strip().splitlines()
    return f"code {done.returncode}: {text[-1][:150] if text else ''}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    options = parser.parse_args()
    wrong = count = 0
    with tempfile.TemporaryDirectory() as text:
        work = Path(text)
        study = work / "study"
        shutil.copytree(options.study, study)
        for cases in (table_cases(work), terminal_cases(work, study), folder_cases(work, study)):
            for name, right, what in cases:
                count, wrong = count + 1, wrong + (not right)
                print(f"{'right' if right else 'WRONG':6} {name:50} {what}", flush=True)
    print(f"{count} cases, {wrong} wrong: {'FAILED' if wrong else 'PASSED'}")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
