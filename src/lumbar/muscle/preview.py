"""A sheet of all slices with muscle outlines for visual inspection."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from lumbar.domain.volume import Volume
from lumbar.imaging.intensity import windowed
from lumbar.metrics.segmentation import brought_onto
from lumbar.muscle.axial import to_axial

COLORS = {  # right erector, right and left multifidus, left erector, right and left psoas, vertebral body or disc
    1: (255, 99, 71), 2: (255, 215, 0), 3: (0, 206, 209), 4: (127, 255, 0), 5: (238, 130, 238), 6: (135, 160, 255), 7: (190, 190, 190),
}  # fmt: skip
_TILE = 240  # pixels across one slice
_ACROSS = 6


def sheet_png(image: Volume, mask: Volume) -> bytes:
    """PNG of the slices with muscle, head first, patient's right on the left, cropped to the muscles; all slices if none shows any."""
    axial = to_axial(image)
    labels = np.asarray(brought_onto(axial.grid, mask).array, np.uint8)
    shown = np.flatnonzero(labels.any(axis=(1, 2)))[::-1]
    shown = shown if shown.size else np.arange(len(labels))[::-1]
    rows, columns = _window(labels, axial.grid.spacing_mm)
    tiles = [_tile(np.asarray(axial.array[k][rows, columns], np.float32), labels[k][rows, columns], axial.grid.spacing_mm, f"{k + 1}") for k in shown]
    across = min(_ACROSS, len(tiles))
    height = max(tile.height for tile in tiles)
    sheet = Image.new("RGB", (across * _TILE, -(-len(tiles) // across) * height))
    for n, tile in enumerate(tiles):
        sheet.paste(tile, (n % across * _TILE, n // across * height))
    buffer = BytesIO()
    sheet.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _window(labels: NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> tuple[slice, slice]:
    seen = labels.any(axis=0)
    if not seen.any():
        return slice(0, labels.shape[1]), slice(0, labels.shape[2])
    found = np.argwhere(seen)
    margin = np.ceil(np.array([45 / spacing_mm[1], 25 / spacing_mm[2]])).astype(int)
    low = np.maximum(found.min(axis=0) - margin, 0)
    high = np.minimum(found.max(axis=0) + margin + 1, labels.shape[1:])
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _tile(image: NDArray[np.float32], labels: NDArray[np.uint8], spacing_mm: tuple[float, float, float], text: str) -> Image.Image:
    height = max(1, round(_TILE * image.shape[0] * spacing_mm[1] / (image.shape[1] * spacing_mm[2])))
    grey = Image.fromarray(windowed(image, 1, 99.5)).resize((_TILE, height), Image.Resampling.BILINEAR)
    color = np.asarray(grey.convert("RGB")).copy()
    fine = np.asarray(Image.fromarray(labels).resize((_TILE, height), Image.Resampling.NEAREST))
    for label, rgb in COLORS.items():
        inside = fine == label
        color[inside & ~ndimage.binary_erosion(inside)] = rgb
    tile = Image.fromarray(color)
    ImageDraw.Draw(tile).text((3, 2), text, fill=(255, 255, 255))
    return tile
