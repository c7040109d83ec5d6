"""The spine network that each SPIDER patient is tested with: one that has not seen the patient."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from split import FOLDS, TEST_PATIENTS, patients_of_fold

from lumbar.datasets.spider import read_space
from lumbar.models.registry import find_model
from lumbar.spine.network import TASK, Network, network_of


@dataclass(frozen=True)
class Tested:
    """The network whose figures are printed, and those that it is replaced by on SPIDER."""

    network: Network
    of_patient: Mapping[str, Network]  # SPIDER T2 SPACE patients to test, in the order of their numbers


def tested(data: Path, model: Path | None, folds: Path | None) -> Tested:
    """The packaged network or that of `model`; on SPIDER, the networks of `folds` (people.py), or `model` itself on the test patients of split.py.

    Patients of a fold whose network is not in `folds` are left out. Without `model` and `folds` there are no SPIDER patients to test: the packaged network was
    trained on all of them.
    """
    network = network_of(find_model(TASK, model, threads=1))
    of_patient: dict[str, Network] = {}
    if folds:
        everybody = {s.patient for s in read_space(data / "spider" / "t2_space")}
        for fold in (k for k in range(FOLDS) if (folds / f"fold{k}").is_dir()):
            own = network_of(find_model(TASK, folds / f"fold{fold}", threads=1))
            of_patient |= dict.fromkeys(patients_of_fold(everybody, fold), own)
    elif model:
        of_patient = dict.fromkeys(TEST_PATIENTS, network)
    return Tested(network, {patient: of_patient[patient] for patient in sorted(of_patient, key=int)})
