"""The spine map of one volume: named instances, masks and measurements."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lumbar.domain.anatomy import Level, SpineClass
from lumbar.domain.findings import SpineFinding
from lumbar.domain.mask_labels import BODY_LABELS, DISC_LABELS, Structure
from lumbar.domain.study import Plane, Weighting
from lumbar.domain.volume import Volume
from lumbar.errors import InputError
from lumbar.spine.added import added_structures
from lumbar.spine.chain import Chain, find_chain, without_inferred_bottom
from lumbar.spine.column import Column, straighten
from lumbar.spine.instances import FIRST_BODY, midplane_instances, volume_instances
from lumbar.spine.lowest_shape import body_outlines, lowest_shape
from lumbar.spine.measure import Flat, measure
from lumbar.spine.midplane import Midplane, find_midplane
from lumbar.spine.naming import Names, is_lowest_by_tilt, name_chain
from lumbar.spine.network import Network
from lumbar.spine.segment import PIXEL_MM, Segmentation, labels_on_source, segment
from lumbar.spine.shape import Outline, outline
from lumbar.spine.stack_edge import leaves_stack

_LIGAMENT_MM = 4.0
MASK_VERTEBRA, MASK_DISC, MASK_CANAL = 1, 2, 3  # values of masks/spine.nii.gz


@dataclass(frozen=True, eq=False)
class SpineMap:
    """Names, positions and measurements of the spine in one volume."""

    finding: SpineFinding
    midplane: Midplane
    column: Column
    chain: Chain
    names: Names
    flat: NDArray[np.uint8]  # (rows, columns) instance numbers in the midplane
    instances: NDArray[np.uint8]  # (slices, rows, columns) instance numbers on the network's grid
    plane: Plane
    warnings: tuple[str, ...]

    @property
    def segmentation(self) -> Segmentation:
        """The segmentation by the network."""
        return self.midplane.segmentation

    @cached_property
    def added(self) -> NDArray[np.uint8] | None:
        """(slices, rows, columns) S1, S2 and the foramina on the network's grid, as in structures.nii.gz; None where the network does not know them."""
        return added_structures(self.midplane, self.names, self.instances)

    @cached_property
    def tissue(self) -> NDArray[np.uint8]:
        """(slices, rows, columns) vertebra 1 (with posterior elements), disc 2, canal 3 on the network's grid, without parts not connected to the spine."""
        labels = self.segmentation.labels
        tissue = np.zeros(labels.shape, dtype=np.uint8)
        tissue[np.isin(labels, (SpineClass.BODY, SpineClass.POSTERIOR))] = MASK_VERTEBRA
        tissue[labels == SpineClass.DISC] = MASK_DISC
        tissue[labels == SpineClass.CANAL] = MASK_CANAL
        tissue[_too_lateral(self, tissue)] = 0
        tissue[~_near_spine(self, tissue > 0)] = 0
        return tissue


