"""Radiological gradings of SPIDER's discs (van der Graaf et al. 2024, CC BY 4.0): one row a disc, numbered from L5/S1 upwards."""

import csv
from dataclasses import dataclass
from pathlib import Path

from lumbar.domain.anatomy import Level
from lumbar.errors import UnreadableInput

# Yes-or-no findings by their names in `DiscGrades`, and the columns that hold them; any value above 0 in any of them is a yes.
FINDINGS: dict[str, tuple[str, ...]] = {
    "narrowing": ("Disc narrowing",),
    "bulging": ("Disc bulging",),
    "herniation": ("Disc herniation",),
    "spondylolisthesis": ("Spondylolisthesis",),
    "modic": ("Modic",),
    "endplate": ("UP endplate", "LOW endplate"),
}
_FROM_BELOW = tuple(Level)[::-1]


@dataclass(frozen=True)
class SpiderDisc:
    """The gradings of one disc."""

    patient: str
    number: int  # 1 is L5/S1, counted upwards
    pfirrmann_grade: int
    findings: dict[str, bool]

    @property
    def level(self) -> Level | None:
        """Its name; None above L1/L2."""
        return _FROM_BELOW[self.number - 1] if self.number <= len(_FROM_BELOW) else None


def read_spider_gradings(table: Path, highest: int = 5) -> list[SpiderDisc]:
    """The discs of every patient in `table` from L5/S1 up to number `highest`.

    Raises:
        UnreadableInput: the file cannot be read, or lacks a column.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            return [_disc(row) for row in csv.DictReader(file) if 1 <= int(row["IVD label"]) <= highest]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, ValueError) as error:
        raise UnreadableInput(f"{table} cannot be read as SPIDER's gradings ({type(error).__name__}: {error})") from error


def _disc(row: dict[str, str]) -> SpiderDisc:
    findings = {name: any(float(row[column]) > 0 for column in columns) for name, columns in FINDINGS.items()}
    return SpiderDisc(row["Patient"], int(row["IVD label"]), int(row["Pfirrman grade"]), findings)
