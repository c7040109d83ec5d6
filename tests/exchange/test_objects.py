"""`analyze --dicom`: which objects come out, that validators accept them, and that their numbers are those of findings.json."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import pydicom
import pytest
from cartoon import Drawing, draw
from written_objects import Written, analyzed, errors_of

from lumbar import pipeline
from lumbar.api import EarlierResult, write_with_objects
from lumbar.cli.main import main
from lumbar.io.nifti import write_nifti
from lumbar.io.read import read_study
from lumbar.population.follow_up.compare import compare
from lumbar.population.follow_up.examination import read_examination
from lumbar.population.follow_up.sentences import sentences

pytest.importorskip("highdicom", reason="lumbar[dicom] is not installed")

import highdicom
from highdicom.sr import Comprehensive3DSR
from pydicom.uid import UID


def objects(out: Path) -> list[Path]:
    return sorted((out / "dicom").rglob("*.dcm"))


def report_of(out: Path) -> Comprehensive3DSR:
    return highdicom.sr.srread(out / "dicom" / "measurements_sr.dcm")


def test_the_promised_files_are_there(written: Written) -> None:
    names = {path.relative_to(written.out / "dicom").as_posix() for path in objects(written.out)}
    assert {"spine_seg.dcm", "measurements_sr.dcm", "report.dcm", "key_images/sagittal.dcm"} <= names
    assert (written.out / "fhir.json").is_file()


def test_the_validator_finds_no_error(written: Written) -> None:
    for path in objects(written.out):
        assert errors_of(path) == [], path.name


def test_every_object_is_of_the_study_and_the_patient_and_says_research_use_only(written: Written) -> None:
    source = pydicom.dcmread(next(written.study.glob("*.dcm")))
    for path in objects(written.out):
        data = pydicom.dcmread(path)
        for name in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber"):
            assert data.get(name) == source.get(name), (path.name, name)
        assert "PatientBirthDate" not in source and data.PatientBirthDate in ("", None)
        assert "research use only" in data.SeriesDescription.lower()
        assert UID(data.SOPInstanceUID).is_valid and str(data.SOPInstanceUID).startswith("2.25.")


def test_identifiers_follow_from_study_and_content(written: Written, cartoon_study: Path, tmp_path: Path, drawn_network) -> None:
    again = analyzed(cartoon_study, tmp_path / "again", "--tasks", "spine,severity")
    assert [pydicom.dcmread(p).SOPInstanceUID for p in objects(again.out)] == [pydicom.dcmread(p).SOPInstanceUID for p in objects(written.out)]
    other = analyzed(cartoon_study, tmp_path / "other", "--tasks", "spine,severity", "--lowest-level", "L4/L5")
    changed = {p.name: pydicom.dcmread(p).SOPInstanceUID for p in objects(other.out)}
    for path in objects(written.out):
        assert changed.get(path.name) != pydicom.dcmread(path).SOPInstanceUID, path.name
    assert len({pydicom.dcmread(p).SOPInstanceUID for p in objects(written.out)}) == len(objects(written.out))


def test_numbers_of_the_report_are_those_of_the_findings(written: Written) -> None:
    read: dict[tuple[str, str], tuple[float, str]] = {}
    for group in report_of(written.out).content.get_image_measurement_groups() + report_of(written.out).content.get_volumetric_roi_measurement_groups():
        for measurement in group.get_measurements():
            read[group.tracking_identifier, measurement.name.value] = measurement.value, measurement.unit.value
    for level in written.findings["spine"]["levels"]:
        name = level["level"]
        for field, label, unit in (
            ("disc_height_mm", f"{name} disc", "mm"),
            ("disc_height_index", f"{name} disc", "1"),
            ("canal_ap_mm", f"Canal at {name}", "mm"),
            ("canal_area_mm2", f"Canal at {name}", "mm2"),
            ("slip_mm", f"Segment {name}", "mm"),
        ):
            if level[field] is None:
                assert (label, field) not in read
            else:
                assert read[label, field] == (level[field], unit)
    for row in written.findings["severity"]:
        label = f"{row['condition'].replace('_', ' ').capitalize()} {row['level']}"
        assert read[label, "probability_severe"] == (row["clinical_probabilities"]["severe"], "1")
        assert read[label, "severity_score"] == (row["severity_score"], "1")
    assert len(written.findings["severity"]) == 25


def test_grades_have_codes_and_sides(written: Written) -> None:
    codes = {"normal_mild": ("normal_mild", "99LUMBAR"), "moderate": ("6736007", "SCT"), "severe": ("24484000", "SCT")}
    groups = {group.tracking_identifier: group for group in report_of(written.out).content.get_image_measurement_groups()}
    for row in written.findings["severity"]:
        group = groups[f"{row['condition'].replace('_', ' ').capitalize()} {row['level']}"]
        grade = next(e for e in group.get_qualitative_evaluations() if e.name.value in row["condition"])
        assert (grade.value.value, grade.value.scheme_designator) == codes[row["severity"]]
        (site,) = group.finding_sites
        laterality = site.laterality.value if site.laterality is not None else None
        assert laterality == ("7771000" if row["condition"].startswith("left") else "24028007" if row["condition"].startswith("right") else None)


def test_measurements_refer_to_the_segment_that_was_measured(written: Written) -> None:
    seg = pydicom.dcmread(written.out / "dicom" / "spine_seg.dcm")
    labels = {segment.SegmentNumber: segment.SegmentLabel for segment in seg.SegmentSequence}
    groups = report_of(written.out).content.get_volumetric_roi_measurement_groups()
    assert groups
    for group in groups:
        (reference,) = [item.ReferencedSOPSequence[0] for item in group[0].ContentSequence if item.name.value == "121191"]
        assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        name, label = group.tracking_identifier, labels[reference.ReferencedSegmentNumber]
        assert label.split(",")[0] == name if name.endswith(("disc", "body")) else label == "Spinal canal" or label.split()[0] == name.split()[0]


def test_warnings_reach_the_reader_of_the_report(written: Written) -> None:
    texts = [item.TextValue for item in pydicom.dcmread(written.out / "dicom" / "measurements_sr.dcm").ContentSequence if item.ValueType == "TEXT"]
    assert any("Research use only" in text for text in texts)
    for warning in written.findings["warnings"]:
        assert warning in texts


def test_changes_since_an_earlier_examination_reach_the_structured_report(written: Written, cartoon_study: Path, tmp_path: Path, drawn_network) -> None:
    earlier = tmp_path / "earlier"
    shutil.copytree(written.out, earlier)
    document = json.loads((earlier / "findings.json").read_text())
    document["input"]["study_uid"] = "1.2.77"
    level = next(one for one in document["spine"]["levels"] if one["level"] == "L3/L4")
    before = level["disc_height_mm"]
    level["disc_height_mm"] = before + 6
    (earlier / "findings.json").write_text(json.dumps(document))
    comparison = compare(read_examination(earlier), read_examination(written.out))
    told = sentences(comparison, "2021-03-04")
    changed = {(one.level, one.finding) for one in comparison.changes if one.verdict == "changed"}
    assert ("L3/L4", "disc_height_mm") in changed
    surely = [one for one in told if "L3/L4" in one and f"{before + 6:.2f} to {before:.2f} mm" in one]
    assert surely or any("not certain" in one for one in told)
    models = pipeline.load_models(None, 1, ("spine",))
    analysis = pipeline.analyze(read_study(cartoon_study), models, pipeline.Request(tasks=("spine",)))
    (tmp_path / "out").mkdir()
    write_with_objects(analysis, cartoon_study, tmp_path / "out", earlier=EarlierResult(earlier, "2021-03-04"))
    report = pydicom.dcmread(tmp_path / "out" / "dicom" / "measurements_sr.dcm")
    texts = [item.TextValue for item in report.ContentSequence if item.ValueType == "TEXT"]
    assert set(surely) <= set(texts) and any("earlier examination of 2021-03-04" in text for text in texts)
    assert errors_of(tmp_path / "out" / "dicom" / "measurements_sr.dcm") == []
    same = replace(comparison, changes=())
    assert sentences(same, "") == ("No value changed by more than its measurement error since the earlier examination.",)


def test_the_pdf_is_the_report(written: Written) -> None:
    data = pydicom.dcmread(written.out / "dicom" / "report.dcm")
    assert data.EncapsulatedDocument.startswith(b"%PDF-") and data.MIMETypeOfEncapsulatedDocument == "application/pdf"


def test_the_bundle_fits_the_published_schema_of_r4(written: Written) -> None:
    schema = json.loads(gzip.decompress((Path(__file__).parent / "data" / "fhir_r4.schema.json.gz").read_bytes()))
    bundle = json.loads((written.out / "fhir.json").read_text())
    by_type: dict[str, list[dict]] = {}
    for entry in bundle["entry"]:
        by_type.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    for name, resources in by_type.items():
        validator = jsonschema.Draft6Validator({"$ref": f"#/definitions/{name}", "definitions": schema["definitions"]})
        for resource in resources:
            validator.validate(resource)
        broken = {**resources[0], "status": 5, "nonsense": True}
        assert not validator.is_valid(broken)  # the schema can fail
    assert set(by_type) == {"DiagnosticReport", "Patient", "ImagingStudy", "Observation"}
    ids = {entry["fullUrl"] for entry in bundle["entry"]}
    assert len(ids) == len(bundle["entry"])
    (report,) = by_type["DiagnosticReport"]
    assert {reference["reference"] for reference in report["result"]} <= ids
    heights = [o for o in by_type["Observation"] if o["code"]["coding"][0]["code"] == "disc_height_mm"]
    measured = [level["disc_height_mm"] for level in written.findings["spine"]["levels"] if level["disc_height_mm"] is not None]
    assert sorted(o["valueQuantity"]["value"] for o in heights) == sorted(measured)


def test_without_dicom_input_one_clear_error(tmp_path: Path, drawn_network, capsys) -> None:
    volume, _ = draw(Drawing())
    write_nifti(tmp_path / "sag_t2.nii.gz", volume)
    with pytest.raises(SystemExit) as left:
        main(["analyze", str(tmp_path / "sag_t2.nii.gz"), "-o", str(tmp_path / "out"), "--dicom", "--tasks", "spine", "--quiet"])
    assert left.value.code == 2
    assert "--dicom" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.real
@pytest.mark.slow
def test_the_real_study(shared_data: Path, tmp_path: Path) -> None:
    (study,) = (shared_data / "rsna2024" / "train_images").iterdir()
    made = analyzed(study, tmp_path / "out")
    for path in objects(made.out):
        assert errors_of(path) == [], path.name
    assert len(list((made.out / "dicom").glob("muscle_seg*.dcm"))) == 5  # angulations
    moderate = [row for row in made.findings["severity"] if row["severity"] != "normal_mild"]
    names = {path.stem for path in (made.out / "dicom" / "key_images").iterdir()}
    for row in moderate:
        slug = row["level"].lower().replace("/", "_")
        assert f"crop_{slug}" in names or f"evidence_{row['condition']}_{slug}" in names
