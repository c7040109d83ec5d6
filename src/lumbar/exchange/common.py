"""DICOM modules common to all objects of a study that no library class writes."""

import datetime

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from lumbar import __version__
from lumbar.exchange.identity import DEVICE_SERIAL, MANUFACTURER, MODEL_NAME, ObjectIdentity
from lumbar.exchange.source import SourceImages
from lumbar.io.dicom_write import IMPLEMENTATION_UID

_PATIENT_AND_STUDY = (
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "StudyInstanceUID",
    "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription", "ReferringPhysicianName",
)  # fmt: skip


def new_object(source: SourceImages, sop_class: str, who: ObjectIdentity, modality: str, description: str) -> FileDataset:
    """An object with patient and study as the source has them, and series, equipment and SOP common modules of its own."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(sop_class), UID(who.sop_uid)
    meta.TransferSyntaxUID, meta.ImplementationClassUID = ExplicitVRLittleEndian, UID(IMPLEMENTATION_UID)
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for name in _PATIENT_AND_STUDY:
        if name in source.any_image:
            setattr(made, name, source.any_image.get(name))
    now = datetime.datetime.now()
    made.SOPClassUID, made.SOPInstanceUID = sop_class, who.sop_uid
    made.Modality, made.SeriesDescription = modality, description
    made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = who.series_uid, who.series_number, who.instance_number
    made.Manufacturer, made.ManufacturerModelName, made.DeviceSerialNumber, made.SoftwareVersions = MANUFACTURER, MODEL_NAME, DEVICE_SERIAL, __version__
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.InstanceCreationDate, made.InstanceCreationTime = made.ContentDate, made.ContentTime
    return made
