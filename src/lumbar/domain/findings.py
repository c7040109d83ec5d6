"""Findings of an analysis: the tree that becomes `findings.json`, without the data that only images need.

Points are LPS millimetres of the input. A value that could not be measured is None, and a warning of the findings gives the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lumbar.domain.anatomy import Condition, Level, Muscle, Severity, Side, Vertebra
from lumbar.domain.quality import Quality
from lumbar.domain.reading import ReaderMark

Point = tuple[float, float, float]

# How `report/document.py` writes a field; the others are always written.
IF_ANY = {"written": "if any"}  # left out where it holds its default
UNWRITTEN = {"written": "never"}


@dataclass(frozen=True)
class ModelResult:
    """One measured figure of a model, as its card states it."""

    structure: str  # evaluated structure: "canal", "both recesses", "left multifidus"
    metric: str  # "dice", "auc_severe", "mae_years"
    value: float
    data: str  # on which cases: people not trained on, and whether they are real or synthetic
    interval: tuple[float, float] | None = field(default=None, metadata=IF_ANY)  # 95 %
    headline: bool = field(default=False, metadata=UNWRITTEN)  # one of the few figures in every report

    @property
    def text(self) -> str:
        """The figure in words: "canal dice 0.915 (0.90 to 0.93)"."""
        bounds = f" ({self.interval[0]:.3g} to {self.interval[1]:.3g})" if self.interval else ""
        return f"{self.structure} {self.metric.replace('_', ' ')} {self.value:.3g}{bounds}"


@dataclass(frozen=True)
class ModelUse:
    """A model that was used, its training data and its headline results."""

    task: str
    name: str
    version: str
    sha256: str
    trained_on: str
    research_only: bool = False  # the licence of some training data excludes other use
    results: tuple[ModelResult, ...] = ()  # the figures of what its card has headlines for; findings.json holds the first headline of each structure


@dataclass(frozen=True)
class SeriesFacts:
    """One series of the input."""

    series_uid: str
    plane: str
    weighting: str
    role: str
    instances: int
    spacing_mm: tuple[float, float, float]  # between slices, rows, columns


@dataclass(frozen=True)
class Numbering:
    """Whether the level names are certain."""

    confident: bool
    note: str
    probability: float | None = None  # that the lowest disc bears its right name, from the tilts of the discs; None where a person named it


@dataclass(frozen=True)
class VertebraFinding:
    """One vertebral body in view; of S1 the upper strip alone, which has no heights."""

    vertebra: Vertebra
    center_mm: Point
    height_anterior_mm: float | None = None
    height_middle_mm: float | None = None
    height_posterior_mm: float | None = None
    wedge_degrees: float | None = None  # angle between its endplates, positive if it is higher in front
    bony_canal_ap_mm: float | None = None  # from the middle of its back wall to the base of the spinous process


@dataclass(frozen=True)
class LevelFinding:
    """One disc level in view, with its measurements (defined and cited in `spine/morphometry.py`)."""

    level: Level
    center_mm: Point  # middle of the disc
    canal_center_mm: Point | None = None  # middle of the canal at the height of the disc
    disc_height_anterior_mm: float | None = None  # between the endplates, as the others
    disc_height_middle_mm: float | None = None
    disc_height_posterior_mm: float | None = None
    disc_height_mm: float | None = None  # mean of the three
    disc_height_index: float | None = None  # disc height / height of the vertebra above
    disc_mask_heights_mm: tuple[float, float, float] | None = field(default=None, metadata=UNWRITTEN)  # front, middle, back: of the mask, without endplates
    disc_signal_ratio: float | None = None  # nucleus / CSF
    canal_ap_mm: float | None = None
    canal_area_mm2: float | None = None  # mid-sagittal, over the height of the disc
    dural_sac_mm2: float | None = field(default=None, metadata=IF_ANY)  # cross-section in the axial T2 slice through the disc
    slip_mm: float | None = None  # positive: the upper vertebra lies in front of the lower
    slip_mm_error: float | None = None  # ± of the slip, 95 %: a smaller one is not called a slip
    slip_percent: float | None = None
    meyerding_grade: int | None = None  # 0 to 4, 5 for ptosis
    segmental_lordosis_degrees: float | None = None
    foramen_height_left_mm: float | None = field(default=None, metadata=IF_ANY)  # between the pedicles; left is the patient's left
    foramen_height_right_mm: float | None = field(default=None, metadata=IF_ANY)
    foramen_width_left_mm: float | None = field(default=None, metadata=IF_ANY)  # narrowest, from the column to the posterior elements
    foramen_width_right_mm: float | None = field(default=None, metadata=IF_ANY)
    foramen_area_left_mm2: float | None = field(default=None, metadata=IF_ANY)
    foramen_area_right_mm2: float | None = field(default=None, metadata=IF_ANY)

    @property
    def disc_mask_height_index(self) -> float | None:
        """`disc_height_index` from the height of the disc's mask, without endplates."""
        if self.disc_height_index is None or self.disc_height_mm is None or self.disc_mask_heights_mm is None:
            return None
        return self.disc_height_index * sum(self.disc_mask_heights_mm) / (3 * self.disc_height_mm)


