"""What the viewer shows: every stack of a study as NIfTI, and where the masks and findings of a result lie in them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.findings import Evidence
from lumbar.domain.mask_colors import AXIAL_BODY_COLOR, BODY_COLORS, CANAL_COLOR, DISC_COLORS, FORAMEN_COLORS, MUSCLE_COLORS, POSTERIOR_COLOR, SACRUM_COLORS
from lumbar.domain.mask_labels import BODY_LABELS, DISC_LABELS, FORAMEN_LABELS, Structure
from lumbar.domain.study import Series, Stack, Study
from lumbar.domain.volume import Volume
from lumbar.errors import GeometryError
from lumbar.io.nifti import read_nifti, write_nifti
from lumbar.io.staging import staged_folder
from lumbar.muscle.labels import LABELS, VERTEBRA, label_name
from lumbar.pipeline import Analysis
from lumbar.report.masks import stored_masks
from lumbar.service.places import INDEX, RESULT_VIEW
from lumbar.service.summary import grade_text, rank

_WINDOW_PERCENT = (1.0, 99.5)
_SPINE = (
    {"value": 1, "name": "vertebra", "color": BODY_COLORS[0]},
    {"value": 2, "name": "disc", "color": DISC_COLORS[0]},
    {"value": 3, "name": "canal", "color": CANAL_COLOR},
)
_STRUCTURES = (
    {"value": int(Structure.VERTEBRAL_BODY), "name": "vertebral body", "color": BODY_COLORS[0]},
    {"value": int(Structure.POSTERIOR_ELEMENTS), "name": "posterior elements", "color": POSTERIOR_COLOR},
    {"value": int(Structure.DISC), "name": "disc", "color": DISC_COLORS[0]},
    {"value": int(Structure.CANAL), "name": "canal", "color": CANAL_COLOR},
    {"value": int(Structure.S1), "name": "S1", "color": SACRUM_COLORS[0]},
    {"value": int(Structure.S2), "name": "S2", "color": SACRUM_COLORS[1]},
    *({"value": value, "name": f"{side.value} foramen {level.value}", "color": FORAMEN_COLORS[value % 2]} for (level, side), value in FORAMEN_LABELS.items()),
)


def write_views(study: Study, folder: Path) -> None:
    """Write each stack of `study` as `v1.nii.gz`, `v2.nii.gz`, … and their index into `folder`, all or nothing."""
    with staged_folder(folder, False) as stage:
        index: list[dict[str, Any]] = []
        for series in study.series:
            for number, stack in enumerate(series.stacks):
                index.append(_written(series, number, stack, stage, f"v{len(index) + 1}"))
        (stage / INDEX).write_text(json.dumps(index), encoding="utf-8")


def _written(series: Series, number: int, stack: Stack, stage: Path, name: str) -> dict[str, Any]:
    grid = stack.volume.grid
    first_pixels_mm = grid.points_mm(np.array([[k, 0, 0] for k in range(grid.shape[0])]))
    entry = {
        "volume": name, "series_uid": series.series_uid, "stack": number, "plane": series.plane.value, "weighting": series.weighting.value,
        "role": series.role.value, "name": f"{series.plane.value} {series.weighting.value}", "slices": grid.shape[0], "shape": list(grid.shape),
        "spacing_mm": [round(value, 4) for value in grid.spacing_mm], "instance_numbers": list(stack.instance_numbers),
        "matrix": first_pixels_mm.round(4).tolist(),
        "row_step_mm": grid.row_step_mm.tolist(), "column_step_mm": grid.column_step_mm.tolist(),
        "window": [float(value) for value in np.percentile(stack.volume.array, _WINDOW_PERCENT)],
    }  # fmt: skip
    path = stage / f"{name}.nii.gz"
    try:
        write_nifti(path, Volume(_small(stack.volume.array), grid))
    except GeometryError as error:
        return {**entry, "file": None, "reason": str(error).replace(str(stage), "the study"), "k_of_slice": None}
    stored = read_nifti(path).grid  # gaps are filled with empty slices there
    places = stored.indices(first_pixels_mm)[:, 0]
    return {**entry, "file": path.name, "k_of_slice": [round(float(k)) for k in places]}


def _small(array: NDArray[Any]) -> Any:
    """Whole numbers in half the size."""
    if np.abs(array).max(initial=0) < 2**15 and (array == np.rint(array)).all():
        return array.astype(np.int16)
    return array


def view_of_result(analysis: Analysis, folder: Path) -> None:
    """Write `view.json` into the result `folder`: masks with their stacks, and places of findings, the most severe first."""
    masks = [
        {"mask": mask.name, "series_uid": mask.series_uid, "stack": mask.stack, "labels": _labels(mask.name)}
        for mask in stored_masks(analysis)
        if (folder / "masks" / f"{mask.name}.nii.gz").exists()
    ]
    (folder / RESULT_VIEW).write_text(json.dumps({"masks": masks, "places": _places(analysis)}), encoding="utf-8")


def _labels(mask: str) -> list[dict[str, Any]]:
    if mask == "spine":
        return list(_SPINE)
    if mask == "levels":
        discs = [{"value": value, "name": level.value, "color": DISC_COLORS[(value + 1) % 2]} for level, value in DISC_LABELS.items()]
        return discs + [{"value": value, "name": body.value, "color": BODY_COLORS[(value + 1) % 2]} for body, value in BODY_LABELS.items()]
    if mask == "structures":
        return list(_STRUCTURES)
    muscles = [{"value": value, "name": label_name(value), "color": MUSCLE_COLORS[muscle]} for value, (muscle, _) in LABELS.items()]
    return [*muscles, {"value": VERTEBRA, "name": label_name(VERTEBRA), "color": AXIAL_BODY_COLOR}]


def _places(analysis: Analysis) -> list[dict[str, Any]]:
    findings = analysis.findings
    graded = []
    for grade in findings.severity:
        if grade.evidence is None:
            continue
        plain = {"condition": grade.condition.value, "level": grade.level.value, "severity": grade.severity.value, "severity_score": grade.severity_score}
        key = f"{grade.condition.value}/{grade.level.value}"
        graded.append((rank(plain), {**_at(grade.evidence), "key": key, "kind": "severity", "level": grade.level.value, "text": grade_text(plain),
                                     "severity": grade.severity.value}))  # fmt: skip
    places = [place for _, place in sorted(graded, key=lambda one: -one[0])]
    series = analysis.spine_series.series_uid
    for level in findings.spine.levels if findings.spine else ():
        name = level.level.value
        places.append({"key": f"level/{name}", "kind": "level", "level": name, "text": f"disc {name}", "severity": None, "series_uid": series,
                       "point_mm": [round(float(value), 2) for value in level.center_mm]})  # fmt: skip
    return places


def _at(evidence: Evidence) -> dict[str, Any]:
    return {"series_uid": evidence.series_uid, "instance_number": evidence.instance_number, "pixel": [evidence.x, evidence.y]}
