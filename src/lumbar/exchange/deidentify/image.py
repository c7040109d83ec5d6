"""One image without identity (PS3.15, basic profile with clean descriptors, modified dates, retained patient characteristics)."""

import re
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from lumbar.errors import UnreadableInput
from lumbar.exchange.deidentify.allowed import CLASS_UIDS, DATES, NUMBERS, OLDEST_YEARS, SAFE_PRIVATE, SEQUENCES, UIDS, VOCABULARY, WORDS
from lumbar.exchange.deidentify.pixels import cleaned, shows_text
from lumbar.exchange.deidentify.pseudonyms import Pseudonyms
from lumbar.io.dicom_write import IMPLEMENTATION_UID

_METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113108", "Retain Patient Characteristics Option"),
    ("113111", "Retain Safe Private Option"),
)
_NUMBER = re.compile(r"[+-]?\d{0,8}(\.\d*)?([eE][+-]?\d{1,3})?")


def deidentified(source: Dataset, pseudonyms: Pseudonyms) -> FileDataset:
    """A new image with the attributes of the allow-list.

    Raises:
        UnreadableInput: it is not an MR image, its pixels cannot be decoded, or text is burnt into them.
    """
    if str(source.get("Modality", "MR") or "MR") != "MR" or "PixelData" not in source:
        raise UnreadableInput("it is not an MR image; reports, screenshots and other objects cannot be de-identified here")
    if str(source.get("BurnedInAnnotation", "NO")).strip().upper() == "YES":
        raise UnreadableInput("according to its header, text is burnt into the image")
    person = str(source.get("PatientID") or source.get("StudyInstanceUID") or "")
    made = FileDataset("", {}, preamble=b"\0" * 128)
    made.SpecificCharacterSet = "ISO_IR 192"
    _copy(source, made, pseudonyms, person)
    _identify(source, made, pseudonyms, person)
    _pixels(source, made)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(str(made.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.4"))), UID(made.SOPInstanceUID)
    meta.TransferSyntaxUID, meta.ImplementationClassUID = ExplicitVRLittleEndian, UID(IMPLEMENTATION_UID)
    made.file_meta = meta
    return made


def _copy(source: Dataset, made: Dataset, pseudonyms: Pseudonyms, person: str) -> None:
    for name in (*NUMBERS, *WORDS, *CLASS_UIDS):
        if name in source and (value := _allowed(name, source.get(name))) not in (None, "", []):
            setattr(made, name, value)
    for name in UIDS:
        if source.get(name):
            setattr(made, name, pseudonyms.uid(str(source.get(name))))
    for name in DATES:
        if source.get(name):
            setattr(made, name, pseudonyms.date(str(source.get(name)), person))
    _copy_private(source, made)
    for name in SEQUENCES:
        if name in source:
            items = []
            for item in source.get(name):
                copy = Dataset()
                _copy(item, copy, pseudonyms, person)
                items.append(copy)
            setattr(made, name, items)


def _copy_private(source: Dataset, made: Dataset) -> None:
    """Private elements that the standard lists as safe, where they hold plain numbers; their names are those of the list, never of the source."""
    for group, creator, element in SAFE_PRIVATE:
        try:
            found = source.private_block(group, creator)[element]
            value = float(found.value)
        except (KeyError, TypeError, ValueError):
            continue
        if found.VR in ("FL", "FD") and np.isfinite(value):
            made.private_block(group, creator, create=True).add_new(element, found.VR, value)
        elif found.VR in ("IS", "DS") and _NUMBER.fullmatch(str(found.value).strip()):
            made.private_block(group, creator, create=True).add_new(element, found.VR, str(found.value).strip())


def _allowed(name: str, value: Any) -> Any:
    """The value, or the part of it, that is allowed; None where nothing is."""
    parts = list(value) if not isinstance(value, str | bytes) and hasattr(value, "__iter__") else [value]
    if name in CLASS_UIDS:
        return str(value) if UID(str(value)).name != str(value) else None  # known to the standard
    if name in NUMBERS:
        texts = [str(part).strip() for part in parts]
        return value if all(text and _NUMBER.fullmatch(text) for text in texts) else None
    kept = [" ".join(word for word in re.split(r"[\s,;:_()*]+", str(part)) if word.upper() in VOCABULARY) for part in parts]
    whole = [str(part) if str(part).upper() in VOCABULARY else text for part, text in zip(parts, kept, strict=True)]
    return whole[0] if len(whole) == 1 else [text for text in whole if text]


def _identify(source: Dataset, made: Dataset, pseudonyms: Pseudonyms, person: str) -> None:
    code = pseudonyms.patient(person)
    made.PatientName, made.PatientID, made.PatientBirthDate = code, code, ""
    for name in ("AccessionNumber", "ReferringPhysicianName", "StudyTime", "StudyID"):
        setattr(made, name, "")
    for name in ("PatientSex", "StudyDate", "PositionReferenceIndicator", "ScanOptions", "Manufacturer"):
        if name not in made:  # required, but may be empty
            setattr(made, name, "")
    if re.fullmatch(r"\d{3}Y", age := str(source.get("PatientAge", ""))):
        made.PatientAge = age if int(age[:3]) <= OLDEST_YEARS else f"{OLDEST_YEARS + 1:03d}Y"
    made.PatientIdentityRemoved, made.LongitudinalTemporalInformationModified = "YES", "MODIFIED"
    made.DeidentificationMethod = "lumbar deidentify: allow-list, PS3.15 Basic Profile"
    made.DeidentificationMethodCodeSequence = [_code(*method) for method in _METHODS]


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _pixels(source: Dataset, made: Dataset) -> None:
    """Decode and encode again, which removes content of compressed streams, unused bits and bytes behind the last pixel."""
    try:
        pixels = np.asarray(source.pixel_array)
    except Exception as error:
        raise UnreadableInput(f"its pixels cannot be decoded ({type(error).__name__})") from None
    if int(source.get("SamplesPerPixel", 1)) != 1:
        raise UnreadableInput("it is a colour image (a screenshot or a report)")
    pixels = cleaned(pixels, int(source.BitsStored))
    for image in pixels.reshape(-1, *pixels.shape[-2:]):
        if shows_text(image):
            raise UnreadableInput("text seems to be burnt into the image")
    data = np.ascontiguousarray(pixels).astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
    made.PixelData = data + b"\0" * (len(data) % 2)
    made["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
