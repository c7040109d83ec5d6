"""The report as an encapsulated PDF."""

from pydicom.dataset import Dataset, FileDataset
from pydicom.sr.codedict import codes
from pydicom.uid import EncapsulatedPDFStorage

from lumbar.exchange.common import new_object
from lumbar.exchange.identity import ObjectIdentity
from lumbar.exchange.source import SourceImages


def pdf_object(pdf: bytes, source: SourceImages, who: ObjectIdentity) -> FileDataset:
    """The object that holds `pdf`."""
    made = new_object(source, EncapsulatedPDFStorage, who, "DOC", "lumbar: report (research use only)")
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "YES"
    made.AcquisitionDateTime = ""
    made.DocumentTitle = "Lumbar spine MRI, automatic analysis (research use only)"
    made.ConceptNameCodeSequence = [_title()]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.EncapsulatedDocumentLength = len(pdf)
    return made


def _title() -> Dataset:
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = codes.LN.MRISpineReport.value, "LN", codes.LN.MRISpineReport.meaning
    return title
