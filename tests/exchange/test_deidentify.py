"""Places where an identity hides in an image, and what must survive."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_factory import sagittal_matrix, save, slice_dataset, stack_datasets, write_stack
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.tag import Tag
from pydicom.uid import RLELossless

from lumbar.cli.main import main
from lumbar.errors import UnreadableInput
from lumbar.exchange.deidentify.image import deidentified
from lumbar.exchange.deidentify.pixels import shows_text
from lumbar.exchange.deidentify.pseudonyms import Pseudonyms
from lumbar.exchange.deidentify.study import read_secret
from lumbar.io.read import read_study

NAME = "ZQXJONES"  # in every hiding place; upper case, even length
KEY = Pseudonyms(b"0123456789abcdef")


def image() -> Dataset:
    pixels = np.random.default_rng(0).integers(50, 900, (64, 80)).astype(np.uint16)
    one = slice_dataset(pixels, (0, 0, 0), (0, 1, 0), (0, 0, -1))
    one.BitsStored, one.HighBit = 12, 11
    one.PatientName, one.PatientID, one.AccessionNumber = "Doe^J", "4711", "A1"
    one.StudyDate = "20200229"
    return one


def put(name: str, value: object):
    return lambda one: setattr(one, name, value)


def private(one: Dataset) -> None:
    one.private_block(0x0029, f"MAKER {NAME}", create=True).add_new(1, "LO", NAME)


def private_binary(one: Dataset) -> None:
    one.private_block(0x0019, "MAKER", create=True).add_new(2, "OB", NAME.encode())


def overlay(one: Dataset) -> None:
    one.add_new((0x6000, 0x3000), "OW", NAME.encode())
    one.add_new((0x6000, 0x0022), "LO", NAME)


def nested(one: Dataset) -> None:
    inner = Dataset()
    inner.PatientName = NAME
    outer = Dataset()
    outer.ReferencedPatientSequence = [inner]
    one.RequestAttributesSequence = [outer]


def in_shared_groups(one: Dataset) -> None:
    inner = Dataset()
    inner.PixelSpacing, inner.ImageComments = [0.7, 0.7], NAME
    outer = Dataset()
    outer.PixelMeasuresSequence = [inner]
    one.SharedFunctionalGroupsSequence = [outer]


def behind_the_pixels(one: Dataset) -> None:
    one.PixelData = one.PixelData + NAME.encode()


def in_unused_bits(one: Dataset) -> None:
    bits = np.unpackbits(np.frombuffer(NAME.encode(), np.uint8)).astype(np.uint16) << 12
    pixels = np.frombuffer(one.PixelData, np.uint16).copy()
    pixels[: bits.size] |= bits
    one.PixelData = pixels.tobytes()


def preamble(one: Dataset) -> None:
    one.preamble = NAME.encode().ljust(128, b"\0")


def file_meta(one: Dataset) -> None:
    one.file_meta.SourceApplicationEntityTitle = NAME
    one.file_meta.ImplementationVersionName = NAME


def named() -> Dataset:
    inner = Dataset()
    inner.InstitutionName = NAME
    return inner


def curve(one: Dataset) -> None:
    one.add_new((0x5000, 0x2500), "LO", NAME)
    one.add_new((0x5000, 0x3000), "OW", NAME.encode())


def private_in_a_sequence(one: Dataset) -> None:
    inner = Dataset()
    inner.private_block(0x0029, "MAKER", create=True).add_new(1, "LO", NAME)
    one.MRDiffusionSequence = [inner]


def small_copy_of_the_image(one: Dataset) -> None:
    icon = Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated = 1, len(NAME), 8
    icon.add_new("PixelData", "OB", NAME.encode())
    one.IconImageSequence = [icon]


def attributes_before_a_change(one: Dataset) -> None:
    before, changed = Dataset(), Dataset()
    before.PatientName = NAME
    changed.ModifiedAttributesSequence = [before]
    one.OriginalAttributesSequence = [changed]


def report_text(one: Dataset) -> None:
    text = Dataset()
    text.ValueType, text.TextValue = "TEXT", f"Findings of {NAME}"
    one.ContentSequence = [text]


def a_document(one: Dataset) -> None:
    one.EncapsulatedDocument = f"%PDF-1.4 {NAME}".encode() + b"0"


def instead_of_a_number(one: Dataset) -> None:
    for tag in (0x00180050, 0x00200011, 0x00280030):  # SliceThickness, SeriesNumber, PixelSpacing
        one[tag] = RawDataElement(Tag(tag), "DS", len(NAME), NAME.encode(), 0, False, True)


HIDING = {
    **{
        name: put(name, NAME)
        for name in (
            "PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientMotherBirthName", "PatientComments", "AccessionNumber", "StudyID",
            "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "NameOfPhysiciansReadingStudy", "RequestingPhysician", "InstitutionName",
            "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "DeviceSerialNumber", "StudyDescription", "SeriesDescription", "ProtocolName",
            "ImageComments", "AdditionalPatientHistory", "RequestedProcedureDescription", "PerformedProcedureStepDescription", "DerivationDescription",
            "Manufacturer", "ManufacturerModelName", "SequenceName", "BodyPartExamined", "AdmittingDiagnosesDescription", "EthnicGroup", "Occupation",
            "SoftwareVersions", "PatientState",
        )
    },
    "OtherPatientIDs": put("OtherPatientIDs", [NAME, NAME]),
    "ImageType": put("ImageType", ["ORIGINAL", NAME]),
    "SeriesDescription among words": put("SeriesDescription", f"T2 TSE sag {NAME}"),
    "private": private, "private binary": private_binary, "overlay": overlay, "nested": nested, "shared groups": in_shared_groups,
    "behind the pixels": behind_the_pixels, "unused bits": in_unused_bits, "preamble": preamble, "file meta": file_meta,
    "curve": curve, "private in a sequence": private_in_a_sequence, "icon": small_copy_of_the_image, "original attributes": attributes_before_a_change,
    "text of a report": report_text, "document": a_document, "instead of a number": instead_of_a_number,
    "name of a physician in a sequence": lambda one: setattr(one, "ReferringPhysicianIdentificationSequence", [named()]),
    "class UID": put("SOPClassUID", "1.2.840.90881.7"),
    "description in small letters": put("SeriesDescription", f"t2_tse_sag_{NAME.lower()}"),
    "description joined to a word": put("SeriesDescription", f"T2{NAME}"),
    "padding": lambda one: one.add_new((0xFFFC, 0xFFFC), "OB", NAME.encode()),
}  # fmt: skip


def test_there_are_forty() -> None:
    assert len(HIDING) >= 40


@pytest.mark.parametrize("place", HIDING)
def test_a_hidden_identity_is_gone(tmp_path: Path, place: str) -> None:
    one = image()
    HIDING[place](one)
    hidden = pydicom.dcmread(save(one, tmp_path / "in.dcm"))
    made = save(deidentified(hidden, KEY), tmp_path / "out.dcm")
    written = made.read_bytes().upper()
    assert NAME.encode() not in written
    read = pydicom.dcmread(made)
    assert NAME not in str(read)
    if place == "unused bits":
        assert read.pixel_array.max() < 4096
        np.testing.assert_array_equal(read.pixel_array, image().pixel_array)


def test_identifiers_and_birthday_are_gone_and_dates_are_moved() -> None:
    one = image()
    one.PatientBirthDate, one.StudyTime, one.PatientAge = "19610203", "101112", "093Y"
    made = deidentified(one, KEY)
    text = str(made)
    for value in ("4711", "Doe", "19610203", "101112", "20200229", one.SOPInstanceUID, one.StudyInstanceUID + "\n", one.SeriesInstanceUID):
        assert value not in text
    assert made.PatientAge == "090Y" and made.PatientIdentityRemoved == "YES" and made.DeidentificationMethodCodeSequence
    assert made.SeriesDescription == "T2"


def test_of_private_elements_only_numbers_of_the_standards_list_are_kept() -> None:
    one = image()
    block = one.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    block.add_new(0x0E, "FL", 0.0125)
    block.add_new(0x0F, "FL", 4711.0)
    one.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x03, "LO", NAME)  # another kind of value than the list's
    one.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", "50")
    made = deidentified(one, KEY)
    private = {int(element.tag): (element.VR, float(element.value)) for element in made if element.tag.is_private and not element.tag.is_private_creator}
    assert private == {0x2005100E: ("FL", 0.0125), 0x0019100C: ("IS", 50.0)}


def test_one_person_keeps_intervals_and_identifiers_and_another_secret_gives_others() -> None:
    early, late = image(), image()
    late.StudyDate = "20210301"
    a, b = deidentified(early, KEY), deidentified(late, KEY)
    days = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in (a.StudyDate, b.StudyDate)]
    assert days[1] - days[0] == np.datetime64("2021-03-01") - np.datetime64("2020-02-29")
    assert a.PatientID == b.PatientID and a.StudyInstanceUID == b.StudyInstanceUID
    other = deidentified(early, Pseudonyms(b"another secret of mine"))
    assert other.PatientID != a.PatientID and other.StudyInstanceUID != a.StudyInstanceUID and other.StudyDate != a.StudyDate


def written_text(words: str, value: int) -> Dataset:
    one = image()
    drawn = Image.fromarray(np.zeros((64, 80), np.uint8))
    ImageDraw.Draw(drawn).text((2, 20), words, fill=255, font=ImageFont.load_default(12))
    pixels = np.where(np.asarray(drawn) > 128, value, one.pixel_array).astype(np.uint16)
    one.PixelData = pixels.tobytes()
    return one


def test_burnt_in_text_is_rejected() -> None:
    with pytest.raises(UnreadableInput, match="burnt"):
        deidentified(written_text("JONES 1961", 4095), KEY)
    one = image()
    one.BurnedInAnnotation = "YES"
    with pytest.raises(UnreadableInput, match="burnt"):
        deidentified(one, KEY)


def test_noise_and_bright_spots_are_no_text() -> None:
    random = np.random.default_rng(3)
    for top in (50, 900, 4095):
        assert not shows_text(random.integers(0, top + 1, (256, 256)).astype(np.uint16))


def test_other_objects_are_rejected() -> None:
    one = image()
    one.Modality = "SR"
    with pytest.raises(UnreadableInput, match="not an MR image"):
        deidentified(one, KEY)


def test_compressed_pixels_are_written_anew(tmp_path: Path) -> None:
    one = image()
    pixels = one.pixel_array.copy()
    one.compress(RLELossless, pixels)
    read = pydicom.dcmread(save(deidentified(one, KEY), tmp_path / "out.dcm"))
    assert not read.file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(read.pixel_array, pixels)


def test_the_command_keeps_pixels_and_geometry(tmp_path: Path, capsys) -> None:
    array = np.random.default_rng(1).integers(0, 900, (5, 20, 26)).astype(np.uint16)
    write_stack(tmp_path / "in", array, sagittal_matrix(), SeriesDescription="Sag T2 TSE")
    with pytest.raises(SystemExit) as left:
        main(["deidentify", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--secret", str(tmp_path / "key"), "--map", str(tmp_path / "map.csv")])
    assert left.value.code == 0
    before, after = read_study(tmp_path / "in"), read_study(tmp_path / "out")
    np.testing.assert_array_equal(after.series[0].stacks[0].volume.array, before.series[0].stacks[0].volume.array)
    np.testing.assert_allclose(after.series[0].stacks[0].volume.grid.origins_mm, before.series[0].stacks[0].volume.grid.origins_mm)
    assert after.series[0].role is before.series[0].role and after.series[0].description == "Sag T2 TSE"
    assert all(b"SECRET" not in path.read_bytes().upper() for path in (tmp_path / "out").rglob("*.dcm"))
    assert "SECRET" not in "".join(str(path) for path in (tmp_path / "out").rglob("*"))
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0 and (tmp_path / "map.csv").stat().st_mode & 0o077 == 0
    assert "SECRET-ID" in (tmp_path / "map.csv").read_text()
    assert "SECRET" not in capsys.readouterr().out
    assert read_secret(tmp_path / "key") == read_secret(tmp_path / "key")


def test_dates_and_numbers_of_a_person_hide_in_no_uid_time_or_description() -> None:
    one = image()
    one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = "1.2.20200229.4711", "1.2.20200229.4711.1", "1.2.20200229.4711.2"
    one.AcquisitionDateTime, one.SeriesDescription, one.TimezoneOffsetFromUTC = "20200229101112", "T2 sag 20200229 4711", "+0100"
    one.AcquisitionDate = one.ContentDate = one.SeriesDate = "20200229"
    made = deidentified(one, KEY)
    text = str(made)
    assert "20200229" not in text and "4711" not in text and "101112" not in text and made.SeriesDescription == "T2 sag"


@pytest.mark.parametrize("packed", [False, True])
def test_file_names_reports_documents_and_the_directory_stay_behind(tmp_path: Path, packed: bool, capsys) -> None:
    folder = tmp_path / NAME / f"{NAME}_1961"
    for number, one in enumerate(stack_datasets(np.full((3, 20, 26), 7, np.uint16), sagittal_matrix(), SeriesDescription="T2")):
        save(one, folder / f"{NAME}_{number}.dcm")
    for kind, modality, put_in in (("sr", "SR", report_text), ("pdf", "DOC", a_document)):
        one = image()
        put_in(one)
        one.Modality = modality
        del one.PixelData
        save(one, folder / f"{kind}.dcm")
    (folder / "set").mkdir()
    FileSet().write(folder / "set")
    directory = pydicom.dcmread(folder / "set" / "DICOMDIR")
    directory.FileSetID = NAME
    directory.save_as(folder / "DICOMDIR")
    (folder / f"{NAME}.txt").write_text(NAME)
    source = tmp_path / NAME
    if packed:
        source = Path(shutil.make_archive(str(tmp_path / f"zip_{NAME}"), "zip", tmp_path / NAME))
    with pytest.raises(SystemExit) as left:
        main(["deidentify", str(source), "-o", str(tmp_path / "out"), "--secret", str(tmp_path / "key")])
    assert left.value.code == 4  # files were left out
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    images = [path for path in written if path.suffix == ".dcm"]
    assert len(images) == 3
    assert not any(NAME in str(path.relative_to(tmp_path / "out")) or NAME.encode() in path.read_bytes().upper() for path in written)
    told = capsys.readouterr()
    assert NAME not in (told.out + told.err).replace(str(source), "")


def test_the_secret_may_not_lie_in_what_is_passed_on(tmp_path: Path) -> None:
    for one in stack_datasets(np.ones((3, 20, 26), np.uint16), sagittal_matrix()):
        save(one, tmp_path / "in" / f"{one.InstanceNumber}.dcm")
    with pytest.raises(SystemExit) as left:
        main(["deidentify", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--secret", str(tmp_path / "out" / "key")])
    assert left.value.code == 2 and not (tmp_path / "out").exists()
