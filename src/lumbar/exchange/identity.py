"""Equipment and identifiers of an object, derived from the study and the content, so that equal results are the same object."""

import hashlib
from dataclasses import dataclass

from pydicom.sr.codedict import codes

from lumbar import __version__
from lumbar.domain.findings import ModelUse
from lumbar.exchange.source import SourceImages
from lumbar.io.dicom_write import derived_uid

MANUFACTURER, MODEL_NAME = "lumbar", "lumbar"
DEVICE_SERIAL = "0"
RESEARCH_USE = "Research use only. Not a medical device."
FIRST_SERIES_NUMBER = 9100  # of the objects; far above what scanners number
ALGORITHM_FAMILY = codes.DCM.ArtificialIntelligence


@dataclass(frozen=True)
class ObjectIdentity:
    """The identifiers of one object."""

    series_uid: str
    sop_uid: str
    series_number: int
    instance_number: int = 1


def identity(source: SourceImages, kind: str, series_number: int, content: bytes, instance_number: int = 1) -> ObjectIdentity:
    """The identifiers of an object of `kind`; equal content in the same study gives equal ones, other content a new instance in the same series.

    Args:
        source: the study.
        kind: names the series, such as "spine segmentation".
        series_number: counted from `FIRST_SERIES_NUMBER`.
        content: what makes the object differ from others.
        instance_number: number in its series.
    """
    digest = hashlib.sha256(content).hexdigest()
    series = derived_uid("series", source.study_uid, kind, __version__)
    sop = derived_uid("instance", series, instance_number, digest)
    return ObjectIdentity(series, sop, FIRST_SERIES_NUMBER + series_number, instance_number)


def algorithm_name(models: tuple[ModelUse, ...], task: str) -> str:
    """The models of a task with their versions, for algorithm identification."""
    used = [f"{model.name} {model.version}" for model in models if model.task == task]
    return ", ".join(used) or "lumbar"
