"""Prediction of spinal age from a sagittal T2 volume and the positions of its discs. Needs no PyTorch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lumbar.age.calibration import Calibration, from_parameters
from lumbar.age.crops import CropOptions, SliceSet, cut_slices
from lumbar.age.engine import AgeEngine, Ages
from lumbar.age.importance import HeatMap, Importance, Structure, explain
from lumbar.age.occlusion_baseline import read_baseline
from lumbar.age.segments import BASELINE, SEGMENT_LEVELS, SEGMENTS, WHOLE
from lumbar.domain.anatomy import Level
from lumbar.domain.findings import AgeFinding, LevelAge, LevelFinding, ModelUse, Selta
from lumbar.domain.findings import Importance as LevelImportance
from lumbar.domain.geometry import Points
from lumbar.domain.volume import Volume
from lumbar.errors import InputError, ModelError
from lumbar.models.folder import Model, load_folder

TASK = "age"  # task on the card of an age model


@dataclass(frozen=True, eq=False)
class AgeResult:
    """The predicted age of one study, with the data for images and text of the report."""

    finding: AgeFinding  # the part that goes into findings.json
    structures: tuple[Structure, ...]  # importance of each disc and vertebra, as a whole and by slice; empty unless requested
    heat_map: HeatMap | None  # years by place near the midline; `heat_map.at(points_mm)` samples it
    out_of_distribution: bool  # the study is out of distribution
    synthetic_only: bool  # the model was trained on synthetic people only: its ages are not valid for patients
    warnings: tuple[str, ...]
    segment_years: Mapping[str, float] = field(default_factory=dict)  # segment → age by the network, the whole spine among them


class Predictor:
    """Predicts ages with one model folder."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.engine = AgeEngine(model)
        self.baseline = read_baseline(model.folder)
        parameters = model.card.parameters
        try:
            self.calibration: Calibration = from_parameters(parameters["calibration"])
            self.options = CropOptions(**parameters["crops"])
            self.synthetic_only = bool(parameters["synthetic_only"])
        except (KeyError, TypeError) as error:
            raise ModelError(f"the card of {model.folder} lacks a parameter ({error}); export the model again") from error

    @property
    def use(self) -> ModelUse:
        """The model's entry in the findings."""
        return self.model.use

    def predict(
        self,
        volume: Volume,
        levels: Sequence[LevelFinding],
        chronological_age_years: float | None = None,
        sex: str | None = None,
        explained: bool = True,
    ) -> AgeResult:
        """The age of one study.

        Args:
            volume: a sagittal T2 or STIR stack, as it was read.
            levels: of the spine model (`SpineMap.finding.levels`), in the same patient coordinates; from this series or another of the exam.
            chronological_age_years: true age, for deltas and Selta; None leaves them out.
            sex: "F", "M" or None; the network takes it into account where it is known.
            explained: whether to compute occlusion maps, which takes most of the time.

        Raises:
            InputError: fewer than two disc levels are known, or the volume shows none of them.
        """
        slices = cut_slices(volume, disc_points(levels), self.options)
        return self.predict_slices(slices, chronological_age_years, sex, explained)

    def predict_slices(self, slices: SliceSet, chronological_age_years: float | None, sex: str | None, explained: bool = True) -> AgeResult:
        """As `predict`, from crops that are already cut."""
        ages = self.engine.ages(self.engine.describe(slices)[None], slices, sex)
        importance = explain(self.engine, slices, self.baseline.like(slices), sex) if explained else None
        distance = float(self.calibration.feature_distribution.distance(ages.features)[0])
        out_of_distribution = distance > self.calibration.feature_distribution.limit
        whole = float(ages.segment_years[0, SEGMENTS.index(WHOLE)])
        known = chronological_age_years
        delta = self.calibration.delta(whole, known) if known is not None else None
        return AgeResult(
            finding=replace(
                self._finding(ages, slices, known, importance),
                age_delta_corrected_years=delta[0] if delta else None,
                age_delta_z=delta[1] if delta else None,
                age_delta_percentile=delta[2] if delta else None,
            ),
            structures=importance.structures if importance else (),
            heat_map=importance.heat_map if importance else None,
            out_of_distribution=out_of_distribution,
            synthetic_only=self.synthetic_only,
            warnings=self._warnings(whole, known, slices, out_of_distribution),
            segment_years=dict(zip(SEGMENTS, map(float, ages.segment_years[0]), strict=True)),
        )

    def _finding(self, ages: Ages, slices: SliceSet, known: float | None, importance: Importance | None) -> AgeFinding:
        years = dict(zip(SEGMENTS, map(float, ages.segment_years[0]), strict=True))
        shown = [name for name in SEGMENTS if name != WHOLE and _complete(name, slices)]
        low, high = self.calibration.conformal.interval([years[WHOLE]])
        return AgeFinding(
            predicted_age_years=years[WHOLE],
            interval_years=(float(low[0]), float(high[0])),
            coverage=self.calibration.conformal.coverage,
            age_delta_years=None if known is None else years[WHOLE] - known,
            age_delta_corrected_years=None,
            level_ages=tuple(LevelAge(name, years[name]) for name in shown),
            age_selta=() if known is None or BASELINE not in shown else self._selta(years, shown, known),
            importance=tuple(LevelImportance(s.name, s.delta_years) for s in importance.structures) if importance else (),
        )

    def _selta(self, years: Mapping[str, float], shown: Sequence[str], known: float) -> tuple[Selta, ...]:
        found = []
        for name, reference in self.calibration.selta.items():
            if name in shown:
                value = float(reference.value([years[name]], [years[BASELINE]], [known])[0])
                found.append(Selta(name, value, bool(reference.flagged(value))))
        return tuple(found)

    def _warnings(self, predicted: float, known: float | None, slices: SliceSet, out_of_distribution: bool) -> tuple[str, ...]:
        warnings = []
        if self.synthetic_only:
            warnings.append("age: the model was trained on synthetic people only; its ages are not valid for patients")
        low, high = self.calibration.ages_years
        for years, what in ((known, "the person is"), (predicted, "the predicted age is")):
            if years is not None and not low <= years <= high:
                warnings.append(
                    f"age: {what} {years:.0f} years; the model was trained on people of {low:.0f} to {high:.0f} years only, so this age is unreliable"
                )
        if out_of_distribution:
            warnings.append("age: this series is out of distribution (it differs from the training images); age and interval may be wrong")
        missing = [level.value for level in Level if level not in slices.levels]
        if missing:
            warnings.append(
                f"age: {', '.join(missing)} not in view; segments with these levels have no age, and the age of the whole spine uses the other levels"
            )
        return tuple(warnings)


def load(folder: Path, threads: int = 0) -> Predictor:
    """The predictor of a model folder; `threads` 0 means all cores.

    Raises:
        ModelError: the folder is missing, damaged or of another task.
    """
    return Predictor(load_folder(folder, threads, TASK))


def disc_points(levels: Sequence[LevelFinding]) -> dict[Level, Points]:
    """LPS middles of the discs that were found.

    Raises:
        InputError: there are none.
    """
    if not levels:
        raise InputError("an age needs the disc levels of the lumbar spine, and none was found")
    return {found.level: np.array(found.center_mm, dtype=np.float64) for found in levels}


def _complete(segment: str, slices: SliceSet) -> bool:
    """Whether all levels of a segment are seen."""
    return all(level in slices.levels for level in SEGMENT_LEVELS[segment])
