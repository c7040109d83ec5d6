"""Options of a cohort."""

from dataclasses import dataclass

LAYOUTS = ("rsna2024", "dixon", "age")
MOST_BLANK = 0.12  # share of blank grades in the data set's pattern if no study is complete


@dataclass(frozen=True)
class CohortOptions:
    """Options of a synthetic cohort."""

    layout: str  # one of LAYOUTS
    studies: int  # people
    seed: int = 1
    sites: str = "ABCDEFGHI"  # letters of the sites to draw from
    ages_years: tuple[float, float] | None = None  # uniform between them; as in clinical practice if None
    stages_years: tuple[float, ...] = ()  # simulated ages of accelerated degeneration
    repeats: int = 1  # scans per visit (age)
    follow_up_years: float = 0.0  # time to a second visit (age); 0 for none
    matrix_scale: float = 1.0  # matrix of every series in relation to the site's; 0.5 takes about half the time
    blank_share: float = 0.0  # share of the grades that are left blank (rsna2024); the data set has 0.012
    metal_share: float = 0.0  # share of people with screws, rods and a cage at L4 and L5
