"""A baseline grader without training: measurements of the spine model compared with published cut-offs.

* Canal: antero-posterior diameter below 12 mm is relative, below 10 mm absolute stenosis (Kalichman et al., Spine J 2009;9:545, on CT; 10 mm is also
  the limit that Steurer et al., BMC Musculoskelet Disord 2011;12:175, found most often). These are of bone; the spine model's canal is close to the sac.
* Foramen: roots were compressed in eight of ten foramina whose disc was at most 4 mm high at its back (Hasegawa et al., J Bone Joint Surg Am 1995;77:32;
  their second limit, a foramen of at most 15 mm, cannot be measured in the midplane). That counts as severe; up to 7 mm, our own limit, as moderate.
* Recess: it cannot be measured in the midplane; its grade is the canal's, one step closer to normal, which is our own rule.

A cut-off gives a grade; the probabilities of the three grades are their frequencies among reader-graded studies with that cut-off grade.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lumbar.domain.anatomy import Condition
from lumbar.metrics.calibration import reweighted
from lumbar.severity.score import GRADE_WEIGHTS
from lumbar.severity.studies.views import LEVELS, MEASURES

CANAL_MM = (12.0, 10.0)  # below the first moderate, below the second severe
POSTERIOR_DISC_MM = (7.0, 4.0)
UNKNOWN = 3  # cut-off grade of missing measurements
_SMOOTH = 1.0  # additive smoothing of counts


@dataclass(frozen=True, eq=False)
class MeasurementGrader:
    """Fitted probabilities (5 conditions, 4 cut-off grades, 3 grades)."""

    probabilities: NDArray[np.float64]

    def grade(self, measures: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities (n, 5 conditions, 5 levels, 3), weighted as in the official score, from measures (n, 5 levels, measures)."""
        cut = cutoff_grades(measures)
        cutoff_probabilities = np.stack([self.probabilities[c, cut[:, c]] for c in range(len(Condition))], axis=1)
        return reweighted(cutoff_probabilities, np.array(GRADE_WEIGHTS))


def cutoff_grades(measures: NDArray[np.float32]) -> NDArray[np.int64]:
    """(n, 5 conditions, 5 levels) 0 … 2 by the cut-offs, UNKNOWN where not measured; from measures (n, 5 levels, measures)."""
    canal = _below(measures[..., MEASURES.index("canal_ap_mm")], CANAL_MM)
    foramen = _below(measures[..., MEASURES.index("disc_height_posterior_mm")], POSTERIOR_DISC_MM)
    recess = np.where(canal == UNKNOWN, UNKNOWN, np.maximum(canal - 1, 0))
    return np.stack([canal, foramen, foramen, recess, recess], axis=1)


def fit_measurement_grader(measures: NDArray[np.float32], targets: NDArray[np.int64]) -> MeasurementGrader:
    """The grader from measures (n, 5 levels, measures) and grades (n, 5 conditions, 5 levels), −1 where unlabelled; sides are pooled."""
    cut = cutoff_grades(measures)
    probabilities = np.empty((len(Condition), UNKNOWN + 1, 3))
    for places in ((0,), (1, 2), (3, 4)):
        pooled = _counts(cut, targets, places) + _SMOOTH
        probabilities[list(places)] = pooled / pooled.sum(axis=1, keepdims=True)
    return MeasurementGrader(probabilities)


def _counts(cut: NDArray[np.int64], targets: NDArray[np.int64], places: Sequence[int]) -> NDArray[np.float64]:
    """(4, 3) counts of each grade by cut-off grade."""
    own, known = cut[:, list(places)].reshape(-1, len(LEVELS)), targets[:, list(places)].reshape(-1, len(LEVELS))
    labelled = known >= 0
    return np.bincount(own[labelled] * 3 + known[labelled], minlength=12).reshape(4, 3).astype(np.float64)


def _below(values: NDArray[np.float32], cutoffs: tuple[float, float]) -> NDArray[np.int64]:
    grades = sum((values < cutoff).astype(np.int64) for cutoff in cutoffs)
    return np.where(np.isfinite(values), grades, UNKNOWN).astype(np.int64)
