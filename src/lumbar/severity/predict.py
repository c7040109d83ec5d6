"""Grades of a whole study: 25 findings, each with its evidence and the name of its model."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Condition, Level, Side
from lumbar.domain.findings import Evidence, LevelFinding, ModelUse, SeverityFinding
from lumbar.domain.study import Role, Study
from lumbar.domain.volume import Volume
from lumbar.metrics.calibration import conformal_sets
from lumbar.models.registry import find_model, has_model, preferred_task
from lumbar.severity.axial.cut import FORAMEN_OFFSET_MM, RECESS_OFFSET_MM, LevelCrop, cut_crops, point_in_slice
from lumbar.severity.axial.explain import HeatMap, heat_maps
from lumbar.severity.axial.grader import TASK, CropGrader
from lumbar.severity.calibration import CropGrades
from lumbar.severity.finding import grades_in_set, make_finding
from lumbar.severity.foramina.cut import ForamenCrop
from lumbar.severity.foramina.explain import CONDITIONS, ForamenHeatMap, foramen_heat_maps
from lumbar.severity.foramina.grader import TASK as FORAMEN_TASK
from lumbar.severity.foramina.grader import ForamenGrader
from lumbar.severity.foramina.points import Foramen, foramen_points
from lumbar.severity.foramina.predict import GradedForamina, grade_foramina
from lumbar.severity.prior import TASK as PRIOR_TASK
from lumbar.severity.prior import Prior
from lumbar.severity.studies.grader import TASK as STUDY_TASK
from lumbar.severity.studies.grader import StudyGrader, one_study
from lumbar.severity.studies.spine_crops import spine_crops
from lumbar.severity.studies.views import SLOTS, View
from lumbar.severity.two_series import with_sagittal

# Position of each condition on an axial slice: millimetres from the middle of the canal to the patient's left.
_OFFSETS_MM = {
    Condition.SPINAL_CANAL_STENOSIS: 0.0,
    Condition.LEFT_NEURAL_FORAMINAL_NARROWING: FORAMEN_OFFSET_MM,
    Condition.RIGHT_NEURAL_FORAMINAL_NARROWING: -FORAMEN_OFFSET_MM,
    Condition.LEFT_SUBARTICULAR_STENOSIS: RECESS_OFFSET_MM,
    Condition.RIGHT_SUBARTICULAR_STENOSIS: -RECESS_OFFSET_MM,
}
# Series in which readers assess a condition, best first; the recesses are shown on the axial slice on which they were graded.
_VIEWS = {
    Condition.SPINAL_CANAL_STENOSIS: (Role.SAGITTAL_T2, Role.SAGITTAL_T1),
    Condition.LEFT_NEURAL_FORAMINAL_NARROWING: (Role.SAGITTAL_T1, Role.SAGITTAL_T2),
    Condition.RIGHT_NEURAL_FORAMINAL_NARROWING: (Role.SAGITTAL_T1, Role.SAGITTAL_T2),
}

# The sagittal view that shows a condition, beside the axial one that shows them all.
_SLOT_OF = {
    Condition.SPINAL_CANAL_STENOSIS: (View.CANAL, None),
    Condition.LEFT_NEURAL_FORAMINAL_NARROWING: (View.FORAMEN, Side.LEFT),
    Condition.RIGHT_NEURAL_FORAMINAL_NARROWING: (View.FORAMEN, Side.RIGHT),
    Condition.LEFT_SUBARTICULAR_STENOSIS: (View.AXIAL, None),
    Condition.RIGHT_SUBARTICULAR_STENOSIS: (View.AXIAL, None),
}

ON_AXIAL = "graded on the axial T2 slice, which shows foramina only in part, as no sagittal T1 slice could be graded"

Cell = tuple[Condition, Level]


@dataclass(frozen=True, eq=False)
class StudyGrades:
    """The grades of a study, and the crops and maps for their images."""

    findings: tuple[SeverityFinding, ...]  # 25, by condition and level
    crops: Mapping[Level, LevelCrop]  # graded axial crops
    heat_maps: tuple[HeatMap | ForamenHeatMap, ...]  # of moderate and severe findings
    foramina: Mapping[Foramen, ForamenCrop] = field(default_factory=dict)  # graded sagittal crops


class Predictor:
    """Grades studies: foramina on sagittal T1, the rest on axial T2; the known grade frequencies where no series shows a level."""

    def __init__(self, prior: Prior, grader: CropGrader | StudyGrader | None, foramen_grader: ForamenGrader | None = None) -> None:
        """Take a grader of axial crops or of whole studies, and a grader of foramina, which takes precedence for them."""
        self.prior = prior
        self.grader = grader
        self.foramen_grader = foramen_grader

    @property
    def wants_masks(self) -> bool:
        """Whether the grader needs the tissue mask of the spine besides the images."""
        return isinstance(self.grader, StudyGrader) and self.grader.wanted.masks

    @property
    def uses(self) -> tuple[ModelUse, ...]:
        """The models that may contribute findings."""
        graders = [grader for grader in (self.grader, self.foramen_grader) if grader is not None]
        return (*(grader.model.use for grader in graders), self.prior.use)

    def predict(self, study: Study, levels: Sequence[LevelFinding], tissue: Volume | None = None) -> tuple[SeverityFinding, ...]:
        """25 findings, by condition and level; `levels` are those found by the spine model; findings of other levels have no evidence.

        `tissue` is the tissue mask of the same spine (see `spine_map.tissue_mask`), needed by a grader with `wants_masks`.
        """
        return self._findings(study, levels, self._crops(study, levels), self._foramina(study, levels), tissue)

    def explain(self, study: Study, levels: Sequence[LevelFinding], tissue: Volume | None = None) -> StudyGrades:
        """The findings of `predict`, with heat maps of moderate and severe findings."""
        crops, foramina = self._crops(study, levels), self._foramina(study, levels)
        findings = self._findings(study, levels, crops, foramina, tissue)
        maps: tuple[HeatMap | ForamenHeatMap, ...] = heat_maps(self.grader, crops, findings) if isinstance(self.grader, CropGrader) and crops else ()
        if self.foramen_grader is not None:
            maps = (*maps, *foramen_heat_maps(self.foramen_grader, foramina.crops, findings))
        peaks = {(one.condition, one.level): one.peak for one in maps}
        findings = tuple(replace(finding, most_important=peaks.get((finding.condition, finding.level))) for finding in findings)
        return StudyGrades(findings, crops if isinstance(self.grader, CropGrader) else {}, maps, foramina.crops)

    def _crops(self, study: Study, levels: Sequence[LevelFinding]) -> dict[Level, LevelCrop]:
        return {found.level: crop for found, crop in cut_crops(study, levels).items()}

    def _foramina(self, study: Study, levels: Sequence[LevelFinding]) -> GradedForamina:
        return grade_foramina(study, levels, self.foramen_grader) if self.foramen_grader is not None else GradedForamina({}, {}, {})

    def _findings(
        self, study: Study, levels: Sequence[LevelFinding], crops: Mapping[Level, LevelCrop], foramina: GradedForamina, tissue: Volume | None
    ) -> tuple[SeverityFinding, ...]:
        places, points = {place.level: place for place in levels}, foramen_points(levels)
        graded = self._graded(study, levels, crops, tissue)
        findings = []
        for cell in product(Condition, Level):
            condition, level = cell
            finding = foramina.findings.get(cell) or self._from_both_series(cell, graded, foramina)
            if finding is None and cell not in graded:
                finding = foramina.beside.get(cell)
            if finding is None:
                finding = graded.get(cell) or self.prior.finding(condition, level)
                if condition in CONDITIONS.values() and isinstance(self.grader, CropGrader) and finding.model != self.prior.name:
                    finding = replace(finding, note=ON_AXIAL)
            if finding.evidence is None:
                finding = replace(finding, evidence=_evidence(study, condition, places.get(level), crops.get(level), points))
            findings.append(finding)
        return tuple(findings)

    def _from_both_series(self, cell: Cell, graded: Mapping[Cell, SeverityFinding], foramina: GradedForamina) -> SeverityFinding | None:
        """The grade of a canal or recess of which both an axial T2 and a sagittal T1 slice tell."""
        axial, beside = graded.get(cell), foramina.beside.get(cell)
        if axial is None or beside is None or not isinstance(self.grader, CropGrader):
            return None
        return with_sagittal(axial, beside, self.grader.calibration.conformal_threshold[tuple(Condition).index(cell[0])])

    def warnings(self, findings: Sequence[SeverityFinding]) -> tuple[str, ...]:
        """Warnings about the sources of `findings`."""
        unseen = [f for f in findings if f.model == self.prior.name]
        noted = tuple(f"{note}: {_named([f for f in findings if f.note == note])}" for note in dict.fromkeys(f.note for f in findings if f.note))
        if not unseen:
            return (*self._of_synthetic(findings), *noted)
        why = "no model for them is installed" if self.grader is None else f"no {self._seen} shows these levels"
        rare = f"{len(unseen)} of {len(findings)} severity grades are population frequencies, as no image was graded ({why}): {_named(unseen)}"
        return (rare, *self._of_synthetic(findings), *noted)

    def _of_synthetic(self, findings: Sequence[SeverityFinding]) -> tuple[str, ...]:
        """Warning about a grader trained on synthetic studies only."""
        if self.grader is None or not self.grader.model.card.parameters.get("synthetic_only"):
            return ()
        name = self.grader.model.card.name
        if not any(f.model == name for f in findings):
            return ()
        return (f"severity grades are those of {name}, which was trained on synthetic studies only and is often wrong on patients",)

    @property
    def _seen(self) -> str:
        return "axial T2 slice" if isinstance(self.grader, CropGrader) else "series that the model takes"

    def _graded(self, study: Study, levels: Sequence[LevelFinding], crops: Mapping[Level, LevelCrop], tissue: Volume | None) -> dict[Cell, SeverityFinding]:
        """The findings of all levels that could be graded."""
        if isinstance(self.grader, CropGrader):
            if not crops:
                return {}
            grades = self.grader.grade_quickly([crop.image for crop in crops.values()], list(crops))
            return _made(grades, list(crops), self.grader)
        if self.grader is None or not levels:
            return {}
        if self.wants_masks and tissue is None:
            raise ValueError("this grader needs the tissue mask of the spine; pass it as `tissue`")
        views = spine_crops(study, levels, tissue if self.wants_masks else None)
        if not views.present.any():
            return {}
        grades = self.grader.grade(one_study(views, "study"))
        flat = CropGrades(*(part[0].swapaxes(0, 1) for part in (grades.metric, grades.clinical)))
        flat = self.prior.blended(flat, tuple(Level), float(self.grader.model.card.parameters.get("prior_share", 0.0)))
        found = _made(flat, tuple(Level), self.grader)
        seen = views.present[:, [SLOTS.index(slot) for slot in _SLOT_OF.values()]] | views.present[:, [SLOTS.index((View.AXIAL, None))]]
        shown = {(condition, level) for level, row in zip(Level, seen, strict=True) for condition, there in zip(_SLOT_OF, row, strict=True) if there}
        return {cell: finding for cell, finding in found.items() if cell in shown}


def _made(grades: CropGrades, levels: Sequence[Level], grader: CropGrader | StudyGrader) -> dict[Cell, SeverityFinding]:
    """The findings of probabilities (levels, 5 conditions, 3)."""
    result = {}
    for place, condition in enumerate(Condition):
        sets = conformal_sets(grades.clinical[:, place], grader.calibration.conformal_threshold[place])
        for row, level in enumerate(levels):
            both = grades.metric[row, place], grades.clinical[row, place]
            finding = make_finding(condition, level, *both, uncertain=bool(sets[row].sum() > 1), model=grader.model.card.name)
            within = grades_in_set(sets[row])
            result[condition, level] = replace(finding, conformal_set=within)
    return result


def load(models: Path | None = None, threads: int = 0) -> Predictor:
    """The predictor of the preferred models; `models` is a folder searched before those of the package, `threads` 0 means all cores.

    A model for whole studies, such as one trained by the user, takes precedence over one for axial crops. Both may be missing; the grade frequencies
    may not.

    Raises:
        ModelError: a model is damaged, or that of the frequencies is missing.
    """
    task = preferred_task((TASK, STUDY_TASK), models)
    grader: CropGrader | StudyGrader | None = None
    if task == TASK:
        # Several networks in parallel with one thread each need half the CPU time of one at a time with all threads.
        grader = CropGrader(find_model(TASK, models, threads=1), threads or os.cpu_count() or 1)
    elif task == STUDY_TASK:
        grader = StudyGrader(find_model(STUDY_TASK, models, threads))
    # A grader of whole studies grades foramina itself.
    own = task == STUDY_TASK or not has_model(FORAMEN_TASK, models)
    foramen_grader = None if own else ForamenGrader(find_model(FORAMEN_TASK, models, threads=1), threads or os.cpu_count() or 1)
    return Predictor(Prior(find_model(PRIOR_TASK, models, threads)), grader, foramen_grader)


def _named(findings: Sequence[SeverityFinding]) -> str:
    return ", ".join(sorted({f"{f.condition.value.replace('_', ' ')} {f.level.value}" for f in findings}))


def _evidence(
    study: Study, condition: Condition, place: LevelFinding | None, crop: LevelCrop | None, points: Mapping[Foramen, NDArray[np.float64]]
) -> Evidence | None:
    """Position of `condition` in the sagittal series used by readers, otherwise on the axial slice; None where the level was not found."""
    if place is None:
        return None
    offset = _OFFSETS_MM[condition]
    if condition not in _VIEWS:
        return crop.evidence(offset) if crop else None
    side = next((side for side, own in CONDITIONS.items() if own is condition), None)
    point = points[place.level, side] if side else crop.center_mm if crop else np.array(place.canal_center_mm or place.center_mm)
    for role in _VIEWS[condition]:
        for series in study.with_role(role):
            for stack in series.stacks:
                if stack.volume.grid.contains(point, margin_mm=5.0):
                    number = int(np.clip(np.rint(stack.volume.grid.indices(point)[0]), 0, len(stack.instance_numbers) - 1))
                    return point_in_slice(series, stack, number, point)
    return crop.evidence(offset) if crop else None
