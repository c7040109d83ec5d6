"""Reference ranges from the literature, for the table of measurements. Ranges describe groups and do not diagnose a person."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from lumbar.domain.anatomy import Level
from lumbar.domain.findings import LevelFinding

_LIMITS_SD = 1.96  # standard deviations from the mean to a limit of 95 %


@dataclass(frozen=True)
class ReferenceRange:
    """One row of the table of measurements."""

    field: str  # of LevelFinding
    title: str
    unit: str
    digits: int
    low: float | None  # below is marked; None: no lower bound
    high: float | None  # above is marked
    usual: str  # as shown
    source: str
    norms: Mapping[Level, tuple[float, float]] = dataclasses.field(default_factory=dict)  # limits of 95 % of healthy people

    def z(self, finding: LevelFinding) -> float | None:
        """z-score of the value, for a normal distribution with these limits; None without norms or value."""
        value = getattr(finding, self.field)
        if value is None or finding.level not in self.norms:
            return None
        low, high = self.norms[finding.level]
        return (float(value) - (low + high) / 2) / ((high - low) / (2 * _LIMITS_SD))

    def marked(self, finding: LevelFinding) -> bool:
        """Whether the value lies outside the reference range."""
        value = getattr(finding, self.field)
        return value is not None and ((self.low is not None and value < self.low) or (self.high is not None and value > self.high))


# 169 asymptomatic young adults, mid-sagittal MRI: Zhang et al., J Orthop Surg Res 2018;13:34 (CC BY 4.0).
_DISC_HEIGHTS_MM = dict(zip(Level, ((6.25, 10.99), (6.97, 12.08), (7.42, 13.3), (7.76, 14.57), (7.11, 13.12)), strict=True))

RANGES = (
    ReferenceRange("canal_ap_mm", "Canal, AP diameter (soft tissue)", "mm", 1, 10.0, None, "≥ 12; 10–12 relative, < 10 absolute stenosis",
                   "Verbiest, J Bone Joint Surg Br 1954;36:230 (bony canal; the masks here follow the dural sac, which is 1–3 mm narrower)"),
    ReferenceRange("canal_area_mm2", "Canal, mid-sagittal area at the disc", "mm²", 0, None, None, "no accepted range", ""),
    ReferenceRange("dural_sac_mm2", "Dural sac, cross-section (axial T2)", "mm²", 0, 75.0, None, "≥ 100; 75–100 narrow, < 75 stenosis",
                   "Schönström et al., Spine 1985;10:806 (CT)"),
    ReferenceRange("disc_height_mm", "Disc height, mean", "mm", 1, 5.0, None, "6–13, increasing down to L4/L5; z: young healthy adults",
                   "Frobin et al., Clin Biomech 1997;12 Suppl 1:S1; Tunset et al., BMC Med Imaging 2013;13:10; z-scores after the 95 % ranges of 169 "
                   "asymptomatic young adults, Zhang et al., J Orthop Surg Res 2018;13:34 (not matched for age: discs lose height with age)", _DISC_HEIGHTS_MM),
    ReferenceRange("disc_height_anterior_mm", "Disc height, anterior", "mm", 1, None, None, "", ""),
    ReferenceRange("disc_height_middle_mm", "Disc height, middle", "mm", 1, None, None, "", ""),
    ReferenceRange("disc_height_posterior_mm", "Disc height, posterior", "mm", 1, None, None, "", ""),
    ReferenceRange("disc_height_index", "Disc height index", "", 2, None, None, "disc / adjacent bodies; decreases with degeneration",
                   "Masuda et al., Spine 2005;30:5"),
    ReferenceRange("disc_signal_ratio", "Disc signal / CSF", "", 2, None, None, "decreases with age and degeneration; depends on the sequence",
                   "Luoma et al., Spine 2001;26:1873"),
    ReferenceRange("slip_mm", "Slip (+ anterior)", "mm", 1, -3.0, 3.0, "−3 to 3", "White and Panjabi 1990 (more than 3 mm counts as displacement)"),
    ReferenceRange("meyerding_grade", "Meyerding grade", "", 0, None, 0, "0", "Meyerding, Surg Gynecol Obstet 1932;54:371"),
    ReferenceRange("segmental_lordosis_degrees", "Segmental lordosis (Cobb)", "°", 0, None, None, "grows downwards",
                   "Vialle et al., J Bone Joint Surg Am 2005;87:260 (standing; total 43 ± 11°)"),
    *(ReferenceRange(f"foramen_height_{side}_mm", f"Foramen, height, {side}", "mm", 1, None, None,
                     "between bone; says little about a root" if side == "left" else "", "")
      for side in ("left", "right")),
    *(ReferenceRange(f"foramen_width_{side}_mm", f"Foramen, narrowest width, {side}", "mm", 1, None, None, "", "") for side in ("left", "right")),
    *(ReferenceRange(f"foramen_area_{side}_mm2", f"Foramen, area, {side}", "mm²", 0, None, None, "", "") for side in ("left", "right")),
)  # fmt: skip
