"""Multi-frame files: each frame seen as if it were a file of its own."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydicom.datadict import tag_for_keyword

from lumbar.io.header_values import Lookup, integer
from lumbar.io.scaling import SCALE_SLOPE, private_scale_slope
from lumbar.io.slices import Refused

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Enhanced objects name some things differently from single-frame ones.
_ALIASES = {"EchoTime": "EffectiveEchoTime", "InversionTime": "InversionTimes", "ImageType": "FrameType", "ScanningSequence": "EchoPulseSequence"}


def frame_count(header: "Dataset") -> int:
    """Number of frames; 1 for an ordinary file, whatever its SOP class."""
    return integer(header.get("NumberOfFrames")) or 1


def lookups(header: "Dataset") -> Iterator[tuple[int | None, Lookup]]:
    """Per slice: its frame number from 0 (None in an ordinary file) and a look-up of its tags.

    Raises:
        Refused: several frames without functional groups, so that their positions are unknown.
    """
    per_frame = header.get("PerFrameFunctionalGroupsSequence")
    count = frame_count(header)
    if not per_frame:
        if count > 1:
            raise Refused("it has several frames without functional groups (5200,9230), which give the position of each frame")
        yield None, _ordinary(header)
        return
    if len(per_frame) != count:
        raise Refused(f"it announces {count} frames but describes {len(per_frame)}")
    groups = header.get("SharedFunctionalGroupsSequence")
    shared = _flat(groups[0]) if groups else {}
    for frame in range(count):
        yield frame, _lookup({**shared, SCALE_SLOPE: private_scale_slope(per_frame[frame]), **_flat(per_frame[frame])}, header)


_SIEMENS_B_VALUE, _SIEMENS_B_VALUE_TAG = "(0019,100C)", 0x0019100C


def _ordinary(header: "Dataset") -> Lookup:
    present = header.keys()

    def find(keyword: str) -> Any:
        if keyword == SCALE_SLOPE:
            return private_scale_slope(header)
        tag = _SIEMENS_B_VALUE_TAG if keyword == _SIEMENS_B_VALUE else tag_for_keyword(keyword)
        return header[tag].value if tag is not None and tag in present else None  # `header.get` raises and catches an error for every absent element

    return find


def _flat(group: "Dataset") -> dict[str, Any]:
    """All tags of one functional group by keyword."""
    tags: dict[str, Any] = {}
    for macro in group:
        if macro.VR == "SQ" and macro.value:
            for element in macro.value[0]:
                if element.keyword and element.VR != "SQ":
                    tags[element.keyword] = element.value
    return tags


def _lookup(tags: dict[str, Any], header: "Dataset") -> Lookup:
    def find(keyword: str) -> Any:
        for name in (_ALIASES.get(keyword, keyword), keyword):
            if name in tags:
                return tags[name]
        value = header.get(keyword)
        return header.get(_ALIASES.get(keyword, keyword)) if value is None else value

    return find
