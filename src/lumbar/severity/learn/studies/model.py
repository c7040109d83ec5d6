"""The model folder of a grader of whole studies: networks of all folds, calibration and out-of-fold figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Condition, Severity
from lumbar.metrics.bootstrap import Interval
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card
from lumbar.models.runtime import open_network
from lumbar.severity.axial.grader import LOGITS
from lumbar.severity.axial.network_input import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.calibration import Calibration
from lumbar.severity.evaluate import weighted_prior
from lumbar.severity.learn.calibrate import COVERAGE, as_parameters, crossfitted, fit_calibration
from lumbar.severity.score import GROUPS, OfficialScore, official_score, score_intervals
from lumbar.severity.studies.data import InputOptions, StudySet
from lumbar.severity.studies.grader import TASK, by_level, raw_predictions
from lumbar.severity.studies.rows import Predictions, graded
from lumbar.severity.studies.views import LEVELS, MEASURES, SEEN_PIXELS, SLOTS
from lumbar.training.eight_bit import store_eight_bit
from lumbar.training.fold_runs import FoldRuns, copy_networks

_SHOWN = {"spinal": "canal", "foraminal": "foramen", "subarticular": "both recesses"}  # names on the cards of axial crop graders


@dataclass(frozen=True, eq=False)
class StudiesOutOfFold:
    """Studies with raw out-of-fold grades."""

    studies: StudySet
    raw: Predictions
    folds: NDArray[np.int64]  # (n,)

    def scores(self, repeats: int = 300) -> tuple[OfficialScore, OfficialScore, dict[str, Interval]]:
        """Official score after calibration across folds, that of the shares of each column, and intervals of the first."""
        folds = self.folds if len(np.unique(self.folds)) > 1 else np.arange(len(self.folds)) % 2
        grades, _ = crossfitted(by_level(self.raw), by_level(self.studies.targets), np.repeat(folds, len(LEVELS)))
        metric = grades.metric.reshape(len(self.raw), len(LEVELS), len(Condition), 3).swapaxes(1, 2)
        rows = graded(metric, self.studies.targets)
        return official_score(rows), official_score(rows.with_probabilities(weighted_prior(rows))), score_intervals(rows, repeats)


def grade_held_out_studies(studies: StudySet, runs: Path, kind: str, wanted: InputOptions, threads: int = 0) -> StudiesOutOfFold:
    """Grade each study with the network of its fold; untrained folds are skipped, and predictions are cached beside the network.

    Raises:
        ModelError: `runs` has no splits, or no trained fold.
    """
    fold_runs = FoldRuns(runs, kind)
    fold_of = fold_runs.splits()
    folds = np.array([fold_of.get(name, -1) for name in studies.names.tolist()])
    raw = fold_runs.out_of_fold(folds, lambda network, own: raw_predictions((open_network(network, threads),), studies.subset(own), wanted))
    there = np.isfinite(raw[:, 0, 0, 0])
    return StudiesOutOfFold(studies.subset(there), raw[there], folds[there])


@dataclass(frozen=True)
class StudyModelTexts:
    """Texts of a model card."""

    name: str
    version: str
    how: str  # description of its networks: "an ensemble of hybrid networks …"
    data: tuple[TrainingData, ...]
    research_only: bool
    synthetic_only: bool = False  # not trained on real patients


def write_study_model(
    folder: Path, runs: Path, kind: str, oof: StudiesOutOfFold, data: tuple[TrainingData, ...], *, wanted: InputOptions, research_only: bool
) -> Card:
    """Write the networks of all trained folds to `folder`, with the calibration fitted on `oof`; returns the card."""
    score, prior, _ = oof.scores(repeats=2)
    where = f"out of fold, {len(oof.studies.names)} studies, one network each"
    results = (*score_results("loss", score, where), *score_results("prior", prior, where))
    words = StudyModelTexts("severity-studies", "1", f"an ensemble of {kind} networks trained on the folds of a cross-validation by study", data, research_only)
    calibration = fit_calibration(by_level(oof.raw), by_level(oof.studies.targets))
    return pack_networks(folder, [FoldRuns(runs, kind).path(fold) for fold in np.unique(oof.folds).tolist()], calibration, results, words, wanted)


def score_results(what: str, score: OfficialScore, where: str) -> tuple[Result, ...]:
    """The parts of `score` with labels, as stored in a card."""
    return tuple(Result(_SHOWN.get(name, name), what, round(value, 4), where) for name, value in vars(score).items() if np.isfinite(value))


def pack_networks(
    folder: Path, trained: Sequence[Path], calibration: Calibration, results: tuple[Result, ...], words: StudyModelTexts, wanted: InputOptions
) -> Card:
    """Write the networks of the training folders `trained` to `folder`; returns the card."""
    difference = copy_networks({f"network{number}.onnx": source for number, source in enumerate(trained)}, folder, store_eight_bit)
    parameters = {"calibration": as_parameters(calibration), "conformal_coverage": COVERAGE, "masks": wanted.masks, "sagittal_slices": wanted.slices}
    return write_card(folder, _card(words, {**parameters, "groups": list(GROUPS), "synthetic_only": words.synthetic_only}, results, difference, wanted))


def _card(words: StudyModelTexts, parameters: dict[str, object], results: tuple[Result, ...], difference: float, wanted: InputOptions) -> Card:
    channels, slices = 3 * wanted.masks, wanted.slices
    what = "zero mean and unit variance of the grey channels" + (", then vertebra, disc and canal of the middle slice" if wanted.masks else "")
    sagittal = (SEEN_PIXELS, SEEN_PIXELS)
    return Card(
        name=words.name,
        version=words.version,
        task=TASK,
        description=f"All five conditions at all five levels from sagittal T1, sagittal T2 and axial T2 crops of a study: {words.how}."
        " Losses are weighted 1, 2, 4 as in the official score of RSNA 2024.",
        intended_use="Research on graded lumbar MRI. Not a medical device; not for decisions about patients.",
        inputs=(
            TensorSpec("canal", ("n", 5, 1, slices + channels, *sagittal), f"36 mm of sagittal T2, slices from the patient's right to left; {what}"),
            TensorSpec("foramen", ("n", 5, 2, slices + channels, *sagittal), f"36 mm of sagittal T1 of the left and right foramen, slices outwards; {what}"),
            TensorSpec("axial", ("n", 5, 1, 3 + channels, CROP_ROWS, CROP_COLUMNS), f"48 × 33 mm of axial T2, the patient's left at the right edge; {what}"),
            TensorSpec("present", ("n", 5, len(SLOTS)), "1 where there is a canal, left foramen, right foramen, axial crop; zeros elsewhere, as in the crop"),
            TensorSpec("measures", ("n", 5, 2 * len(MEASURES)), "standardised measurements of the spine model, then 1 where there is one"),
        ),
        outputs=(TensorSpec(LOGITS, ("n", 5, 5, 3), "conditions as in parameters.conditions, levels, grades as in classes"),),
        classes=tuple(severity.value for severity in Severity),
        training_data=words.data,
        results=results,
        research_only=words.research_only,
        export_difference=difference,
        parameters={"conditions": [c.value for c in Condition], **parameters},
    )
