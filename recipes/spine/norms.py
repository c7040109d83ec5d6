"""What is usual on reference masks: the constants of spine/morphometry.py and spine/naming.py.

    python recipes/spine/norms.py ../shared/data

Runs the measurements on the masks that people drew for the 30 SPIDER T2 SPACE patients, no network in between, and prints medians and percentiles.
"""

import argparse
from pathlib import Path

import numpy as np

from lumbar.datasets.spider import PIXEL_MM, read_space
from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.geometry import Grid
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.imaging.resample import resize_picture
from lumbar.spine import segment as segmenting
from lumbar.spine.morphometry import USUAL_STEP_MM
from lumbar.spine.shape import outline
from lumbar.spine.spine_map import map_spine

GAP_MM = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    slices = read_space(parser.parse_args().data / "spider" / "t2_space")
    steps: dict[Level, list[float]] = {level: [] for level in Level}
    tilts: dict[Level, list[float]] = {level: [] for level in Level}
    for patient in sorted({s.patient for s in slices}, key=int):
        own = [s for s in slices if s.patient == patient]
        grid = Grid(np.arange(len(own))[:, None] * np.array([GAP_MM, 0, 0]), np.array([0, 0, -PIXEL_MM]), np.array([0, PIXEL_MM, 0]), *own[0].image.shape)
        answers = iter(own)

        def marked(pictures: np.ndarray, answers: object = answers) -> np.ndarray:
            return np.stack([_logits(next(answers).labels, picture.shape[1:]) for picture in pictures])  # type: ignore[call-overload]

        spine = map_spine(Volume(np.stack([s.image for s in own]), grid), Plane.SAGITTAL, Weighting.T2, marked)
        for finding in spine.finding.levels:
            if finding.slip_mm is not None:
                steps[finding.level].append(finding.slip_mm + USUAL_STEP_MM[finding.level])
        for number, level in enumerate(spine.names.discs):
            disc = outline(spine.flat == 1 + number, spine.midplane.probabilities[SpineClass.DISC])
            if level and disc:
                tilts[level].append(disc.tilt_degrees)
    for title, table in (("step of the back walls, mm", steps), ("tilt of the disc, degrees", tilts)):
        for level, values in table.items():
            if values:
                low, middle, high = np.percentile(values, (5, 50, 95))
                print(f"{title}: {level.value} median {middle:.1f} (5 % {low:.1f}, 95 % {high:.1f}), n = {len(values)}")


def _logits(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The reference as a network would answer: rows and columns of the picture, padded as pictures are."""
    size = tuple(round(n * PIXEL_MM / segmenting.PIXEL_MM) for n in labels.shape)
    shares = np.stack([resize_picture((labels == kind).astype(np.float32), size) for kind in SpineClass])
    out = np.full((len(SpineClass), *shape), -10.0, dtype=np.float32)
    out[SpineClass.BACKGROUND] = 0
    out[:, : size[0], : size[1]] = np.log(np.maximum(shares, 1e-4))
    return out


if __name__ == "__main__":
    main()
