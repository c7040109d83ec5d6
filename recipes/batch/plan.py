"""What a data set will cost: hours, disk, energy and money, from the status.csv of a run on some of its studies.

    python recipes/batch/plan.py results/ --studies 100000 --cores 512 --price 0.04

The price is that of a core-hour; a worker takes a core.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="Folder of a finished `lumbar batch`.")
    parser.add_argument("--studies", type=int, required=True)
    parser.add_argument("--cores", type=int, default=16)
    parser.add_argument("--price", type=float, default=0.04, help="Of a core-hour, in any currency.")
    options = parser.parse_args()
    with (options.results / "status.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    done = [row for row in rows if row["status"] != "failed"]
    cpu = np.array([float(row["cpu_seconds"]) for row in done])
    output = sum(path.stat().st_size for row in done for path in (options.results / row["study"]).rglob("*") if path.is_file()) / len(done)
    core_hours = cpu.mean() * options.studies / 3600
    spread = 1.96 * cpu.std(ddof=1) / np.sqrt(len(cpu)) / cpu.mean() if len(cpu) > 1 else float("nan")
    facts = {
        "measured_on": len(done),
        "failed": len(rows) - len(done),
        "cpu_seconds_a_study": round(float(cpu.mean()), 2),
        "relative_error_of_the_mean": round(float(spread), 3),
        "studies": options.studies,
        "core_hours": round(core_hours, 1),
        "hours": round(core_hours / options.cores, 2),
        "memory_gb": round(options.cores * max(float(row["peak_mb"]) for row in done) / 1024, 1),
        "output_gb": round(output * options.studies / 2**30, 1),
        "energy_kwh": round(float(np.mean([float(row["energy_wh"]) for row in done])) * options.studies / 1000, 2),
        "money": round(core_hours * options.price, 2),
    }
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
