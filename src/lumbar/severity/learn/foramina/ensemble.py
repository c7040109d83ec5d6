"""The model folder of the foraminal grader: networks of all folds, calibration and out-of-fold figures."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from lumbar.domain.anatomy import Severity
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card
from lumbar.severity.foramina.calibration import LevelCalibration
from lumbar.severity.foramina.crops import CROP_COLUMNS, CROP_ROWS
from lumbar.severity.foramina.grader import CROPS, LEVELS, LOGITS, RELATED_CALIBRATION, RELATED_LOGITS, SIDE_NUMBERS, STUDIES, TASK
from lumbar.severity.learn.calibrate import COVERAGE
from lumbar.severity.learn.foramina.out_of_fold import CANAL, FORAMEN, KIND, RECESS, Measured
from lumbar.training.eight_bit import store_eight_bit
from lumbar.training.fold_runs import FoldRuns

_SHOWN = ("loss", "prior", "auc_severe", "kappa", "ece", "coverage")
LICENCE = "trained on RSNA 2024 data, non-commercial research only"


def write_ensemble(folder: Path, runs: Path, folds: list[int], calibrations: Mapping[str, LevelCalibration], measured: Measured, data: TrainingData) -> Card:
    """Write the networks of `folds` to `folder`, with the figures `measured`; returns the card.

    `calibrations` are those of `PARTS`.
    """
    difference = FoldRuns(runs, KIND).pack(folds, folder, store_eight_bit)
    results = tuple(
        Result(part, name, round(asdict(values)[name], 4), measured.where, headline=part == "foramen" and name in {"loss", "auc_severe"})
        for part, values in measured.figures.items()
        for name in _SHOWN
    )
    card = Card(
        name="severity-foramina",
        version="3",
        task=TASK,
        description="Neural foraminal narrowing on sagittal T1 crops around the foramina: an ensemble of networks trained on the folds of a cross-validation"
        " by study. Canal and subarticular stenosis beside each foramen are graded as well, which T1 shows less clearly than axial T2 does."
        " One encoder serves both sides; the foramina of a study attend to each other. The loss is weighted 1, 2, 4 as in the official score"
        " of RSNA 2024.",
        intended_use="Research on graded lumbar MRI. Not a medical device; not for decisions about patients. Measured on readers' points on T1 alone.",
        inputs=(
            TensorSpec(CROPS, ("n", 1, CROP_ROWS, CROP_COLUMNS), "sagittal T1 around a foramen, 32 pixels from level to level, zero mean, unit variance"),
            TensorSpec(LEVELS, ("n",), "0 for L1/L2 to 4 for L5/S1"),
            TensorSpec(SIDE_NUMBERS, ("n",), "0 for the patient's left, 1 for the right"),
            TensorSpec(STUDIES, ("n",), "equal numbers for foramina of one study"),
        ),
        outputs=(
            TensorSpec(LOGITS, ("n", 3), "of the foramen; grades as in classes"),
            TensorSpec(RELATED_LOGITS, ("n", 2, 3), "of the canal at its level and of the recess on its side"),
        ),
        classes=tuple(severity.value for severity in Severity),
        training_data=(data,),
        results=(*results, *measured.more),
        research_only=True,
        export_difference=difference,
        parameters={
            "calibration": calibrations[FORAMEN].parameters,
            RELATED_CALIBRATION: {part: calibrations[part].parameters for part in (CANAL, RECESS)},
            "conformal_coverage": COVERAGE,
        },
    )
    return write_card(folder, card)
