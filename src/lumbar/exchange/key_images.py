"""Key images as colour secondary capture, which viewers without SEG support also show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import SecondaryCaptureImageStorage

from lumbar.exchange.common import new_object
from lumbar.exchange.identity import RESEARCH_USE, ObjectIdentity
from lumbar.exchange.source import SourceImages

_STRIP = 26  # height in pixels of the line below the image


@dataclass(frozen=True, eq=False)
class KeyImage:
    """One image for the archive."""

    name: str  # of its file
    caption: str
    image: Image.Image


def captioned(key_image: KeyImage) -> NDArray[np.uint8]:
    """(rows, columns, 3) the image with a strip of text on its purpose."""
    image = key_image.image.convert("RGB")
    out = Image.new("RGB", (image.width, image.height + _STRIP))
    out.paste(image, (0, 0))
    draw = ImageDraw.Draw(out)
    size = 15
    while size > 7 and draw.textlength(f"lumbar: {RESEARCH_USE}", ImageFont.load_default(size)) > image.width - 8:
        size -= 1
    draw.text((4, image.height + _STRIP // 2), f"lumbar: {RESEARCH_USE}", font=ImageFont.load_default(size), fill="#ffd24a", anchor="lm")
    return np.asarray(out)


def key_image_object(key_image: KeyImage, pixels: NDArray[np.uint8], images: Sequence[Dataset], source: SourceImages, who: ObjectIdentity) -> FileDataset:
    """The secondary capture of an image.

    Args:
        key_image: its name and caption.
        pixels: (rows, columns, 3) as `captioned` makes them.
        images: the source images that it was drawn from.
        source: the study.
        who: identifiers of the object.
    """
    made = new_object(source, SecondaryCaptureImageStorage, who, "OT", "lumbar: key images (research use only)")
    made.ConversionType = "WSD"
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.PatientOrientation = ""
    made.BodyPartExamined = "LSPINE"
    made.BurnedInAnnotation = "YES"
    made.ImageComments = f"{key_image.caption}. {RESEARCH_USE}"
    made.DerivationDescription = RESEARCH_USE
    if images:
        made.SourceImageSequence = [_reference(one) for one in images]
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.Rows, made.Columns = pixels.shape[:2]
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    content = np.ascontiguousarray(pixels).tobytes()
    made.PixelData = content + b"\0" * (len(content) % 2)
    made["PixelData"].VR = "OB"
    return made


def _reference(image: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item
