"""Checks of the levels: named with confidence, of the size of a person, each measurement within what anatomy allows."""

from collections.abc import Iterator

import numpy as np

from lumbar.domain.findings import LevelFinding, SpineFinding
from lumbar.domain.quality import Check

_STEP_MM = (20.0, 52.0)  # between the middles of neighbouring discs of a person, small to tall
_ODD_STEP = (0.6, 1.6)  # of the median step
# Beyond these a measurement has more likely failed than found something; the usual ranges of the report are much narrower.
_LIMITS = {
    "disc_height_mm": (0.5, 22.0),
    "canal_ap_mm": (1.0, 32.0),
    "slip_mm": (-25.0, 35.0),
}
_BODY_MM = (8.0, 50.0)


def check_spine(spine: SpineFinding | None) -> Iterator[Check]:
    """One entry or more for each of `numbering_certain`, `sizes_plausible` and `measurements_plausible`."""
    if spine is None or not spine.levels:
        yield Check("numbering_certain", "failed", "no level of the lumbar spine was found")
        return
    sure = spine.numbering.confident
    yield Check(
        "numbering_certain", "passed" if sure else "doubtful", spine.numbering.note if sure else f"the level names are not certain: {spine.numbering.note}"
    )
    sizes = list(_sizes(spine.levels))
    yield from sizes or [Check("sizes_plausible", "passed", "the levels lie as far apart as in a person")]
    measurements = [check for level in spine.levels for check in _measurements(level)]
    bodies = [v for v in spine.vertebrae if v.vertebra.value.startswith("L")]  # thoracic ones can be cut off by the edge of the image
    for body in bodies:
        heights = [h for h in (body.height_anterior_mm, body.height_middle_mm, body.height_posterior_mm) if h is not None]
        if any(not _BODY_MM[0] <= height <= _BODY_MM[1] for height in heights):
            text = f"{body.vertebra.value} measures {min(heights):.0f} to {max(heights):.0f} mm in height, which no vertebra does"
            measurements.append(Check("measurements_plausible", "doubtful", text))
    yield from measurements or [Check("measurements_plausible", "passed", "every measurement lies within what anatomy allows")]


def _sizes(levels: tuple[LevelFinding, ...]) -> Iterator[Check]:
    centers = np.array([level.center_mm for level in levels])
    steps = np.linalg.norm(np.diff(centers, axis=0), axis=1)
    if not steps.size:
        return
    middle = float(np.median(steps))
    if not _STEP_MM[0] <= middle <= _STEP_MM[1]:
        text = f"neighbouring discs lie {middle:.0f} mm apart, which they do in no adult: the pixel size or the positions of the images are wrong"
        yield Check("sizes_plausible", "failed", text)
        return
    for level, step in zip(levels[1:], steps, strict=True):
        if not _ODD_STEP[0] <= step / middle <= _ODD_STEP[1]:
            yield Check("sizes_plausible", "doubtful", f"{level.level.value} lies {step:.0f} mm from the disc above, others {middle:.0f} mm", level=level.level)


def _measurements(level: LevelFinding) -> Iterator[Check]:
    for name, (low, high) in _LIMITS.items():
        value = getattr(level, name)
        if value is not None and not low <= value <= high:
            what = name.removesuffix("_mm").replace("_", " ").replace(" ap", " from front to back")
            yield Check("measurements_plausible", "doubtful", f"{level.level.value}: {what} of {value:.1f} mm is hardly possible", level=level.level)
