"""Time of the official score of a full table, compared with reading the two files alone.

python benchmarks/severity_score.py ../shared/data/rsna2024/train.csv [--runs 5]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from lumbar.datasets.rsna2024_grades import read_grades
from lumbar.datasets.submission import read_submission
from lumbar.domain.anatomy import Condition, Level
from lumbar.severity.evaluate import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "s.csv"
        rows = (f"{study}_{c.value}_{v.slug},0.4,0.3,0.3" for study in read_grades(arguments.truth) for c in Condition for v in Level)
        table.write_text("row_id,normal_mild,moderate,severe\n" + "\n".join(rows) + "\n")
        reading, scoring = [], []
        for _ in range(arguments.runs):
            start = time.perf_counter()
            submission, truth = read_submission(table), read_grades(arguments.truth)
            reading.append(time.perf_counter() - start)
            evaluate(submission, truth)
            scoring.append(time.perf_counter() - start - reading[-1])
    print(f"median of {arguments.runs}: reading {statistics.median(reading):.2f} s, scoring with bootstrap {statistics.median(scoring):.2f} s")


if __name__ == "__main__":
    main()