@dataclass(frozen=True)
class SpineFinding:
    """Levels and vertebrae with their measurements."""

    numbering: Numbering
    vertebrae: tuple[VertebraFinding, ...]
    levels: tuple[LevelFinding, ...]
    total_lordosis_degrees: float | None = None  # L1 upper endplate to S1 upper endplate
    sacral_slope_degrees: float | None = None  # lying; upper endplate of S1 against the horizontal plane
    coronal_cobb_degrees: float | None = None  # between the two discs that are tilted most to either side
    coronal_cobb_between: str = ""  # these discs: "T12/L1 and L3/L4"
    errors: Mapping[str, float] = field(default_factory=dict)  # ± of each kind of measurement, 95 %, by the name of its field
    disc_heights_between: str = "endplates"  # results of earlier versions, whose heights are of the masks alone, do not have this field
    measured_in: str | None = None  # series_uid of the series that was measured
    foramina_measured_in: str | None = field(default=None, metadata=IF_ANY)  # where foramina were measured, if in another one as well


@dataclass(frozen=True)
class Probabilities:
    """Probabilities of the three grades; they sum to 1."""

    normal_mild: float
    moderate: float
    severe: float


@dataclass(frozen=True)
class Evidence:
    """The location in the input that supports a grade: pixels of one instance."""

    series_uid: str
    instance_number: int
    x: float
    y: float


@dataclass(frozen=True)
class ForamenFat:
    """The fat around the nerve root of one foramen on sagittal T1 (defined and cited in `severity/foramina/fat.py`)."""

    area_mm2: float
    height_mm: float  # over the rows that show any
    width_mm: float  # of the widest row


@dataclass(frozen=True)
class SeverityFinding:
    """The grade of one condition at one level."""

    condition: Condition
    level: Level
    probabilities: Probabilities  # metric-weighted, as a submission has them
    clinical_probabilities: Probabilities  # calibrated to the prevalence of the grades
    severity: Severity
    severity_score: float
    evidence: Evidence | None
    uncertain: bool = False  # the 90 % conformal set holds more than one grade
    model: str = ""  # name of the model that graded it
    conformal_set: tuple[Severity, ...] = ()  # contains the true grade in 90 % of cases; empty where no image was graded
    most_important: Evidence | None = field(default=None, metadata=IF_ANY)  # the location whose occlusion changes the score most; None without a heat map
    note: str = field(default="", metadata=IF_ANY)  # why the grade is less reliable than the results of the model suggest; else empty
    foramen_fat: ForamenFat | None = field(default=None, metadata=IF_ANY)  # of a foramen that was graded on sagittal T1
    reader: ReaderMark | None = field(default=None, metadata=IF_ANY)  # who gave `severity`; probabilities and score are those of the model


@dataclass(frozen=True)
class DiscGrades:
    """Degenerative findings of one disc."""

    level: Level
    pfirrmann_grade: int | None
    probabilities: dict[str, float]  # of the Pfirrmann grades, keys "1" … "5"
    narrowing: float | None = None
    bulging: float | None = None
    herniation: float | None = None
    spondylolisthesis: float | None = None
    modic: float | None = None
    endplate: float | None = None
    reader: ReaderMark | None = field(default=None, metadata=IF_ANY)  # who gave `pfirrmann_grade`; probabilities are those of the model


@dataclass(frozen=True)
class MuscleLevel:
    """One muscle at one disc level. muscles.csv also holds its asymmetry and the agreement of its masks."""

    level: Level
    csa_mm2: float
    fat_fraction_mean: float | None
    csa_lean_mm2: float | None = None  # area without fat: the functional cross-sectional area
    muscle_disc_ratio: float | None = field(default=None, metadata=IF_ANY)  # area / area of the disc in the same slice
    csa_asymmetry: float | None = field(default=None, metadata=UNWRITTEN)  # (own − other side) / mean of both areas
    muscle_body_ratio: float | None = None  # area / area of the vertebral body or disc, as the muscle model labels it, in the same slice
    mask_agreement: float | None = field(default=None, metadata=UNWRITTEN)  # Dice between the masks of the model's networks on this slice
    mask_expected_dice: float | None = field(default=None, metadata=UNWRITTEN)  # Dice to expect against a reader's mask on this slice


