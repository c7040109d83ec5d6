"""The spine as a task of the pipeline: levels, masks and measurements that the other tasks build on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lumbar.domain.findings import ModelUse
from lumbar.domain.part import Part
from lumbar.domain.study import Patient, Study
from lumbar.models.registry import find_model
from lumbar.spine.find import FoundSpine, find_spine
from lumbar.spine.foramina_on_t1 import foramina_on_t1
from lumbar.spine.metal import check_metal
from lumbar.spine.network import TASK, Network, network_of
from lumbar.spine.reader_mask import redrawn


class SpineTask:
    """Finds, names and measures the levels of a study."""

    name = "spine"

    def __init__(self, network: Network, use: ModelUse) -> None:
        """Take a segmentation network and the entry of its model in the findings."""
        self._network = network
        self._use = use

    def run(self, study: Study, spine: FoundSpine | None, patient: Patient, progress: Callable[[int, int], None] | None = None) -> Part:
        """Find the spine in the best series; `spine` is not used, as this task comes first. The evidence is a `FoundSpine`.

        Raises:
            NoUsableSeries: no series of the study shows a lumbar spine.
            InputError: the reader's mask lies on another grid, holds other values, or shows no spine.
        """
        found = find_spine(study, self._network, patient.lowest_level, progress)
        notes: tuple[str, ...] = ()
        if patient.masks and patient.masks.spine:
            again, changed = redrawn(found.spine, patient.masks.spine, found.series.weighting, patient.lowest_level)
            found = replace(found, spine=again)
            notes = (f"the outlines of the spine were corrected by a reader ({changed} voxels)",) if changed else ()
        else:
            found = replace(found, spine=replace(found.spine, finding=foramina_on_t1(found, study, self._network)))
        finding = replace(found.spine.finding, measured_in=found.series.series_uid)
        found = replace(found, spine=replace(found.spine, finding=finding))
        if finding.foramina_measured_in:
            notes = (*notes, "foramina were measured on sagittal T1, as the series of the other measurements does not show all of them")
        warnings = (*found.failures, *found.spine.warnings, *notes)
        return Part(self.name, {"spine": finding}, (self._use,), warnings, evidence=found, checks=check_metal(found.spine, found.series.series_uid))


def load(folder: Path | None = None, threads: int = 0) -> SpineTask:
    """The task with the preferred spine model; `folder` comes before the models of the package, `threads` 0 means all cores.

    Raises:
        ModelError: there is no model, or it is damaged.
    """
    model = find_model(TASK, folder, threads)
    return SpineTask(network_of(model), model.use)
