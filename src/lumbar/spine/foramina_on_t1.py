"""Foramina measured on sagittal T1 where the series of the spine does not show all of them.

Fat makes foramina bright and bone dark on T1; where fat is suppressed (STIR), pedicles and foramina are hardly seen.
"""

from dataclasses import replace

import numpy as np

from lumbar.domain.anatomy import AddedClass, Level, Side
from lumbar.domain.findings import LevelFinding, SpineFinding
from lumbar.domain.study import Role, Series, Study
from lumbar.errors import InputError
from lumbar.spine.find import FoundSpine
from lumbar.spine.measurement_errors import errors_of
from lumbar.spine.network import Network, SpineNetwork
from lumbar.spine.spine_map import map_spine

_SAME_PLACE_MM = 8.0  # between the middles of a disc in both series; further apart, names or positions may differ
_SIZES = (("height", "mm"), ("width", "mm"), ("area", "mm2"))


def foramina_on_t1(found: FoundSpine, study: Study, network: Network) -> SpineFinding:
    """The finding of `found`, with the foramina that sagittal T1 shows. Unchanged where none is missing, or where T1 or a network that labels foramina is."""
    own = found.spine.finding
    series = [s for s in study.with_role(Role.SAGITTAL_T1) if s.series_uid != found.series.series_uid]
    if not series or not (isinstance(network, SpineNetwork) and AddedClass.NEURAL_FORAMEN in network.added) or not _incomplete(own):
        return own
    stack = max(series[0].stacks, key=lambda s: len(s.instance_numbers))
    try:
        other = map_spine(stack.volume, series[0].plane, series[0].weighting, network).finding
    except InputError:  # T1 shows no spine: what was measured remains
        return own
    return with_foramina(own, other, series[0])


def with_foramina(own: SpineFinding, other: SpineFinding, series: Series) -> SpineFinding:
    """`own` with the foramina of `other`, which was measured in `series`, at levels that lie at the same place in both."""
    there = {level.level: level for level in other.levels}
    levels = tuple(_replaced(level, there[level.level]) if level.level in there else level for level in own.levels)
    if levels == own.levels:
        return own
    return replace(own, levels=levels, errors=dict(own.errors) | errors_of(levels), foramina_measured_in=series.series_uid)


def _incomplete(finding: SpineFinding) -> bool:
    """Whether a foramen above L5/S1, where none is measured, is missing."""
    return any(getattr(level, f"foramen_height_{side.value}_mm") is None for level in finding.levels if level.level is not Level.L5_S1 for side in Side)


def _replaced(own: LevelFinding, other: LevelFinding) -> LevelFinding:
    if np.linalg.norm(np.subtract(own.center_mm, other.center_mm)) > _SAME_PLACE_MM:
        return own
    sides = [side.value for side in Side if getattr(other, f"foramen_height_{side.value}_mm") is not None]
    fields = [f"foramen_{size}_{side}_{unit}" for side in sides for size, unit in _SIZES]
    return replace(own, **{name: getattr(other, name) for name in fields})