@dataclass(frozen=True)
class MuscleSlice:
    """One muscle on one axial slice. findings.json holds its place, area and fat; muscles.csv holds all of it."""

    z_mm: float
    csa_mm2: float
    fat_fraction_mean: float | None
    csa_lean_mm2: float | None = field(default=None, metadata=UNWRITTEN)
    csa_asymmetry: float | None = field(default=None, metadata=UNWRITTEN)  # (own − other side) / mean of both areas
    muscle_body_ratio: float | None = field(default=None, metadata=UNWRITTEN)  # area / area of the vertebral body or disc in the same slice
    mask_agreement: float | None = field(default=None, metadata=UNWRITTEN)  # Dice between the masks of the model's networks
    mask_expected_dice: float | None = field(default=None, metadata=UNWRITTEN)  # Dice to expect against a reader's mask on this slice


@dataclass(frozen=True)
class NormPlace:
    """Percentile of a value within a published group of people."""

    percentile: float  # 0 to 100: the share of the group with a lower value
    group: str
    source: str


@dataclass(frozen=True)
class MuscleFinding:
    """Size and fat of one muscle on one side."""

    muscle: Muscle
    side: Side
    volume_ml: float | None  # None for a single slice
    csa_max_mm2: float
    fat_fraction_mean: float | None  # mean over voxels of fat / (fat + water)
    fat_fraction_ratio: float | None  # Σ fat / Σ (fat + water)
    fat_infiltration: float | None  # share of fat estimated from grey values, without a Dixon pair
    method: str  # how fat was measured
    per_level: tuple[MuscleLevel, ...] = ()
    per_slice: tuple[MuscleSlice, ...] = ()
    lean_volume_ml: float | None = None  # volume without its fat
    csa_lean_max_mm2: float | None = None
    fat_fraction_corrected: float | None = field(default=None, metadata=IF_ANY)  # the mean after correction for partial volume along the outline
    fat_norms: tuple[NormPlace, ...] = field(default=(), metadata=IF_ANY)  # of `fat_fraction_mean`
    volume_asymmetry: float | None = None  # (own − other side) / mean of both
    mask_agreement: float | None = field(default=None, metadata=UNWRITTEN)  # Dice between the masks of the model's networks; None for a mask that was given
    mask_expected_dice: float | None = field(default=None, metadata=IF_ANY)  # Dice to expect against a reader's mask, by agreement and certainty
    mask_doubtful: bool | None = None  # the expected Dice is so low that the mask should not be used unseen


@dataclass(frozen=True)
class LevelAge:
    """Age predicted from one segment alone."""

    level: str
    predicted_age_years: float


@dataclass(frozen=True)
class Selta:
    """Excess age of a lower segment over L1–L3, in standard deviations of healthy people of that age."""

    level: str
    value: float
    flagged: bool


@dataclass(frozen=True)
class Importance:
    """Years that one level adds to the predicted age: exact contributions of its features, or the change when it is occluded."""

    level: str
    delta_years: float


@dataclass(frozen=True)
class AgeFeature:
    """One measured feature of the spine that changes with age, mean over the levels."""

    name: str  # as in `lumbar.age.features.measure`
    value: float
    typical: float | None  # median of patients in the same kind of series
    years: float | None  # that it adds to the predicted age; None where it has no part in it


@dataclass(frozen=True)
class AgeFinding:
    """The predicted age of the spine."""

    predicted_age_years: float | None  # None where ages are not supported for this kind of series
    interval_years: tuple[float, float] | None
    coverage: float
    age_delta_years: float | None
    age_delta_corrected_years: float | None
    level_ages: tuple[LevelAge, ...] = ()
    age_selta: tuple[Selta, ...] = ()
    importance: tuple[Importance, ...] = ()
    age_delta_z: float | None = None  # corrected delta in standard deviations of people of that age
    age_delta_percentile: float | None = None  # share of the reference group with a lower delta, 0 to 100
    features: tuple[AgeFeature, ...] = ()  # what was measured, where the age comes from features
    supported: bool = True  # whether the model is shown to be better than guessing, in this kind of series


@dataclass(frozen=True)
class Findings:
    """All findings of one analysis; a task that was not run, or had no usable series, is None or empty."""

    study_uid: str
    series: tuple[SeriesFacts, ...]
    models: tuple[ModelUse, ...] = ()
    spine: SpineFinding | None = None
    severity: tuple[SeverityFinding, ...] = ()
    disc_grades: tuple[DiscGrades, ...] = ()
    muscles: tuple[MuscleFinding, ...] = ()
    age: AgeFinding | None = None
    quality: Quality | None = None  # checks of the study and of these findings
    warnings: tuple[str, ...] = ()
    unmet_tasks: tuple[str, ...] = ()  # requested, but without a usable series
    extra: Mapping[str, Any] = field(default_factory=dict)  # results of additional tasks, by task name; plain values or dataclasses
