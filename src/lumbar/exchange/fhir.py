"""Findings as a FHIR R4 Bundle: DiagnosticReport, ImagingStudy and an Observation per value or grade. Patient data only as the source has them."""

import uuid
from collections import Counter
from typing import Any

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from lumbar import __version__
from lumbar.domain.findings import Findings
from lumbar.exchange.codes import FHIR_SYSTEMS, SCHEME
from lumbar.exchange.identity import RESEARCH_USE
from lumbar.exchange.measurements import Group, Value, groups
from lumbar.exchange.source import SourceImages

Resource = dict[str, Any]

_PRIVATE_SYSTEM = "urn:lumbar:codes"
_SYSTEMS = {**FHIR_SYSTEMS, SCHEME: _PRIVATE_SYSTEM, "LN": "http://loinc.org"}
_REPORT = codes.LN.MRISpineReport
_SPACE = uuid.UUID("0d5b1b52-5d5e-5a8e-9b68-9c1f0e6d4c11")
_GENDERS = {"F": "female", "M": "male", "O": "other"}


def bundle(findings: Findings, source: SourceImages) -> Resource:
    """The bundle (type collection) of an analysis.

    Args:
        findings: findings of the analysis.
        source: headers of the study's images; patient, accession number and date are taken from them.
    """
    patient, study = _patient(source), _imaging_study(findings, source)
    observations = [one for group in groups(findings) for one in _observations(group, source, study["id"], patient["id"])]
    report: Resource = {
        "resourceType": "DiagnosticReport",
        "id": _id(source, "report"),
        "status": "preliminary",  # not verified
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD", "display": "Radiology"}]}],
        "code": _concept(_REPORT),
        "subject": _reference(patient["id"]),
        "imagingStudy": [_reference(study["id"])],
        "result": [_reference(one["id"]) for one in observations],
        "conclusion": f"{RESEARCH_USE} Automatic analysis by lumbar {__version__}.",
    }
    if (started := study.get("started")) is not None:
        report["effectiveDateTime"] = started
    resources = [report, patient, study, *observations]
    return {
        "resourceType": "Bundle",
        "id": _id(source, "bundle"),
        "type": "collection",
        "entry": [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources],
    }


def _id(source: SourceImages, *parts: str) -> str:
    return str(uuid.uuid5(_SPACE, "/".join((source.study_uid, *parts))))


def _reference(name: str) -> Resource:
    return {"reference": f"urn:uuid:{name}"}


def _coding(code: Code) -> Resource:
    return {"system": _SYSTEMS[code.scheme_designator], "code": code.value, "display": code.meaning}


def _concept(code: Code) -> Resource:
    return {"coding": [_coding(code)], "text": code.meaning}


def _patient(source: SourceImages) -> Resource:
    image = source.any_image
    made: Resource = {"resourceType": "Patient", "id": _id(source, "patient")}
    if number := str(image.get("PatientID") or "").strip():
        made["identifier"] = [{"value": number}]
    if name := str(image.get("PatientName") or "").replace("^", " ").strip():
        made["name"] = [{"text": name}]
    if gender := _GENDERS.get(str(image.get("PatientSex") or "").upper()):
        made["gender"] = gender
    if born := _date(str(image.get("PatientBirthDate") or "")):
        made["birthDate"] = born
    return made


def _imaging_study(findings: Findings, source: SourceImages) -> Resource:
    image = source.any_image
    counts = Counter(series for series, _ in source.images)
    made: Resource = {
        "resourceType": "ImagingStudy",
        "id": _id(source, "study"),
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{image.StudyInstanceUID}"}],
        "status": "available",
        "subject": _reference(_id(source, "patient")),
        "modality": [{"system": _SYSTEMS["DCM"], "code": "MR", "display": "Magnetic Resonance"}],
        "numberOfSeries": len(counts),
        "numberOfInstances": len(source.images),
        "series": [
            {
                "uid": series,
                "modality": {"system": _SYSTEMS["DCM"], "code": "MR", "display": "Magnetic Resonance"},
                "numberOfInstances": count,
                "bodySite": _coding(codes.SCT.LumbarSpine),
            }
            for series, count in sorted(counts.items())
        ],
    }
    if started := _date(str(image.get("StudyDate") or "")):
        made["started"] = started
    return made


def _date(value: str) -> str | None:
    return f"{value[:4]}-{value[4:6]}-{value[6:8]}" if len(value) == 8 and value.isdigit() else None


def _observations(group: Group, source: SourceImages, study: str, patient: str) -> list[Resource]:
    made = []
    for value in group.values:
        quantity = {"value": value.value, "unit": value.unit.meaning, "system": _SYSTEMS["UCUM"], "code": value.unit.value}
        made.append(_observation(group, value.name, source, (study, patient)) | {"valueQuantity": quantity} | _interval(value))
    for grade in group.grades:
        made.append(_observation(group, grade.name, source, (study, patient)) | {"valueCodeableConcept": _concept(grade.value)})
    return made


def _interval(value: Value) -> Resource:
    return {} if value.error is None else {"note": [{"text": f"± {value.error:g} (one standard deviation or half an interval)"}]}


def _observation(group: Group, name: Code, source: SourceImages, about: tuple[str, str]) -> Resource:
    study, patient = about
    site = _concept(group.site)
    site["coding"] += [_coding(code) for code in (group.level, group.side) if code is not None]
    site["text"] = group.label
    return {
        "resourceType": "Observation",
        "id": _id(source, group.key, name.value),
        "status": "preliminary",
        "code": _concept(name),
        "subject": _reference(patient),
        "bodySite": site,
        "method": {"text": f"lumbar {__version__}; {RESEARCH_USE}"},
        "derivedFrom": [_reference(study)],
    }
