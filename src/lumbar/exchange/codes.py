"""Coded concepts. Codes of SNOMED CT, DICOM and UCUM are those of pydicom's dictionary and of PS3.16; what has no verified code there is `99LUMBAR`."""

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lumbar.domain.anatomy import Condition, Level, Muscle, Severity, Side, Vertebra

SCHEME = "99LUMBAR"
FHIR_SYSTEMS = {"SCT": "http://snomed.info/sct", "DCM": "http://dicom.nema.org/resources/ontology/DCM", "UCUM": "http://unitsofmeasure.org"}

ANATOMICAL_STRUCTURE = codes.SCT.AnatomicalStructure
LUMBAR_SPINE = codes.SCT.LumbarSpine
VERTEBRAL_CANAL = codes.SCT.VertebralCanal
VERTEBRAE = {
    Vertebra.T8: codes.SCT.T8Vertebra,
    Vertebra.T9: codes.SCT.T9Vertebra,
    Vertebra.T10: codes.SCT.T10Vertebra,
    Vertebra.T11: codes.SCT.T11Vertebra,
    Vertebra.T12: codes.SCT.T12Vertebra,
    Vertebra.L1: codes.SCT.L1Vertebra,
    Vertebra.L2: codes.SCT.L2Vertebra,
    Vertebra.L3: codes.SCT.L3Vertebra,
    Vertebra.L4: codes.SCT.L4Vertebra,
    Vertebra.L5: codes.SCT.L5Vertebra,
    Vertebra.S1: codes.SCT.Sacrum,  # its upper strip; `S1` if all of it is segmented
}
S1 = Code("65985001", "SCT", "S1 vertebra")
S2 = Code("11808007", "SCT", "S2 vertebra")
DISCS = {
    Level.L1_L2: Code("80064006", "SCT", "L1/L2 intervertebral disc"),
    Level.L2_L3: Code("67459009", "SCT", "L2/L3 intervertebral disc"),
    Level.L3_L4: Code("62551000", "SCT", "L3/L4 intervertebral disc"),
    Level.L4_L5: Code("84020006", "SCT", "L4/L5 intervertebral disc"),
    Level.L5_S1: Code("715056000", "SCT", "L5/S1 intervertebral disc"),
}
LEVELS = {
    Level.L1_L2: codes.SCT.LevelOfL1L2IntervertebralDisc,
    Level.L2_L3: codes.SCT.LevelOfL2L3IntervertebralDisc,
    Level.L3_L4: codes.SCT.LevelOfL3L4IntervertebralDisc,
    Level.L4_L5: codes.SCT.LevelOfL4L5IntervertebralDisc,
    Level.L5_S1: codes.SCT.LevelOfL5S1IntervertebralDisc,
}
SIDES = {Side.LEFT: codes.SCT.Left, Side.RIGHT: codes.SCT.Right}
MUSCLES = {
    Muscle.ERECTOR_SPINAE: codes.SCT.ErectorSpinaeMuscle,
    Muscle.MULTIFIDUS: Code("multifidus", SCHEME, "Multifidus muscle"),
    Muscle.PSOAS: Code("psoas", SCHEME, "Psoas muscle"),
    Muscle.QUADRATUS_LUMBORUM: Code("quadratus_lumborum", SCHEME, "Quadratus lumborum muscle"),
}
BODY_OR_DISC = Code("vertebral_body_or_disc", SCHEME, "Vertebral body or disc")
GRADES = {
    Severity.NORMAL_MILD: Code("normal_mild", SCHEME, "Normal or mild"),
    Severity.MODERATE: codes.SCT.Moderate,
    Severity.SEVERE: codes.SCT.Severe,
}
FORAMEN = Code("foramen", SCHEME, "Intervertebral foramen")
FINDING_SITES = {  # of conditions; the side is a modifier
    "canal": VERTEBRAL_CANAL,
    "foramen": FORAMEN,
    "recess": Code("recess", SCHEME, "Subarticular recess"),
}
_UNITS = {
    "mm2": codes.UCUM.SquareMillimeter,
    "mm": codes.UCUM.Millimeter,
    "ml": Code("ml", "UCUM", "milliliter"),
    "degrees": codes.UCUM.Degree,
    "years": codes.UCUM.Year,
    "percent": codes.UCUM.Percent,
}
NO_UNITS = codes.UCUM.NoUnits
_NAMES = {  # measurements whose concept has a code; all others are private
    "volume_ml": codes.SCT.Volume,
    "fat_fraction_mean": codes.DCM.FatFraction,
}


def side_of(condition: Condition) -> Side | None:
    """The patient's side of a condition; None for the canal."""
    return next((side for side in Side if condition.value.startswith(side.value)), None)


def site_of(condition: Condition) -> Code:
    """Where a condition lies."""
    if condition is Condition.SPINAL_CANAL_STENOSIS:
        return FINDING_SITES["canal"]
    return FINDING_SITES["foramen" if "foraminal" in condition.value else "recess"]


def condition_code(condition: Condition) -> Code:
    """The condition without its side."""
    side = side_of(condition)
    slug = condition.value.removeprefix(f"{side.value}_" if side else "")
    return private(slug)


def private(slug: str) -> Code:
    """A concept of the private scheme, named as in findings.json."""
    return Code(slug, SCHEME, slug.replace("_", " ").capitalize()[:64])


def measurement_code(field: str) -> Code:
    """The concept that a numeric field of the findings measures; its meaning leaves the unit out, its code is the field's name."""
    name = field.rsplit("_", 1)[0] if unit_code(field) is not NO_UNITS else field
    return _NAMES.get(field) or Code(field, SCHEME, private(name).meaning)


def unit_code(field: str) -> Code:
    """The UCUM unit that the name of a field ends with; no unit where it ends with none."""
    return _UNITS.get(field.rsplit("_", 1)[-1], NO_UNITS)
