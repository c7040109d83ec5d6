"""What a cohort is asked to be."""

from dataclasses import dataclass

LAYOUTS = ("rsna2024", "dixon", "age")
MOST_BLANK = 0.12  # share of blank grades that the data set's pattern reaches when no study is complete


@dataclass(frozen=True)
class CohortOptions:
    """What to make."""

    layout: str  # one of LAYOUTS
    studies: int  # people
    seed: int = 1
    sites: str = "ABCDEFGHI"  # letters of the sites to draw from
    ages_years: tuple[float, float] | None = None  # drawn evenly between them; as in a hospital if None
    stages_years: tuple[float, ...] = ()  # planted ages of accelerated degeneration
    repeats: int = 1  # scans a visit (age)
    follow_up_years: float = 0.0  # a second visit so much later (age); 0 for none
    matrix_scale: float = 1.0  # matrix of every series in relation to the site's; 0.5 takes about half the time
    blank_share: float = 0.0  # share of the grades that are left blank (rsna2024); the data set has 0.012
    metal_share: float = 0.0  # share of people with screws, rods and a cage at L4 and L5
