"""Prints the agreement of published automatic with manual muscle volumes (331 tests of LPM_Segmentator), in cm³.

python recipes/muscle/volume_agreement.py ../shared/data/dixon/MRI_volume_internal_test331.csv
"""

import sys
from pathlib import Path

from lumbar.datasets.lpm_tables import read_volume_table
from lumbar.muscle.evaluate import evaluate_pairs


def main() -> None:
    table = read_volume_table(Path(sys.argv[1]))
    print(f"{len(table.cases)} cases; differences are automatic minus manual")
    for entry in evaluate_pairs(table.pairs):
        a = entry.agreement
        print(
            f"{entry.label} {entry.side.value} {entry.muscle.value}: MAE {a.mae:.2f}, bias {a.bias:+.2f}, limits {a.loa_low:.2f} to {a.loa_high:.2f}, "
            f"ICC(2,1) {a.icc_2_1:.3f} ({a.icc_2_1_low:.3f} to {a.icc_2_1_high:.3f}), Pearson {a.pearson:.3f}, TOST p {a.tost_p:.1e} at ±{a.tost_margin:.2f}"
        )


if __name__ == "__main__":
    main()