def map_spine(
    volume: Volume,
    plane: Plane,
    weighting: Weighting,
    network: Network,
    lowest_level: Level | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SpineMap:
    """Segment, name and measure the spine in `volume`.

    Raises:
        InputError: no spine, or fewer than two discs of it, were found.
        GeometryError: the volume is too short.
    """
    return map_segmentation(segment(volume, network, plane, progress), plane, weighting, lowest_level)


def map_segmentation(segmentation: Segmentation, plane: Plane, weighting: Weighting, lowest_level: Level | None = None) -> SpineMap:
    """Name and measure a spine that is already segmented, by the network or by a reader.

    Raises:
        InputError: no spine, or fewer than two discs of it, were found.
    """
    midplane = find_midplane(segmentation)
    column = straighten(midplane)
    chain = find_chain(column, midplane)
    if len(chain.discs) < 2:
        raise InputError(
            "fewer than two intervertebral discs were found in the sagittal slices; "
            "check that the series shows the lumbar spine and that its header gives the correct orientation"
        )
    flat, outlines = _outlined(midplane, column, chain)
    if chain.discs[-1].inferred and len(outlines) > 1 and outlines[-2] is not None and is_lowest_by_tilt(outlines[-2].tilt_degrees):
        chain = without_inferred_bottom(chain)
        flat, outlines = _outlined(midplane, column, chain)
    chain = _doubted_at_edge(chain, column, midplane)
    bodies = body_outlines(midplane, flat, outlines)
    names = name_chain(chain, [o.tilt_degrees if o else None for o in outlines], lowest_level, lowest_shape(outlines, bodies))
    instances = volume_instances(midplane, flat)
    finding, warnings = measure(Flat(midplane, column, chain, names, flat, tuple(outlines), bodies), instances, weighting)
    if not names.numbering.confident:
        warnings = (f"level names are not certain: {names.numbering.note}", *warnings)
    return SpineMap(finding, midplane, column, chain, names, flat, instances, plane, warnings)


def _doubted_at_edge(chain: Chain, column: Column, midplane: Midplane) -> Chain:
    """The chain, with a doubt where the spine leaves the stack of slices."""
    rows = float(column.point(chain.discs[0].along_mm)[0]), float(column.point(chain.discs[-1].along_mm)[0])
    doubt = "the spine leaves the stack of slices sideways, so that a level may be out of view"
    return replace(chain, doubts=(*chain.doubts, doubt)) if leaves_stack(midplane, rows) else chain


def _outlined(midplane: Midplane, column: Column, chain: Chain) -> tuple[NDArray[np.uint8], list[Outline | None]]:
    """Instance numbers in the midplane and the outline of each disc."""
    flat = midplane_instances(midplane, column, chain)
    probability = midplane.probabilities[SpineClass.DISC]
    return flat, [outline(flat == 1 + i, probability) for i in range(len(chain.discs))]


def tissue_mask(spine: SpineMap) -> Volume:
    """Vertebra 1 (with posterior elements), disc 2, canal 3 on the grid of the source series; components not connected to the spine are removed."""
    return labels_on_source(spine.segmentation, spine.tissue, spine.plane)


def structure_mask(spine: SpineMap) -> Volume:
    """The values of `Structure` and `FORAMEN_LABELS` on the grid of the source series.

    Vertebra, disc and canal are those of `tissue_mask`, with bodies apart from posterior elements; what only some networks know is there where they do.
    """
    labels, tissue = spine.segmentation.labels, spine.tissue
    structures = np.zeros(labels.shape, dtype=np.uint8) if spine.added is None else spine.added.copy()
    structures[tissue == MASK_VERTEBRA] = Structure.VERTEBRAL_BODY
    structures[(tissue == MASK_VERTEBRA) & (labels == SpineClass.POSTERIOR)] = Structure.POSTERIOR_ELEMENTS
    structures[tissue == MASK_DISC] = Structure.DISC
    structures[tissue == MASK_CANAL] = Structure.CANAL
    return labels_on_source(spine.segmentation, structures, spine.plane)


def level_mask(spine: SpineMap) -> Volume:
    """Discs 1…5 (L1/L2…L5/S1) and vertebral bodies 11…15 (L1…L5) on the grid of the source series."""
    table = np.zeros(256, dtype=np.uint8)
    for i, level in enumerate(spine.names.discs):
        table[1 + i] = DISC_LABELS[level] if level else 0
    for i, vertebra in enumerate(spine.names.bodies):
        table[FIRST_BODY + i] = BODY_LABELS.get(vertebra, 0) if vertebra else 0
    return labels_on_source(spine.segmentation, table[spine.instances], spine.plane)


def _too_lateral(spine: SpineMap, tissue: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Voxels further lateral than their structure can extend: the training slices lie within 14 mm of the middle."""
    count, rows, _ = tissue.shape
    aside_mm = np.abs(np.arange(count)[:, None] - spine.midplane.slice_of_row[None]) * spine.segmentation.grid.spacing_mm[0]
    reach = np.zeros(int(tissue.max()) + 1)
    for value, limit in ((MASK_VERTEBRA, 40.0), (MASK_DISC, 32.0), (MASK_CANAL, 15.0)):
        reach[value : value + 1] = limit
    return np.asarray(aside_mm.reshape(count, rows, 1) > reach[tissue])


def _near_spine(spine: SpineMap, tissue: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Connected components of the tissue that contain a voxel of a numbered instance; gaps of a ligament's width count as connected."""
    joined = ndimage.binary_dilation(tissue, structure=np.ones((1, 3, 3)), iterations=round(_LIGAMENT_MM / 2 / PIXEL_MM))
    parts, count = ndimage.label(joined, structure=np.ones((3, 3, 3)))
    kept = np.zeros(count + 1, dtype=bool)
    kept[np.unique(parts[spine.instances > 0])] = True
    kept[0] = False
    return np.asarray(kept[parts] & tissue)
