"""Grading one study of a data set into a file of its own, so that a prediction run can be split over workers and resumed."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lumbar.datasets.rsna2024_labels import row_id
from lumbar.domain.anatomy import Condition, Level
from lumbar.errors import InputError, UnreadableInput
from lumbar.io.read import read_study
from lumbar.pipeline import Models, Request, analyze, load_models
from lumbar.severity.predict import Predictor, load
from lumbar.spine.spine_map import tissue_mask

Rows = dict[str, list[float]]  # row id → probabilities of normal/mild, moderate, severe


@dataclass(frozen=True)
class GradedStudy:
    """The 25 rows of one study, and why some of them are prevalences only."""

    rows: Rows
    warning: str  # empty where every row comes from images


@dataclass(frozen=True)
class GradingWork:
    """One study to grade; picklable."""

    images: Path  # folder of the study
    part: Path  # file to write
    models: Path | None
    threads: int

    def __call__(self) -> None:
        """Grade the study into `part`, which is complete or absent."""
        graded = grade_study(self.images, *_models(self.models, self.threads))
        draft = self.part.with_suffix(".part")
        draft.write_text(json.dumps({"rows": graded.rows, "warning": graded.warning}), encoding="utf-8")
        draft.replace(self.part)


def read_graded(part: Path) -> GradedStudy | None:
    """What a `GradingWork` has written; None where it has not."""
    if not part.is_file():
        return None
    document = json.loads(part.read_text(encoding="utf-8"))
    return GradedStudy(document["rows"], document["warning"])


def grade_study(folder: Path, predictor: Predictor, models: Models) -> GradedStudy:
    """Grade the study in `folder`; rows that cannot be graded hold the prevalence of the grades in the training data."""
    rows = {row_id(folder.name, c, v): [float(p) for p in predictor.prior.metric(c, v)] for c in Condition for v in Level}
    try:
        if not folder.is_dir():
            raise UnreadableInput(f"{folder} is not there")
        study = read_study(folder)
        spine = analyze(study, models, Request(tasks=("spine",))).spine
        findings = predictor.predict(study, spine.finding.levels, tissue_mask(spine) if predictor.wants_masks else None)
        rows |= {row_id(folder.name, f.condition, f.level): [float(p) for p in vars(f.probabilities).values()] for f in findings}
        return GradedStudy(rows, "; ".join(f"{folder.name}: {text}" for text in predictor.warnings(findings)))
    except InputError as error:
        return GradedStudy(rows, f"{folder.name}: {error}")


@lru_cache(maxsize=1)
def _models(models: Path | None, threads: int) -> tuple[Predictor, Models]:
    """The grader and the spine model, loaded once in each process."""
    return load(models, threads), load_models(models, threads, ())
