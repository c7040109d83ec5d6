"""The dural sac as a task of the pipeline: it completes the measurements of the spine once axial series are aligned with it."""

from dataclasses import replace
from pathlib import Path

from lumbar.domain.findings import ModelUse
from lumbar.domain.part import Part
from lumbar.domain.study import Patient, Role, Study
from lumbar.models.registry import find_model, has_model
from lumbar.spine.find import FoundSpine
from lumbar.spine.sac.measure import areas_of, sacs_of
from lumbar.spine.sac.outline import TASK, Network, network_of


class SacTask:
    """Measures the cross-section of the dural sac at each disc level."""

    name = "dural_sac"

    def __init__(self, network: Network, use: ModelUse) -> None:
        """Take a network and the entry of its model in the findings."""
        self._network = network
        self._use = use

    def run(self, study: Study, spine: FoundSpine, patient: Patient) -> Part:
        """The findings of the spine with the areas of the sac, or nothing where no axial T2 slice shows a level. The evidence is a list of `LevelSac`."""
        finding = spine.spine.finding
        sacs = sacs_of(finding.levels, study.with_role(Role.AXIAL_T2), self._network)
        if not sacs:
            return Part(self.name)
        areas = areas_of(sacs)
        levels = tuple(replace(level, dural_sac_mm2=areas.get(level.level)) for level in finding.levels)
        unsure = ", ".join(one.level.level.value for one in sacs if one.level.level not in areas)
        warnings = (f"{unsure}: the dural sac could not be outlined with certainty on axial T2; its area is left out",) if unsure else ()
        return Part(self.name, {"spine": replace(finding, levels=levels)}, (self._use,), warnings, evidence=sacs)


def load(folder: Path | None = None, threads: int = 0) -> SacTask | None:
    """Load the task; None if no model is installed. The arguments are those of `spine.task.load`.

    Raises:
        ModelError: the model is damaged.
    """
    if not has_model(TASK, folder):
        return None
    model = find_model(TASK, folder, threads)
    return SacTask(network_of(model), model.use)
