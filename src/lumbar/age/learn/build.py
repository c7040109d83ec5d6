"""From a trained network and its held-out predictions to a model folder with its card (needs lumbar[train])."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lumbar.age.calibration import Calibration, to_parameters
from lumbar.age.learn.export import export_networks, write_baseline
from lumbar.age.learn.network import AgeNetwork
from lumbar.age.learn.occlusion_baseline_fit import fit_baseline
from lumbar.age.predict import TASK
from lumbar.age.segments import SEGMENTS
from lumbar.age.store import CropStore
from lumbar.models.card import Card, Result, TensorSpec, TrainingData
from lumbar.models.folder import write_card


@dataclass(frozen=True)
class ModelTexts:
    """Descriptions on the card beside the measured results."""

    name: str
    training_data: tuple[TrainingData, ...]
    results: tuple[Result, ...]
    synthetic_only: bool  # all people in training were synthetic


def build_model(folder: Path, network: AgeNetwork, store: CropStore, calibration: Calibration, words: ModelTexts) -> Card:
    """Write networks, occlusion baseline and card to `folder`, which must exist; returns the card with hashes.

    Raises:
        ModelError: ONNX and PyTorch do not agree.
    """
    difference = export_networks(network, folder)
    write_baseline(fit_baseline(store), folder)
    width = network.options.features
    crop, sets = ("crops", 1, network.options.rows, network.options.columns), ("people", 5, "slices")
    use = "Research. Apparent age of adult lumbar spines on sagittal T2 or STIR series. Not a medical device."
    if words.synthetic_only:
        use += " The training data hold synthetic people only: ages of patients are NOT valid; for trying out the software only."
    card = Card(
        name=words.name,
        version="0.1.0",
        task=TASK,
        description="Set network over sagittal crops at the five lumbar disc levels: an age for L1-L3, L3/L4, L4/L5, L5/S1 and the whole lumbar spine.",
        intended_use=use,
        inputs=(
            TensorSpec("crops", crop, "encoder: grey values, 0 and 1 at the study's 2nd and 98th percentiles"),
            TensorSpec("described", (*sets, width), "set: the encoder's features of each crop"),
            TensorSpec("position", sets, "set: 20 mm to the patient's left of the midline"),
            TensorSpec("present", sets, "set: 1 where there is a crop"),
            TensorSpec("sex", ("people",), "set: 1 female, -1 male, 0 unknown"),
        ),
        outputs=(
            TensorSpec("ages", ("people", len(SEGMENTS)), "years, of " + ", ".join(SEGMENTS)),
            TensorSpec("features", ("people", len(SEGMENTS), width), "description of each segment"),
        ),
        classes=SEGMENTS,
        training_data=words.training_data,
        results=words.results,
        export_difference=difference,
        parameters={
            "crops": asdict(store.options),
            "network": asdict(network.options),
            "calibration": to_parameters(calibration),
            "synthetic_only": words.synthetic_only,
        },
    )
    return write_card(folder, card)


def trained_ages(store: CropStore) -> tuple[float, float]:
    """Youngest and oldest in training, without the outermost hundredth on each side."""
    low, high = np.percentile(store.age_years, (1, 99))
    return float(low), float(high)
