"""Import of a trained nnU-Net v2 folder as a model folder, checked label by label. Needs PyTorch and nnunetv2; opens pickles (trusted folders only)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lumbar.errors import ModelError, UsageError
from lumbar.models.card import Card, TensorSpec, TrainingData
from lumbar.models.folder import load_folder, write_card
from lumbar.muscle.engine import INPUT, OUTPUT
from lumbar.muscle.nnunet.runtime import NnunetPlan, plan_from_card, predict_labels
from lumbar.muscle.predict import TASK
from lumbar.training.export import export_onnx

READERS = ("SimpleITKIO", "NibabelIO")  # both keep the axes of the file
_RESAMPLING = "resample_data_or_seg_to_shape"


@dataclass(frozen=True)
class ImportOptions:
    """Options of the import, and card entries."""

    name: str
    version: str = "0.1.0"
    licence: str = "not stated"
    fold: str | None = None  # "0", …, "all"; None: the only fold
    checkpoint: str = "checkpoint_final.pth"
    orientation: str = "file"  # "axial": images are first reoriented to slices foot to head, rows front to back, columns right to left


def import_nnunet(source: Path, out: Path, options: ImportOptions) -> Card:
    """Write the network of the trained nnU-Net folder `source` (plans.json, dataset.json, fold_*) into the existing folder `out`.

    Raises:
        UsageError: there is no such folder, or the fold is ambiguous.
        ModelError: the model uses an unsupported feature (regions, cascades, other readers or resampling).
    """
    plans, dataset = (_json(source / name) for name in ("plans.json", "dataset.json"))
    network, configuration, mirror = _network(source, plans, dataset, options)
    plan = _plan(plans, configuration, dataset, mirror)
    channels = len(plan.normalization)
    example = torch.from_numpy(np.random.default_rng(0).normal(size=(2, channels, *plan.patch)).astype(np.float32))
    difference = export_onnx(network, {INPUT: example}, out / "model.onnx", [OUTPUT], dynamic={INPUT: {0: "tiles"}}, tolerance=1e-2)
    names = {int(value): name for name, value in dataset["labels"].items()}
    axes = ("rows", "columns") if len(plan.patch) == 2 else ("slices", "rows", "columns")
    card = Card(
        name=options.name,
        version=options.version,
        task=TASK,
        description=f"nnU-Net v2 ({configuration}), imported from {source.name}.",
        intended_use="As for the source model. Not a medical device; inspect every mask.",
        inputs=(TensorSpec(INPUT, ("tiles", channels, *plan.patch), f"tiles prepared as nnU-Net does, {' × '.join(axes)}"),),
        outputs=(TensorSpec(OUTPUT, ("tiles", len(plan.labels), *plan.patch), "logits of the classes"),),
        classes=tuple(names[label] for label in plan.labels),
        training_data=(TrainingData(str(plans.get("dataset_name", source.name)), options.licence, f"{dataset.get('numTraining', '?')} cases"),),
        results=(),
        export_difference=difference,
        parameters={"engine": "nnunet", "orientation": options.orientation, "nnunet": asdict(plan)},
    )
    return write_card(out, card)


def check_import(source: Path, model: Path, images: Sequence[NDArray[np.float32]], spacing_mm: tuple[float, float, float], options: ImportOptions) -> float:
    """Share of voxels that nnU-Net itself (PyTorch) and the imported model (ONNX Runtime) label alike on `images` (each channels, slices, rows, columns)."""
    predictor = _predictor(source, options)
    loaded = load_folder(model, task=TASK)
    plan = plan_from_card(loaded.card.parameters)
    same = total = 0
    for image in images:
        theirs = np.asarray(predictor.predict_single_npy_array(image, {"spacing": list(spacing_mm)}, None, None, False))
        ours = predict_labels(image, spacing_mm, lambda tile: loaded.run({INPUT: tile})[OUTPUT], plan)
        same += int((theirs == ours).sum())
        total += ours.size
    return same / total


def _predictor(source: Path, options: ImportOptions) -> Any:
    """nnU-Net's own predictor with the given network, as looking up the trainer class fails for trainers that are not installed."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # noqa: PLC0415
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # noqa: PLC0415

    plans, dataset = (_json(source / name) for name in ("plans.json", "dataset.json"))
    network, configuration, mirror = _network(source, plans, dataset, options)
    manager = PlansManager(plans)
    predictor = nnUNetPredictor(device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False)
    weights = [network.state_dict()]
    predictor.manual_initialization(network, manager, manager.get_configuration(configuration), weights, dataset, "", mirror or None)
    return predictor


