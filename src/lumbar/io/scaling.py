"""What one stored grey value is worth: rescaling, real-world values and the private scale of Philips.

Philips stores displayed values (DV = stored · RescaleSlope + RescaleIntercept), each image stretched by a factor of its own, and the value in proportion to
the signal is DV / (RescaleSlope · ScaleSlope), where ScaleSlope is the private element (2005,xx0E) (Chenevert et al. 2014, doi 10.1593/tlo.13811).
"""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumbar.io.header_values import Lookup, number_or_none, text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SCALE_SLOPE = "MRScaleSlope"  # our keyword for the private element of Philips
_LARGEST = 1e9  # slope, and one over the smallest
_CREATOR = "Philips MR Imaging DD 001"


@dataclass(frozen=True)
class Scale:
    """From stored to real values."""

    slope: float = 1.0
    intercept: float = 0.0
    doubt: str = ""  # why values of two series may not be compared, or ""

    @property
    def possible(self) -> bool:
        """Whether an image can have this scale: factors beyond it overflow, and those below zero turn bright into dark."""
        return 1 / _LARGEST <= self.slope <= _LARGEST and abs(self.intercept) <= _LARGEST**2


def scale_of(lookup: Lookup) -> Scale:
    """The scale that the header behind `lookup` gives."""
    slope = number_or_none(lookup("RescaleSlope")) or 1.0
    intercept = number_or_none(lookup("RescaleIntercept")) or 0.0
    own = number_or_none(lookup(SCALE_SLOPE))
    if own is not None and own > 0:
        return Scale(1.0 / own, intercept / (slope * own))
    doubt = ""
    if number_or_none(lookup("RescaleSlope")) == 0:
        doubt = "its rescale slope (0028,1053) is 0, so its scale is unknown"
    if "PHILIPS" in text(lookup("Manufacturer")).upper():
        doubt = "it comes from a Philips scanner and its scale slope (2005,100E) is missing, so images of one examination may be scaled differently"
    mapping = _real_world(lookup)
    if mapping is None:
        return Scale(slope, intercept, doubt)
    if mapping.doubt:
        return Scale(slope, intercept, mapping.doubt)
    return Scale(mapping.slope, mapping.intercept, doubt)


def private_scale_slope(dataset: "Dataset") -> float | None:
    """The scale slope of Philips in an ordinary header or in the functional group of a frame, or None."""
    for holder in (dataset, *_items(dataset, 0x140F)):
        for tag in sorted(tag for tag in holder.keys() if tag >> 16 == 0x2005 and tag & 0xFF == 0x0E and tag & 0xFFFF >= 0x1000):  # noqa: SIM118  (a Dataset iterates over elements)
            creator = holder.get((0x2005, (tag & 0xFFFF) >> 8))
            if creator is not None and text(creator.value) != _CREATOR:
                continue
            return _float(holder[tag].value)
    return None


def _items(dataset: "Dataset", number: int) -> list["Dataset"]:
    element = dataset.get((0x2005, number))
    return list(element.value) if element is not None and element.VR == "SQ" and element.value else []


def _float(value: Any) -> float | None:
    if isinstance(value, bytes):
        return number_or_none(struct.unpack("<f", value[:4])[0]) if len(value) >= 4 else None
    return number_or_none(value)


def _real_world(lookup: Lookup) -> Scale | None:
    """The linear real-world mapping (0040,9096), or None; a table or a mapping of part of the values is a doubt."""
    sequence = lookup("RealWorldValueMappingSequence")
    find: Any = sequence[0].get if sequence else lookup
    slope, intercept = number_or_none(find("RealWorldValueSlope")), number_or_none(find("RealWorldValueIntercept"))
    if slope:
        return Scale(slope, intercept or 0.0)
    if find("RealWorldValueLUTData") is not None:
        return Scale(doubt="its real-world values come from a table (0040,9212), which is not read")
    return None
