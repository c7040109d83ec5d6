"""Random damage to the DICOM files of a folder: the changes that `fuzz.py` makes beside the mutilations of `mutilate.py`."""

import random
from pathlib import Path

import mutilate
import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import Tag

# What a header can hold in place of a value, whatever its representation allows.
_VALUES: list[object] = [
    "", "0", "-1", "1e308", "nan", "inf", "1\\2", "1\\2\\3\\4\\5\\6\\7", "x" * 3000, "\x00\x01\x02", "Ä ö ß", "表示ソ", "\x1b[31m", "../../etc/passwd", "%s%n",
    "{0}",     "99999999999999999999", "1,5", "0x10", "None", " ", "\\", "\\\\\\", "2.25.0", "1.2.840." + "9" * 60, "True", "-0", "1e-308", "١٢٣",
]  # fmt: skip
_NUMBERS = [0, 1, -1, 2, 7, 255, 32767, 65535, 2**31 - 1]
_IMPORTANT = [
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "InstanceNumber",
    "SeriesNumber", "SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "SeriesDescription", "ImageType",
    "EchoTime", "RepetitionTime", "InversionTime", "FlipAngle", "ScanningSequence", "SequenceVariant", "ScanOptions", "PatientAge", "PatientSex",
    "SpecificCharacterSet", "SliceThickness", "SpacingBetweenSlices", "FrameOfReferenceUID", "Manufacturer", "PatientPosition", "DiffusionBValue",
    "PlanarConfiguration", "PixelPaddingValue", "WindowCenter", "ProtocolName", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "PixelData", "FloatPixelData", "TransferSyntaxUID", "LossyImageCompression",
]  # fmt: skip


def any_tag(dataset: Dataset, rng: random.Random) -> Tag:
    """A tag that matters, one that is there, or one made up."""
    kind = rng.random()
    if kind < 0.6:
        return Tag(tag_for_keyword(rng.choice(_IMPORTANT)))
    if kind < 0.9:
        return rng.choice(list(dataset.keys()) or [Tag(0x00080005)])
    return Tag(rng.randrange(0x0008, 0x7FFF), rng.randrange(0x10000))


def set_value(folder: Path, rng: random.Random) -> None:
    """Write a value of a wrong kind, size or sense."""
    value = rng.choice(_VALUES)
    seed = rng.random()
    for path in mutilate.some(folder, rng):
        mutilate.edit(path, lambda dataset: _set(dataset, any_tag(dataset, random.Random(seed)), value, random.Random(seed)))  # noqa: S311


def _set(dataset: Dataset, tag: Tag, value: object, rng: random.Random) -> None:
    present = dataset[tag].VR if tag in dataset else rng.choice(["LO", "DS", "IS", "US", "SQ", "UI", "OB", "UN", "FD", "AS", "CS"])
    if present in ("US", "SS", "UL", "SL", "FD", "FL"):
        value = rng.choice(_NUMBERS[:8] if present in ("US", "SS") else _NUMBERS) if rng.random() < 0.8 else [1, 2, 3]
        value = abs(value) % 32768 if isinstance(value, int) else value
    elif present in ("OB", "OW", "UN"):
        value = rng.randbytes(rng.choice([0, 2, 64, 4096]))
    elif present == "SQ":
        value = [Dataset() for _ in range(rng.choice([0, 1, 3]))]
    try:
        dataset.add_new(tag, present, value)
    except Exception:
        dataset.add_new(tag, "UN", str(value).encode("utf-8", "replace"))


def wrong_representation(folder: Path, rng: random.Random) -> None:
    """Swap the two letters of the value representation of an element in the bytes."""
    kinds = [b"DS", b"IS", b"LO", b"UI", b"CS", b"US", b"OW", b"SQ", b"UN", b"ZZ", b"AT"]
    for path in mutilate.some(folder, rng):
        content = bytearray(path.read_bytes())
        places = [at for at in range(132, min(3000, len(content) - 2)) if bytes(content[at : at + 2]) in kinds]
        if places:
            at = rng.choice(places)
            content[at : at + 2] = rng.choice(kinds)
        mutilate.rewrite(path, bytes(content))


