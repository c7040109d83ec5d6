"""Time and memory of `lumbar cohort` on a simulated table of many studies: by default 100,000 studies with 245 values each, as `lumbar batch` writes them.

python benchmarks/cohort.py --studies 100000
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

LEVELS = ["L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1"]
MEASURED = [
    ("disc", "disc_height_mm"), ("disc", "disc_height_anterior_mm"), ("disc", "disc_height_middle_mm"), ("disc", "disc_height_posterior_mm"),
    ("disc", "disc_height_index"), ("disc", "disc_signal_ratio"), ("canal", "canal_ap_mm"), ("canal", "canal_area_mm2"), ("segment", "slip_mm"),
    ("segment", "slip_percent"), ("segment", "segmental_lordosis_degrees"), ("disc", "disc_bulging_p"), ("disc", "disc_narrowing_p"),
    ("disc", "disc_herniation_p"), ("disc", "disc_modic_p"),
]  # fmt: skip
GRADED = [("canal", "spinal_canal_stenosis_grade_0_2", [""]), ("foramen", "neural_foraminal_narrowing_grade_0_2", ["left", "right"]),
          ("recess", "subarticular_stenosis_grade_0_2", ["left", "right"])]  # fmt: skip
MUSCLES = [(m, f) for m in ("erector_spinae", "multifidus") for f in ("csa_mm2", "csa_lean_mm2", "fat_fraction_mean")]


def columns():
    """(structure, finding, level, side) of every value of a study: 15 measures and 5 x 3 numbers a grade at five levels, 6 a muscle."""
    found = [(s, f, level, "") for s, f in MEASURED for level in LEVELS]
    for structure, finding, sides in GRADED:
        stem = finding.removesuffix("_grade_0_2")
        found += [(structure, name, level, side) for name in (finding, f"{stem}_score", f"{stem}_p_severe") for level in LEVELS for side in sides]
    found += [(m, f, level, side) for m, f in MUSCLES for level in LEVELS for side in ("left", "right")]
    return [*found, *(("vertebra", f"height_{k}_mm", f"L{n}", "") for k in ("anterior", "middle", "posterior") for n in range(1, 6)),
            *((m, f, "", side) for m, _ in MUSCLES[::3] for f in ("volume_ml", "lean_volume_ml", "csa_max_mm2") for side in ("left", "right")),
            ("spine", "total_lordosis_degrees", "", "")]  # fmt: skip


def write(folder: Path, studies: int, seed: int = 0) -> int:
    """Write results.parquet and people.csv of simulated people; returns the number of values."""
    random, places = np.random.default_rng(seed), columns()
    age, sex, site = random.uniform(18, 90, studies), random.choice(["F", "M"], studies), random.choice(list("ABCDE"), studies)
    words = pa.dictionary(pa.int32(), pa.string())
    names = ["study", "level", "side", "structure", "finding", "value", "unit", "error", "quality"]
    schema = pa.schema([(n, pa.float64() if n in ("value", "error") else pa.string() if n == "study" else words) for n in names])
    count = 0
    with pa.parquet.ParquetWriter(folder / "results.parquet", schema, compression="zstd") as writer:
        for start in range(0, studies, 2000):
            end = min(studies, start + 2000)
            value = random.normal(0, 1, (end - start, len(places))) + 0.02 * age[start:end, None] + 0.2 * (site[start:end, None] == "A")
            grades = np.array(["_grade" in f for _, f, _, _ in places])
            value[:, grades] = np.clip(np.round(value[:, grades] - 1), 0, 2)
            keep = random.random(value.shape) > 0.02
            row, column = np.nonzero(keep)
            parts = {key: pa.DictionaryArray.from_arrays(pa.array(column.astype(np.int32)), pa.array([p[k] for p in places]))
                     for k, key in ((2, "level"), (3, "side"), (0, "structure"), (1, "finding"))}  # fmt: skip
            blank = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(row), np.int32)), pa.array([""]))
            study = pa.array([f"s{start + k:06d}" for k in range(end - start)]).take(pa.array(row))
            data = {
                "study": study,
                **parts,
                "value": pa.array(value[keep].round(4)),
                "unit": blank,
                "error": pa.nulls(len(row), pa.float64()),
                "quality": blank,
            }
            writer.write_table(pa.table([data[name] for name in names], schema=schema))
            count += len(row)
    lines = ["study,age_years,sex,site,diagnosis\n"]
    lines += [f"s{k:06d},{age[k]:.1f},{sex[k]},{site[k]},{'pain' if k % 3 else 'well'}\n" for k in range(studies)]
    (folder / "people.csv").write_text("".join(lines))
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="Folder for the made-up table and the page; a temporary one otherwise.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        values = write(folder, options.studies)
        start = time.perf_counter()
        command = ["cohort", str(folder), "-o", str(folder / "cohort"), "--compare", "diagnosis", "--harmonize", "--overwrite"]
        subprocess.run([sys.executable, "-c", "from lumbar.cli.main import main; main()", *command], check=True, stdout=sys.stderr)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        facts = {"studies": options.studies, "values": values, "seconds": round(time.perf_counter() - start, 1)}
        print(json.dumps({**facts, "cpu_seconds": round(used.ru_utime + used.ru_stime, 1), "peak_mb": round(used.ru_maxrss / 1024)}))


if __name__ == "__main__":
    main()
