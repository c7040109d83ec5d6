"""Augmentation of whole studies: mirroring is decided per study, all else per crop."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from lumbar.severity.learn.axial.augment import FULL_SIZE, SWAPPED_SIDES, CropAugmentOptions, change, change_slices, slices_in_order
from lumbar.severity.studies.data import InputOptions, StudySet, mask_channels, measure_inputs
from lumbar.severity.studies.views import FIELD_MM, SAGITTAL_SLICES, SEEN_MM, SEEN_PIXELS, View

THREE_SLICES = InputOptions()
_SLOTS_MIRRORED = [0, 2, 1, 3]
_SAGITTAL = CropAugmentOptions(shift=0.07, rotation_degrees=10.0, zoom=(0.88, 1.15), stretch=0.1, mirror_probability=0.0)


@dataclass(frozen=True)
class StudyAugmentOptions:
    """Ranges of the augmentation."""

    sagittal: CropAugmentOptions = _SAGITTAL  # of each sagittal crop; its shift is the position jitter: 0.07 of 48 mm is 3.4 mm
    axial: CropAugmentOptions = field(default_factory=CropAugmentOptions)  # of each axial crop
    slice_jitter_probability: float = 0.35  # the crop is shifted by one slice
    mirror_probability: float = 0.5  # of a study
    absence_probability: float = 0.08  # of each crop
    view_absence_probability: float = 0.08  # of all crops of one view of a study
    measure_absence_probability: float = 0.3  # of all measurements of a study

    def still(self) -> "StudyAugmentOptions":
        """The same without slice and position jitter."""
        axial = replace(self.axial, shift=0.0, slice_shift_probability=0.0)
        return replace(self, sagittal=replace(self.sagittal, shift=0.0), axial=axial, slice_jitter_probability=0.0)


@dataclass(frozen=True, eq=False)
class StudyInputs:
    """Network inputs of n studies, and their grades."""

    views: dict[View, torch.Tensor]  # (n, 5, crops, channels, rows, columns); only views that the source has
    present: torch.Tensor  # (n, 5, 4)
    measures: torch.Tensor  # (n, 5, 2 × measures)
    targets: torch.Tensor  # (n, 5 conditions, 5 levels)


def augmented(
    data: StudySet,
    drawn: NDArray[np.int64],
    options: StudyAugmentOptions,
    generator: torch.Generator,
    scale: float = 1.0,
    wanted: InputOptions = THREE_SLICES,
) -> StudyInputs:
    """The studies `drawn` (n,) of `data`, augmented; at `scale` of the network's full size, with the `wanted` channels."""
    count = len(drawn)
    mirrored = torch.rand(count, generator=generator) < options.mirror_probability
    targets = torch.from_numpy(data.targets[drawn])
    targets = torch.where(mirrored[:, None, None], targets[:, list(SWAPPED_SIDES)], targets)
    present = torch.from_numpy(data.present[drawn])
    present = torch.where(mirrored[:, None, None], present[:, :, _SLOTS_MIRRORED], present)
    kept = torch.rand(present.shape, generator=generator) >= options.absence_probability
    kept &= torch.rand(count, 1, present.shape[2], generator=generator) >= options.view_absence_probability
    thinned = present & kept
    empty = ~thinned.flatten(1).any(1)
    present = torch.where(empty[:, None, None], present, thinned)
    views = {view: _view(data, view, drawn, mirrored, _BatchSettings(options, generator, scale, wanted)) for view in data.images}
    measures = torch.from_numpy(measure_inputs(None if data.measures is None else data.measures[data.rows[drawn]], count))
    measures = measures * (torch.rand(count, 1, 1, generator=generator) >= options.measure_absence_probability)
    return StudyInputs(views, present.float(), measures, targets)


@dataclass(frozen=True, eq=False)
class _BatchSettings:
    """Settings shared by all views of a batch."""

    options: StudyAugmentOptions
    generator: torch.Generator
    scale: float
    wanted: InputOptions


def _view(data: StudySet, view: View, drawn: NDArray[np.int64], mirrored: torch.Tensor, how: _BatchSettings) -> torch.Tensor:
    options, generator, scale = how.options, how.generator, how.scale
    rows = data.rows[drawn]
    images = torch.from_numpy(np.ascontiguousarray(data.images[view][rows])).float() / 255
    levels, crops = images.shape[1:3]
    each = mirrored.repeat_interleave(levels * crops)
    flat = images.flatten(0, 2)
    if how.wanted.masks and data.masks is not None:
        flat = torch.cat([flat, torch.from_numpy(mask_channels(data.masks[view][rows][:, :, :, images.shape[3] // 2])).float().flatten(0, 2)], 1)
    if view is View.AXIAL:
        flat = torch.cat([change_slices(flat[:, :3], options.axial, generator), flat[:, 3:]], 1)
        size = round(FULL_SIZE[0] * scale), round(FULL_SIZE[1] * scale)
        changed = change(flat, each, options.axial, generator, size)
    else:
        if view is View.FORAMEN:  # mirroring swaps the sides; slices run outwards on both, so that the crops themselves are unchanged
            sides = flat.reshape(-1, crops, *flat.shape[1:])
            flat = torch.where(each.reshape(-1, crops, 1, 1, 1), sides.flip(1), sides).flatten(0, 1)
        else:
            flat = torch.where(each[:, None, None, None], torch.cat([flat[:, :SAGITTAL_SLICES].flip(1), flat[:, SAGITTAL_SLICES:]], 1), flat)
        flat = torch.cat([_jittered_sagittal(flat[:, :SAGITTAL_SLICES], how), flat[:, SAGITTAL_SLICES:]], 1)
        size = round(SEEN_PIXELS * scale), round(SEEN_PIXELS * scale)
        changed = change(flat, torch.zeros(len(flat), dtype=torch.bool), options.sagittal, generator, size, FIELD_MM / SEEN_MM, how.wanted.slices)
    return changed.reshape(len(drawn), levels, crops, *changed.shape[1:])


def _jittered_sagittal(crops: torch.Tensor, how: _BatchSettings) -> torch.Tensor:
    """The required slices of the five, centred or shifted by one (the last is then repeated); neighbours are dropped at random."""
    count, generator, probability = how.wanted.slices, how.generator, how.options.slice_jitter_probability
    draw = torch.rand(len(crops), generator=generator)
    start = SAGITTAL_SLICES // 2 - count // 2 + (draw < probability / 2).long() - (draw > 1 - probability / 2).long()
    order = (start[:, None] + torch.arange(count)).clamp(0, SAGITTAL_SLICES - 1)
    lost = torch.rand(len(crops), count, generator=generator) < how.options.sagittal.slice_loss_probability
    return slices_in_order(crops, torch.where(lost, order[:, count // 2 : count // 2 + 1], order))
