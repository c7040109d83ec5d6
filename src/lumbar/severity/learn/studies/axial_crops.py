"""Axial crops of whole studies for training the axial crop grader (needs lumbar[train])."""

import numpy as np

from lumbar.severity.learn.axial.train import LabelledCrops
from lumbar.severity.studies.data import StudySet
from lumbar.severity.studies.views import LEVELS, SLOTS_OF, View


def axial_crops(studies: StudySet) -> LabelledCrops:
    """All axial crops of `studies` with their grades."""
    count, levels = len(studies.names), len(LEVELS)
    images = np.asarray(studies.images[View.AXIAL])[studies.rows][:, :, 0].transpose(0, 1, 3, 4, 2)
    crops = LabelledCrops(
        images.reshape(count * levels, *images.shape[2:]),
        np.tile(np.arange(levels), count),
        np.repeat(studies.names, levels),
        studies.targets.swapaxes(1, 2).reshape(count * levels, -1),
    )
    return crops.subset(studies.present[:, :, SLOTS_OF[View.AXIAL][0]].ravel())
