"""Findings of the spine: all levels and vertebrae in view with their measurements."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import LUMBAR, Level, Side, SpineClass, Vertebra
from lumbar.domain.findings import LevelFinding, Point, SpineFinding, VertebraFinding
from lumbar.domain.study import Weighting
from lumbar.imaging.components import voxels_by_label
from lumbar.spine.alignment import coronal_curve, sacral_slope_degrees
from lumbar.spine.axial_turn import turn_warning, turned_bodies
from lumbar.spine.bony_canal import bony_canal_mm
from lumbar.spine.canal import Canal, canal_at
from lumbar.spine.chain import Chain
from lumbar.spine.column import Column
from lumbar.spine.endplates import body_alone, endplate_heights
from lumbar.spine.foramen import foramen_at
from lumbar.spine.instances import FIRST_BODY
from lumbar.spine.measurement_errors import ERRORS, errors_of, within_error
from lumbar.spine.midplane import Midplane
from lumbar.spine.morphometry import SLIP_ERROR_MM, body_heights, cobb_degrees, mask_heights, meyerding, signal_ratio, slip
from lumbar.spine.naming import Names
from lumbar.spine.sacrum import sacral_outline
from lumbar.spine.segment import PIXEL_MM
from lumbar.spine.shape import Outline, Vector

_MIDDLE_MM = 14.0  # to either side: the part of a body from which its centre is computed; training slices extend this far
# Weightings in which CSF is bright and serves as reference for the disc signal.
_BRIGHT_FLUID = (Weighting.T2, Weighting.STIR)


@dataclass(frozen=True, eq=False)
class Flat:
    """Structures in the midplane before measurement."""

    midplane: Midplane
    column: Column
    chain: Chain
    names: Names
    flat: NDArray[np.uint8]  # (rows, columns) instance numbers
    discs: tuple[Outline | None, ...]  # from head to foot
    bodies: tuple[Outline | None, ...]  # the same, one more


def measure(flat: Flat, instances: NDArray[np.uint8], weighting: Weighting) -> tuple[SpineFinding, tuple[str, ...]]:
    """The finding, and warnings about missing measurements."""
    # Only a strip of the sacrum is labelled, which has no outline of its own.
    bodies = [None if name is Vertebra.S1 else body for name, body in zip(flat.names.bodies, flat.bodies, strict=True)]
    vertebrae = _vertebrae(flat, instances, bodies)
    named = [i for i, level in enumerate(flat.names.discs) if level is not None]
    canals = [canal_at(flat.midplane, disc) if (disc := flat.discs[i]) is not None else None for i in named]
    levels = [_level(flat, i, bodies, canal, weighting) for i, canal in zip(named, canals, strict=True)]
    total = _total_lordosis(flat, bodies)
    missing = [level.value for level in Level if level not in flat.names.discs]
    warnings = [f"{', '.join(missing)}: not in view or not found, not measured"] if missing else []
    gaps = [_gaps(finding, canal, weighting) for finding, canal in zip(levels, canals, strict=True)]
    warnings += [f"{f.level.value}: {', '.join(names)} could not be measured" for f, names in zip(levels, gaps, strict=True) if names]
    warnings += [_narrow(f) for f in levels if within_error(f.canal_ap_mm)]
    warnings += turn_warning(turned_bodies(flat.midplane, instances, flat.names.bodies))
    if weighting not in _BRIGHT_FLUID:
        warnings.append("the ratio of disc signal to CSF needs a T2-weighted or STIR series; it was not measured")
    finding = SpineFinding(flat.names.numbering, tuple(vertebrae), tuple(levels), total, errors=errors_of(levels))
    return _with_posture(finding, flat, instances), tuple(warnings)


def _with_posture(finding: SpineFinding, flat: Flat, instances: NDArray[np.uint8]) -> SpineFinding:
    """The finding with sacral slope and coronal curve, where they can be measured."""
    if flat.names.discs and flat.names.discs[-1] is Level.L5_S1 and (lowest := flat.discs[-1]) is not None:
        finding = replace(finding, sacral_slope_degrees=sacral_slope_degrees(flat.midplane, lowest))
    curve = coronal_curve(instances, flat.midplane.segmentation.grid, len(flat.discs))
    if curve is None:
        return finding
    bodies = [vertebra.value if vertebra else "?" for vertebra in flat.names.bodies]
    between = " and ".join(f"{bodies[k]}/{bodies[k + 1]}" for k in (curve.upper, curve.lower))
    return replace(finding, coronal_cobb_degrees=curve.degrees, coronal_cobb_between=between)


def _vertebrae(flat: Flat, instances: NDArray[np.uint8], bodies: Sequence[Outline | None]) -> list[VertebraFinding]:
    out: list[VertebraFinding] = []
    found = voxels_by_label(instances)
    for i, vertebra in enumerate(flat.names.bodies):
        if vertebra is None or FIRST_BODY + i not in found:
            continue
        voxels = found[FIRST_BODY + i]
        aside = np.abs(voxels[:, 0] - flat.midplane.slice_of_row[voxels[:, 1]]) * flat.midplane.segmentation.grid.spacing_mm[0]
        middle = voxels[aside <= _MIDDLE_MM]
        voxels = middle if len(middle) else voxels
        center = _point(flat.midplane.segmentation.grid.points_mm(voxels.mean(axis=0)))
        body = bodies[i]
        heights = body_heights(body) if body else (None, None, None)
        wedge = cobb_degrees(body.border(upper=True), body.border(upper=False)) if body else None
        canal = bony_canal_mm(flat.midplane, body) if body else None
        out.append(replace(VertebraFinding(vertebra, center, *heights), wedge_degrees=wedge, bony_canal_ap_mm=canal))
    return out


def _level(flat: Flat, i: int, bodies: Sequence[Outline | None], canal: Canal | None, weighting: Weighting) -> LevelFinding:
    level = flat.names.discs[i]
    assert level is not None
    disc = flat.discs[i]
    if disc is None:
        middle = flat.column.point(flat.chain.discs[i].along_mm)
        return LevelFinding(level, _point(flat.midplane.points_mm(middle)))
    sure = canal if canal and canal.doubt is None else None
    bone = flat.midplane.probabilities[SpineClass.BODY] + flat.midplane.probabilities[SpineClass.SACRUM]
    above, below = (body_alone(bone, flat.flat == FIRST_BODY + number) for number in (i, i + 1))
    front, middle_height, back = endplate_heights(disc, above, below)
    mean = (front + middle_height + back) / 3
    heights = [float(np.mean(body_heights(body))) for body in bodies[i : i + 2] if body is not None]
    finding = LevelFinding(
        level=level,
        center_mm=_point(flat.midplane.points_mm(disc.center / PIXEL_MM)),
        canal_center_mm=_point(flat.midplane.points_mm(canal.center / PIXEL_MM)) if canal else None,
        disc_height_anterior_mm=front,
        disc_height_middle_mm=middle_height,
        disc_height_posterior_mm=back,
        disc_height_mm=mean,
        disc_height_index=mean / float(np.mean(heights)) if heights else None,
        disc_mask_heights_mm=mask_heights(disc),
        disc_signal_ratio=signal_ratio(flat.midplane, disc, flat.flat == 1 + i, canal) if weighting in _BRIGHT_FLUID else None,
        canal_ap_mm=sure.ap_mm if sure else None,
        canal_area_mm2=sure.area_mm2 if sure else None,
    )
    return _with_alignment(_with_foramina(finding, flat.midplane, disc), flat, i, bodies)


def _with_foramina(finding: LevelFinding, midplane: Midplane, disc: Outline) -> LevelFinding:
    if finding.level is Level.L5_S1:  # the pedicle of S1 is not labelled
        return finding
    left, right = (foramen_at(midplane, disc, side) for side in (Side.LEFT, Side.RIGHT))
    if left:
        finding = replace(finding, foramen_height_left_mm=left.height_mm, foramen_width_left_mm=left.width_mm, foramen_area_left_mm2=left.area_mm2)
    if right:
        finding = replace(finding, foramen_height_right_mm=right.height_mm, foramen_width_right_mm=right.width_mm, foramen_area_right_mm2=right.area_mm2)
    return finding


def _with_alignment(finding: LevelFinding, flat: Flat, i: int, bodies: Sequence[Outline | None]) -> LevelFinding:
    upper, disc, lower_top = bodies[i], flat.discs[i], _upper_endplate(flat, i, bodies)
    if upper is None or disc is None or lower_top is None:
        return finding
    below = bodies[i + 1]
    foot = lower_top if finding.level is Level.L5_S1 else (below.border(upper=False) if below else None)
    angle = cobb_degrees(upper.border(upper=True), foot) if foot else None
    finding = replace(finding, segmental_lordosis_degrees=angle)
    if finding.level is Level.L5_S1:
        below = sacral_outline(flat.midplane, flat.flat == FIRST_BODY + i + 1, disc)
    moved = slip(finding.level, upper, disc, below) if below else None
    if moved is None:
        return finding
    grade = meyerding(finding.level, *moved)
    return replace(finding, slip_mm=moved[0], slip_percent=moved[1], slip_mm_error=SLIP_ERROR_MM[finding.level], meyerding_grade=grade)


def _upper_endplate(flat: Flat, i: int, bodies: Sequence[Outline | None]) -> tuple[Vector, Vector] | None:
    """Upper endplate of the body below disc `i`; for the sacrum, which has no outline, the lower border of the disc."""
    below = bodies[i + 1]
    if below is not None:
        return below.border(upper=True)
    disc = flat.discs[i]
    return disc.border(upper=False) if disc is not None and flat.names.discs[i] is Level.L5_S1 else None


def _total_lordosis(flat: Flat, bodies: Sequence[Outline | None]) -> float | None:
    if Level.L5_S1 not in flat.names.discs or LUMBAR[0] not in flat.names.bodies:
        return None
    top = bodies[flat.names.bodies.index(LUMBAR[0])]
    foot = _upper_endplate(flat, flat.names.discs.index(Level.L5_S1), bodies)
    return cobb_degrees(top.border(upper=True), foot) if top and foot else None


def _gaps(finding: LevelFinding, canal: Canal | None, weighting: Weighting) -> list[str]:
    doubt = f" ({canal.doubt})" if canal and canal.doubt else ""
    wanted = {"disc height": finding.disc_height_mm, f"canal diameter{doubt}": finding.canal_ap_mm, "slip": finding.slip_mm}
    if weighting in _BRIGHT_FLUID:
        wanted["disc signal"] = finding.disc_signal_ratio
    return [name for name, value in wanted.items() if value is None]


def _narrow(finding: LevelFinding) -> str:
    sizes = f"{finding.canal_ap_mm:.1f} mm, less than the error of {ERRORS['canal_ap_mm']:.1f} mm"
    return f"{finding.level.value}: the canal measures {sizes}: it is narrow, but how narrow cannot be told"


def _point(values: NDArray[np.float64]) -> Point:
    return float(values[0]), float(values[1]), float(values[2])
