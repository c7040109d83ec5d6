"""MR properties of tissues: proton density, T1 and T2 of their water, and fat fraction.

Relaxation times are means of published values, T1 at 1.5 and 3 T:
* muscle, liver, kidney, spinal cord, blood: Stanisz et al., Magn Reson Med 2005;54:507; de Bazelaire et al., Radiology 2004;230:652. The T2 of muscle is
  the middle of the range in these and Gold 2004 (27 to 29 ms beside the spine, 32 to 35, 44 to 50)
* subcutaneous fat and marrow: Gold et al., AJR 2004;183:343; de Bazelaire 2004. The T2 of fat is the apparent one of a turbo spin echo with its
  J-coupling suppressed (Henkelman et al., JMRI 1994;4:533), which is longer than the spin-echo value
* disc: Marinelli et al., Eur Spine J 2009 (T2 of nucleus 80–150 ms falling with Pfirrmann grade; annulus 40–60 ms); Stelzeneder et al. 2011
* CSF: Condon et al., J Comput Assist Tomogr 1987 (T1 about 4.3 s), T2 shortened by flow.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tissue:
    """One tissue; times in milliseconds."""

    density: float  # protons in relation to CSF
    t1_15_ms: float  # of its water at 1.5 T
    t1_30_ms: float  # of its water at 3 T
    t2_ms: float  # of its water
    fat_share: float = 0.0  # of its protons

    def with_fat(self, share: float) -> "Tissue":
        """The same tissue with another share of fat."""
        return Tissue(self.density, self.t1_15_ms, self.t1_30_ms, self.t2_ms, share)


FAT_DENSITY = 0.92
FAT_T1_MS = (288.0, 371.0)  # 1.5 T, 3 T
FAT_T2_MS = 105.0

TISSUES: dict[str, Tissue] = {
    "air": Tissue(0.0, 1.0, 1.0, 1.0),
    "cortex": Tissue(0.06, 800, 900, 12.0, 0.1),
    "ligament": Tissue(0.45, 850, 950, 17.0, 0.06),
    "flavum": Tissue(0.55, 850, 950, 22.0, 0.1),
    "marrow": Tissue(0.70, 780, 900, 58.0, 0.42),
    "cartilage": Tissue(0.6, 900, 1000, 35.0),
    "csf": Tissue(0.95, 3900, 4100, 800.0),
    "cord": Tissue(0.78, 745, 990, 80.0),
    "nerve": Tissue(0.75, 800, 1080, 74.0, 0.03),
    "ganglion": Tissue(0.75, 950, 1150, 78.0, 0.06),
    "muscle": Tissue(0.76, 1010, 1410, 36.0),
    "fat": Tissue(FAT_DENSITY, 500, 600, 60.0, 0.94),
    "epidural_fat": Tissue(0.85, 500, 600, 60.0, 0.88),
    "skin": Tissue(0.5, 900, 1000, 28.0, 0.25),
    "fascia": Tissue(0.3, 850, 950, 16.0, 0.12),
    "blood": Tissue(0.06, 1440, 1930, 200.0),  # a flow void: spins leave the slice between excitation and echo
    "vein": Tissue(0.12, 1440, 1930, 160.0),
    "slow_blood": Tissue(0.5, 1440, 1930, 160.0),
    "kidney": Tissue(0.82, 960, 1190, 78.0),
    "liver": Tissue(0.7, 586, 809, 44.0),
    "bowel": Tissue(0.75, 1000, 1250, 62.0),
    "fluid": Tissue(0.95, 2500, 2700, 400.0),
    "nucleus": Tissue(0.88, 1250, 1400, 110.0),
    "annulus": Tissue(0.56, 950, 1050, 36.0),
}