def lying_length(folder: Path, rng: random.Random) -> None:
    """Replace the length of an element."""
    lengths = [0, 1, 3, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, 2**20]
    for path in mutilate.some(folder, rng):
        content = bytearray(path.read_bytes())
        at = rng.randrange(136, min(2500, len(content) - 8)) & ~1
        content[at : at + 4] = rng.choice(lengths).to_bytes(4, "little")
        mutilate.rewrite(path, bytes(content))


def insert_bytes(folder: Path, rng: random.Random) -> None:
    """Put bytes in, or take some out."""
    for path in mutilate.some(folder, rng):
        content = path.read_bytes()
        at = rng.randrange(min(2500, len(content)))
        gone = rng.choice([0, 1, 2, 8, 100])
        mutilate.rewrite(path, content[:at] + rng.randbytes(rng.choice([0, 1, 2, 8, 300])) + content[at + gone :])


def splice(folder: Path, rng: random.Random) -> None:
    """The head of one file with the tail of another."""
    paths = mutilate.files(folder)
    for path in mutilate.some(folder, rng, 0.3):
        other = rng.choice(paths).read_bytes()
        own = path.read_bytes()
        at = rng.randrange(len(own))
        mutilate.rewrite(path, own[:at] + other[at:])


def huge_claims(folder: Path, rng: random.Random) -> None:
    """Rows, columns and frames that announce more than there is."""
    for path in mutilate.some(folder, rng):
        claims = {
            "Rows": rng.choice([2, 4096, 65535]),
            "Columns": rng.choice([2, 4096, 65535]),
            "NumberOfFrames": rng.choice(["1", "1000", "2147483647", "-1"]),
        }
        chosen = rng.sample(sorted(claims), rng.choice([1, 2, 3]))
        mutilate.edit(path, lambda dataset, chosen=chosen, claims=claims: [setattr(dataset, name, claims[name]) for name in chosen])


def nest(folder: Path, rng: random.Random) -> None:
    """Sequences in sequences, deep enough to exhaust a recursion; as bytes, since pydicom takes for ever to write them."""
    depth = rng.choice([3, 100, 3000])
    opened = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    for path in mutilate.some(folder, rng, 0.0):
        content = path.read_bytes()
        at = max(content.find(b"\xe0\x7f\x10\x00"), 132)
        mutilate.rewrite(path, content[:at] + depth * opened + (depth - rng.choice([0, 1])) * closed + content[at:])


def move_positions(folder: Path, rng: random.Random) -> None:
    """Scale, shift, reverse or round all positions, as anonymisers and converters do."""
    kind, factor = rng.choice(["scale", "shift", "round", "swap"]), rng.choice([0.001, 0.1, 10.0, 1000.0])
    for path in mutilate.files(folder):
        position = [float(value) for value in pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient]
        changed = {
            "scale": [value * factor for value in position], "shift": [value + 1e4 * factor for value in position],
            "round": [round(value / 10) * 10.0 for value in position], "swap": position[::-1],
        }[kind]  # fmt: skip
        mutilate.edit(path, lambda dataset, changed=changed: setattr(dataset, "ImagePositionPatient", [f"{value:.6g}" for value in changed]))


def noise_headers(folder: Path, rng: random.Random) -> None:
    """Many random changes of the headers at once."""
    for _ in range(rng.choice([2, 5])):
        rng.choice([set_value, mutilate.remove_tag, mutilate.contradict, wrong_representation])(folder, rng)


FUZZ = {
    **mutilate.MUTILATIONS,
    **{f.__name__: f for f in (set_value, wrong_representation, lying_length, insert_bytes, splice, huge_claims, nest, move_positions, noise_headers)},
}
OFTEN = ["set_value"] * 8 + ["lying_length", "wrong_representation", "insert_bytes", "huge_claims", "noise_headers", "move_positions"] * 3
