"""Grades of a whole study: 25 findings, each with its evidence and the name of the model that it comes from."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lumbar.domain.anatomy import Condition, Level, Severity, Side
from lumbar.domain.findings import Evidence, LevelFinding, ModelUse, SeverityFinding
from lumbar.domain.study import Role, Study
from lumbar.domain.volume import Volume
from lumbar.metrics.calibration import conformal_sets
from lumbar.models.registry import find_model, preferred_task
from lumbar.severity.axial.cut import RECESS_OFFSET_MM, LevelCrop, cut_crops, point_in_slice
from lumbar.severity.axial.explain import HeatMap, heat_maps
from lumbar.severity.axial.grader import TASK, CropGrader
from lumbar.severity.calibration import CropGrades
from lumbar.severity.finding import make_finding
from lumbar.severity.prior import TASK as PRIOR_TASK
from lumbar.severity.prior import Prior
from lumbar.severity.studies.grader import TASK as STUDY_TASK
from lumbar.severity.studies.grader import StudyGrader, one_study
from lumbar.severity.studies.spine_crops import spine_crops
from lumbar.severity.studies.views import SLOTS, View

# Millimetres from the middle of the canal to the patient's left at which a condition is looked for.
_FORAMEN_MM = (0.0, -3.0, 4.0)  # a foramen lies a little in front of and above the middle of the canal at the height of the disc
_OFFSETS_MM = {
    Condition.SPINAL_CANAL_STENOSIS: 0.0,
    Condition.LEFT_NEURAL_FORAMINAL_NARROWING: 16.0,
    Condition.RIGHT_NEURAL_FORAMINAL_NARROWING: -16.0,
    Condition.LEFT_SUBARTICULAR_STENOSIS: RECESS_OFFSET_MM,
    Condition.RIGHT_SUBARTICULAR_STENOSIS: -RECESS_OFFSET_MM,
}
# Series in which a reader looks for a condition, the best first; the recesses are shown where they were graded, on the axial slice.
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

Cell = tuple[Condition, Level]


@dataclass(frozen=True, eq=False)
class StudyGrades:
    """The grades of a study, and what pictures of them are drawn from."""

    findings: tuple[SeverityFinding, ...]  # 25, by condition and level
    crops: Mapping[Level, LevelCrop]  # that a network looked at
    heat_maps: tuple[HeatMap, ...]  # of what is moderate or severe


class Predictor:
    """Grades studies. What no network can see, and all where no network is there, gets the known frequencies of the grades instead."""

    def __init__(self, prior: Prior, grader: CropGrader | StudyGrader | None) -> None:
        """Take a grader of axial crops or of whole studies."""
        self.prior = prior
        self.grader = grader

    @property
    def wants_masks(self) -> bool:
        """Whether the grader takes the tissue mask of the spine beside the images."""
        return isinstance(self.grader, StudyGrader) and self.grader.wanted.masks

    @property
    def uses(self) -> tuple[ModelUse, ...]:
        """The models that findings may come from."""
        return (self.prior.use,) if self.grader is None else (self.grader.model.use, self.prior.use)

    def predict(self, study: Study, levels: Sequence[LevelFinding], tissue: Volume | None = None) -> tuple[SeverityFinding, ...]:
        """25 findings, by condition and level; `levels` are those that the spine model found, the others come without evidence.

        `tissue` is the tissue mask of the same spine (see `spine_map.tissue_mask`), which a grader with `wants_masks` needs.
        """
        return self._findings(study, levels, self._crops(study, levels), tissue)

    def explain(self, study: Study, levels: Sequence[LevelFinding], tissue: Volume | None = None) -> StudyGrades:
        """The findings of `predict`, with heat maps of what is moderate or severe."""
        crops = self._crops(study, levels)
        findings = self._findings(study, levels, crops, tissue)
        maps = heat_maps(self.grader, crops, findings) if isinstance(self.grader, CropGrader) and crops else ()
        peaks = {(one.condition, one.level): one.peak for one in maps}
        findings = tuple(replace(finding, most_important=peaks.get((finding.condition, finding.level))) for finding in findings)
        return StudyGrades(findings, crops if isinstance(self.grader, CropGrader) else {}, maps)

    def _crops(self, study: Study, levels: Sequence[LevelFinding]) -> dict[Level, LevelCrop]:
        return {found.level: crop for found, crop in cut_crops(study, levels).items()}

    def _findings(self, study: Study, levels: Sequence[LevelFinding], crops: Mapping[Level, LevelCrop], tissue: Volume | None) -> tuple[SeverityFinding, ...]:
        places = {place.level: place for place in levels}
        graded = self._graded(study, levels, crops, tissue)
        findings = []
        for condition in Condition:
            for level in Level:
                finding = graded.get((condition, level)) or self.prior.finding(condition, level)
                findings.append(replace(finding, evidence=_evidence(study, condition, places.get(level), crops.get(level))))
        return tuple(findings)

    def warnings(self, findings: Sequence[SeverityFinding]) -> tuple[str, ...]:
        """What a reader must know of where `findings` come from."""
        unseen = [f for f in findings if f.model == self.prior.name]
        if not unseen:
            return self._of_synthetic()
        names = ", ".join(sorted({f"{f.condition.value.replace('_', ' ')} {f.level.value}" for f in unseen}))
        why = "no model for them is installed" if self.grader is None else f"no {self._seen} shows these levels"
        rare = f"{len(unseen)} of {len(findings)} severity grades are only how common the grades are, no picture was graded ({why}): {names}"
        return (rare, *(self._of_synthetic() if len(unseen) < len(findings) else ()))

    def _of_synthetic(self) -> tuple[str, ...]:
        """That the grader has learnt from no patient, if so."""
        if self.grader is None or not self.grader.model.card.parameters.get("synthetic_only"):
            return ()
        return (f"severity grades are those of {self.grader.model.card.name}, which has learnt from synthetic studies alone and is often wrong on patients",)

    @property
    def _seen(self) -> str:
        return "axial T2 slice" if isinstance(self.grader, CropGrader) else "series that the model takes"

    def _graded(self, study: Study, levels: Sequence[LevelFinding], crops: Mapping[Level, LevelCrop], tissue: Volume | None) -> dict[Cell, SeverityFinding]:
        """The findings of all that the grader can see."""
        if isinstance(self.grader, CropGrader):
            if not crops:
                return {}
            grades = self.grader.grade([crop.picture for crop in crops.values()], list(crops), ["study"] * len(crops))
            return _made(grades, list(crops), self.grader)
        if self.grader is None or not levels:
            return {}
        if self.wants_masks and tissue is None:
            raise ValueError("this grader takes the tissue mask of the spine; pass it as `tissue`")
        views = spine_crops(study, levels, tissue if self.wants_masks else None)
        if not views.present.any():
            return {}
        grades = self.grader.grade(one_study(views, "study"))
        flat = CropGrades(*(part[0].swapaxes(0, 1) for part in (grades.metric, grades.clinical)))
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
            within = tuple(grade for grade, inside in zip(Severity, sets[row], strict=True) if inside)
            result[condition, level] = replace(finding, conformal_set=within)
    return result


def load(models: Path | None = None, threads: int = 0) -> Predictor:
    """The predictor of the preferred models; `models` is a folder that comes before those of the package, `threads` 0 means all cores.

    A model for whole studies, such as the user trained, and one for axial crops do the same: the first of the two counts. Both may be missing; the
    grades' frequencies may not.

    Raises:
        ModelError: a model is damaged, or there is none for the frequencies.
    """
    task = preferred_task((TASK, STUDY_TASK), models)
    grader: CropGrader | StudyGrader | None = None
    if task == TASK:
        # Several networks at a time with one thread each need half the processor time of one at a time with all threads.
        grader = CropGrader(find_model(TASK, models, threads=1), threads or os.cpu_count() or 1)
    elif task == STUDY_TASK:
        grader = StudyGrader(find_model(STUDY_TASK, models, threads))
    return Predictor(Prior(find_model(PRIOR_TASK, models, threads)), grader)


def _evidence(study: Study, condition: Condition, place: LevelFinding | None, crop: LevelCrop | None) -> Evidence | None:
    """Where `condition` is to be seen: in the sagittal series that readers use, on the axial slice otherwise; None where the level was not found."""
    if place is None:
        return None
    offset = _OFFSETS_MM[condition]
    if condition not in _VIEWS:
        return crop.evidence(offset) if crop else None
    middle = np.add(crop.center_mm if crop else place.canal_center_mm or place.center_mm, (offset, 0.0, 0.0)) + (0.0 if offset == 0 else np.array(_FORAMEN_MM))
    for role in _VIEWS[condition]:
        for series in study.with_role(role):
            for stack in series.stacks:
                if stack.volume.grid.contains(middle, margin_mm=5.0):
                    number = int(np.clip(np.rint(stack.volume.grid.indices(middle)[0]), 0, len(stack.instance_numbers) - 1))
                    return point_in_slice(series, stack, number, middle)
    return crop.evidence(offset) if crop else None
