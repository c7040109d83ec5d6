"""Age as a task of the pipeline: the predicted age, its interval and its explanation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lumbar.age.crops import cut_slices
from lumbar.age.features.measure import contrast_of, measure_features
from lumbar.age.features.predict import TASK as FEATURE_TASK
from lumbar.age.features.predict import FeatureAge, MeasuredSeries
from lumbar.age.predict import TASK, AgeResult, Predictor, disc_points
from lumbar.domain.part import Part
from lumbar.domain.stack_choice import stack_showing
from lumbar.domain.study import Patient, Plane, Role, Study, Weighting
from lumbar.errors import InputError
from lumbar.metrics.age_bias import Bias
from lumbar.metrics.spread import Spread
from lumbar.models.registry import find_model, has_model
from lumbar.spine.find import FoundSpine


class Reference(Protocol):
    """People that a predicted age is compared with."""

    @property
    def bias(self) -> Bias:
        """What is predicted for people of an age."""
        ...

    @property
    def spread(self) -> Spread:
        """Standard deviation around it."""
        ...

    @property
    def ages_years(self) -> tuple[float, float]:
        """The youngest and the oldest."""
        ...

    @property
    def people(self) -> int:
        """Their number."""
        ...


@dataclass(frozen=True, eq=False)
class Age:
    """The predicted age of one study, with the reference data of the report."""

    result: AgeResult
    calibration: Reference
    chronological_age_years: float | None


class AgeTask:
    """Predicts the age of a lumbar spine: from measured features where a model of them is installed, else by the network alone."""

    name = "age"

    def __init__(self, predictor: Predictor, features: FeatureAge | None = None) -> None:
        self._predictor = predictor
        self._features = features

    def run(self, study: Study, spine: FoundSpine, patient: Patient) -> Part:
        """Predict an age. The evidence is an `Age`."""
        if self._features is not None:
            return self._from_features(self._features, study, spine, patient)
        series = study.with_role(Role.SAGITTAL_T2)
        if not series:
            return Part(self.name, warnings=("age: it needs a sagittal T2 or STIR series; the study has none",), unmet=True)
        predictor, known = self._predictor, patient.age_years
        shown = spine.stack if spine.series.role is Role.SAGITTAL_T2 else stack_showing(series, [level.center_mm for level in spine.spine.finding.levels])
        try:
            result = predictor.predict(shown.volume, spine.spine.finding.levels, known, patient.sex)
        except InputError as error:
            return Part(self.name, warnings=(f"age: {error}",), unmet=True)
        return Part(self.name, {"age": result.finding}, (predictor.use,), result.warnings, evidence=Age(result, predictor.calibration, known))

    def _from_features(self, model: FeatureAge, study: Study, spine: FoundSpine, patient: Patient) -> Part:
        """The age from features of the series in which the spine was found; the network, trained for T2 and STIR, is applied to that series only."""
        if spine.series.plane is not Plane.SAGITTAL:
            return Part(self.name, warnings=("age: it needs a sagittal T2 series; the study has none in which the spine was found",), unmet=True)
        known, levels, weighting = patient.age_years, spine.spine.finding.levels, spine.series.weighting
        try:
            slices = cut_slices(spine.stack.volume, disc_points(levels), self._predictor.options)
            network = self._predictor.predict_slices(slices, known, patient.sex, explained=False) if weighting in (Weighting.T2, Weighting.STIR) else None
        except InputError as error:
            return Part(self.name, warnings=(f"age: {error}",), unmet=True)
        years = network.segment_years if network is not None else None
        measured = MeasuredSeries(measure_features(spine.spine, slices, years), contrast_of(weighting, spine.stack.volume), slices)
        result = model.predict(measured, network, known)
        used = (model.use, self._predictor.use) if network is not None else (model.use,)
        return Part(self.name, {"age": result.finding}, used, result.warnings, unmet=not result.finding.supported, evidence=Age(result, model.model, known))


def load(folder: Path | None = None, threads: int = 0) -> AgeTask | None:
    """Load the task with the preferred model; None if no model is installed. The arguments are those of `spine.task.load`.

    A model of features serves the network whose ages it was fitted on; with another network, such as one trained on a user's own people, that network alone
    gives the age.

    Raises:
        ModelError: a model is damaged.
    """
    if not has_model(TASK, folder):
        return None
    predictor = Predictor(find_model(TASK, folder, threads))
    features = FeatureAge(find_model(FEATURE_TASK, folder, threads)) if has_model(FEATURE_TASK, folder) else None
    fits = features is not None and features.model.network_sha256 == predictor.use.sha256
    return AgeTask(predictor, features if fits else None)
