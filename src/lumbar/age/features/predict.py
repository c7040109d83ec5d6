"""Age of a study from its features: with an interval, a corrected delta and the years of every level, or the features alone where ages are not supported."""

from dataclasses import dataclass, replace
from math import erf, sqrt

import numpy as np

from lumbar.age.crops import LEVELS, SliceSet
from lumbar.age.features.explain import contribution_map, level_years
from lumbar.age.features.linear import FeatureModel, Support, Weights, from_parameters
from lumbar.age.features.measure import NAMES, NETWORK, SEEN, AgeFeatures, Contrast
from lumbar.age.predict import AgeResult
from lumbar.age.segments import SEGMENT_LEVELS, WHOLE
from lumbar.domain.findings import AgeFeature, AgeFinding, Importance, LevelAge, ModelUse
from lumbar.models.folder import Model

TASK = "age_features"  # task on the card

_CONTRAST_FEATURE = "csf_to_marrow"
_FAR = 3.0  # standardized features further from the median are unusual
_CONTRAST_FAR = 4.0  # likewise for CSF against marrow: beyond it the image is fat-suppressed, or not T2-weighted, whatever its header states
_MOST_FAR = 0.25  # share of them from which the series counts as out of distribution


@dataclass(frozen=True, eq=False)
class MeasuredSeries:
    """One sagittal series with its features."""

    features: AgeFeatures
    contrast: Contrast | None  # None: a kind that the features were not checked on
    slices: SliceSet | None


class FeatureAge:
    """Predicts ages with the feature model of a folder."""

    def __init__(self, model: Model) -> None:
        """Take the coefficients from the card of `model`.

        Raises:
            ModelError: they are missing or do not fit this version.
        """
        self.use: ModelUse = model.use
        self.model: FeatureModel = from_parameters(model.card.parameters)

    def support(self, contrast: Contrast | None) -> Support | None:
        """Accuracy of ages from this kind of series."""
        return self.model.support.get(contrast) if contrast is not None else None

    def predict(self, series: MeasuredSeries, network: AgeResult | None, known: float | None) -> AgeResult:
        """The age, of the whole and of segments; Selta is that of the network.

        Args:
            series: the measured series.
            network: the result of the network on T2 slices, None where there are none.
            known: chronological age, for deltas.
        """
        support = self.support(series.contrast)
        if series.contrast is None or support is None or not support.shown:
            return self._unsupported(series, support)
        if self._other_contrast(series.features, series.contrast):
            return self._unsupported(replace(series, contrast=None), None)
        weights = self.model.weights[series.contrast]
        z = weights.z(series.features, series.contrast)
        years = weights.years(z)
        contributions = weights.contributions(series.features, series.contrast)
        delta = None if known is None else float(self.model.bias.delta([years], [known])[0])
        deviation = None if delta is None or known is None else delta / float(self.model.spread.at([known])[0])
        finding = AgeFinding(
            predicted_age_years=years,
            interval_years=weights.interval(z, self.model.coverage),
            coverage=self.model.coverage,
            age_delta_years=None if known is None else years - known,
            age_delta_corrected_years=delta,
            level_ages=self._level_ages(weights, series, series.contrast),
            age_selta=network.finding.age_selta if network else (),
            importance=tuple(Importance(level, value) for level, value in level_years(contributions).items()),
            age_delta_z=deviation,
            age_delta_percentile=None if deviation is None else 50 * (1 + erf(deviation / sqrt(2))),
            features=self._features(series, dict(zip(weights.names, map(float, contributions.sum(axis=1)), strict=True))),
        )
        unusual = self._unusual(series, series.contrast)
        heat = contribution_map(weights.names, contributions, series.slices) if series.slices is not None else None
        return AgeResult(finding, (), heat, unusual, False, self._warnings(finding, series, support, known, unusual, network))

    def _level_ages(self, weights: Weights, series: MeasuredSeries, contrast: Contrast) -> tuple[LevelAge, ...]:
        """Ages of the segments with all levels in view."""
        signal = series.features.values[NAMES.index(SEEN[0])]
        found = []
        for name, network in zip((segment for segment in SEGMENT_LEVELS if segment != WHOLE), NETWORK, strict=True):
            columns = [LEVELS.index(level) for level in SEGMENT_LEVELS[name]]
            years = weights.segment_years(series.features, contrast, columns, network) if np.isfinite(signal[columns]).all() else None
            if years is not None:
                found.append(LevelAge(name, years))
        return tuple(found)

    def _unsupported(self, series: MeasuredSeries, support: Support | None) -> AgeResult:
        """The features without an age."""
        why = "this kind of series was not checked (it needs T2 without fat suppression)"
        if support is not None:
            why = (
                f"on {support.people} people in such series its error, {support.mae_years:.0f} years, was not shown to be below that of guessing "
                f"({support.guess_mae_years:.0f} years)"
            )
        finding = AgeFinding(None, None, self.model.coverage, None, None, features=self._features(series, {}), supported=False)
        return AgeResult(finding, (), None, False, False, (f"age not supported: {why}",))

    def _features(self, series: MeasuredSeries, years: dict[str, float]) -> tuple[AgeFeature, ...]:
        """All measured features with their typical value in this kind of series and their contribution."""
        contrast = series.contrast
        typical: dict[str, float] = {}
        if contrast is not None and contrast in self.model.weights:
            weights = self.model.weights[contrast]
            typical = dict(zip(weights.names, map(float, weights.scales[contrast].median), strict=True))
        found = [(name, float(value)) for name, value in zip(NAMES, series.features.means, strict=True) if np.isfinite(value)]
        return tuple(AgeFeature(name, value, typical.get(name), years.get(name)) for name, value in found)

    def _other_contrast(self, features: AgeFeatures, contrast: Contrast) -> bool:
        """Whether CSF against marrow differs from all series of this kind, as with fat suppression."""
        weights = self.model.weights[contrast]
        deviation = weights.deviations(features, contrast)[weights.names.index(_CONTRAST_FEATURE)]
        return bool(np.abs(deviation) > _CONTRAST_FAR)

    def _unusual(self, series: MeasuredSeries, contrast: Contrast) -> bool:
        """Whether too many features are far from their median, or missing."""
        deviations = self.model.weights[contrast].deviations(series.features, contrast)
        return bool(np.mean(~(np.abs(deviations) <= _FAR)) > _MOST_FAR)

    def _warnings(
        self, finding: AgeFinding, series: MeasuredSeries, support: Support, known: float | None, unusual: bool, network: AgeResult | None
    ) -> tuple[str, ...]:
        low, high = self.model.ages_years
        warnings = [
            f"age: fitted on {self.model.people} people; on people left out the mean error was {support.mae_years:.1f} years: of use for groups at best"
        ]
        for years, what in ((known, "the person is"), (finding.predicted_age_years, "the predicted age is")):
            if years is not None and not low <= years <= high:
                warnings.append(
                    f"age: {what} {years:.0f} years; the model was fitted on people of {low:.0f} to {high:.0f} years only, so this age is unreliable"
                )
        if series.contrast is Contrast.T2 and series.slices is not None and series.slices.present.sum(axis=1).max() > 1:
            warnings.append("age: 2-D T2 series were checked by single mid-sagittal slices alone; with several slices the age may be off by more")
        if unusual:
            warnings.append("age: the features of this series are out of distribution (more than a quarter unusual or missing); age and interval may be wrong")
        if network is not None and network.synthetic_only and finding.age_selta:
            warnings.append("age: Selta and its range come from a network trained on synthetic people only")
        return tuple(warnings)
