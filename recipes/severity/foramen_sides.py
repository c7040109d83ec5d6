"""Lateral position of the foramina at each level, from the slices on which readers marked them, as ratios, since the slice spacing is unknown.

    python recipes/severity/foramen_sides.py ../shared/data/rsna2024

Prints, over the studies with all ten points in one series, the distance of the left from the right foramen at each level as a share of the study's mean, and
the residual spread: the lateral error of a point placed by these shares.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from lumbar.datasets.foramina import read_foramen_table
from lumbar.domain.anatomy import Level, Side

USUAL_SPACING_MM = 4.5  # between sagittal T1 slices: converts slices to millimetres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with foramina.csv")
    places: dict[tuple[str, str], dict[tuple[Side, Level], int]] = defaultdict(dict)
    for point in read_foramen_table(parser.parse_args().data / "foramina.csv"):
        if point.instance_number is not None:
            places[point.study_id, point.series_id][point.side, point.level] = point.instance_number
    whole = [found for found in places.values() if len(found) == 2 * len(Level)]
    left, right = (np.array([[found[side, level] for level in Level] for found in whole], float) for side in (Side.LEFT, Side.RIGHT))
    apart = np.abs(left - right)
    known = (apart > 0).all(axis=1)  # the same slice on both sides is an error of the table
    apart, middle = apart[known], ((left + right) / 2)[known]
    mean = apart.mean(axis=1, keepdims=True)
    shares = (apart / mean).mean(axis=0)
    print(f"{len(apart)} studies; mean distance {mean.mean():.2f} slices")
    print("share of the mean: " + ", ".join(f"{level.value} {share:.3f}" for level, share in zip(Level, shares, strict=True)))
    steps = np.arange(len(Level)) - (len(Level) - 1) / 2
    centred = middle - middle.mean(axis=1, keepdims=True)
    bent = centred - (centred @ steps / (steps @ steps))[:, None] * steps  # without the tilt of the column
    for title, values in (("half the distance", (apart - mean * shares) / 2), ("half the distance, without shares", (apart - mean) / 2), ("the middle", bent)):
        print(f"spread of {title} within a study: {values.std():.2f} slices, about {values.std() * USUAL_SPACING_MM:.1f} mm")


if __name__ == "__main__":
    main()