def _network(source: Path, plans: dict[str, Any], dataset: dict[str, Any], options: ImportOptions) -> tuple[torch.nn.Module, str, tuple[int, ...]]:
    """(network with its weights, name of the configuration, axes that may be mirrored)."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # noqa: PLC0415

    path = source / f"fold_{_fold(source, options)}" / options.checkpoint
    try:
        # Only weights and plain values are needed, but nnU-Net's checkpoints contain NumPy scalars, which the safe loader rejects.
        checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; name another --checkpoint") from None
    configuration = str(checkpoint["init_args"]["configuration"])
    found = _configuration(plans, configuration)
    architecture = found["architecture"]
    network = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        len(dataset.get("channel_names", dataset.get("modality", {}))),
        len(_labels(dataset)),
        deep_supervision=False,
    )
    network.load_state_dict(checkpoint["network_weights"])
    return network, configuration, tuple(checkpoint.get("inference_allowed_mirroring_axes") or ())


def _plan(plans: dict[str, Any], configuration: str, dataset: dict[str, Any], mirror: tuple[int, ...]) -> NnunetPlan:
    found = _configuration(plans, configuration)
    if plans.get("image_reader_writer", READERS[0]) not in READERS:
        raise ModelError(f"the model reads its files with {plans['image_reader_writer']}; only {' and '.join(READERS)} are reproduced")
    if found.get("previous_stage") or found.get("previous_stage_name"):
        raise ModelError("the model is the second stage of a cascade, which needs another model's labels; import the first stage or 3d_fullres")
    kwargs = []
    for name in ("resampling_fn_data", "resampling_fn_probabilities"):
        if found.get(name) != _RESAMPLING:
            raise ModelError(f"the model resamples with {found.get(name)}; only nnU-Net's default {_RESAMPLING} is reproduced")
        kwargs.append(found[f"{name}_kwargs"])
    facts = plans["foreground_intensity_properties_per_channel"]
    channels = len(found["normalization_schemes"])
    needed = ("mean", "std", "percentile_00_5", "percentile_99_5")
    return NnunetPlan(
        spacing_mm=tuple(float(x) for x in found["spacing"]),
        patch=tuple(int(n) for n in found["patch_size"]),
        normalization=tuple(found["normalization_schemes"]),
        masked=tuple(bool(x) for x in found["use_mask_for_norm"]),
        intensity=tuple({key: float(facts[str(n)][key]) for key in needed} for n in range(channels)),
        transpose=tuple(plans["transpose_forward"]),
        labels=_labels(dataset),
        mirror=mirror,
        separate_axis=kwargs[0].get("force_separate_z"),
        order=int(kwargs[0].get("order", 3)),
        order_along=int(kwargs[0].get("order_z", 0)),
        logit_order=int(kwargs[1].get("order", 1)),
        logit_order_along=int(kwargs[1].get("order_z", 0)),
    )


def _labels(dataset: dict[str, Any]) -> tuple[int, ...]:
    values = [value for name, value in dataset["labels"].items() if name != "ignore"]  # which is never predicted
    if any(isinstance(value, (list, tuple)) for value in values):
        raise ModelError("the model was trained on regions, which is not reproduced here")
    return tuple(sorted(int(value) for value in values))


def _configuration(plans: dict[str, Any], name: str) -> dict[str, Any]:
    """A configuration with inherited values."""
    found = plans["configurations"].get(name)
    if found is None:
        raise ModelError(f"plans.json has no configuration {name!r}; found: {', '.join(plans['configurations'])}")
    if "inherits_from" in found:
        return {**_configuration(plans, found["inherits_from"]), **found}
    return dict(found)


def _fold(source: Path, options: ImportOptions) -> str:
    if options.fold is not None:
        return options.fold
    folds = sorted(path.name.removeprefix("fold_") for path in source.glob("fold_*") if (path / options.checkpoint).is_file())
    if len(folds) != 1:
        raise UsageError(f"{source} has {len(folds)} trained folds ({', '.join(folds) or 'none'}) with {options.checkpoint}; choose one with --fold")
    return folds[0]


def _json(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}); give the folder that nnU-Net trained into (<trainer>__<plans>__<configuration>)") from None
    return document
