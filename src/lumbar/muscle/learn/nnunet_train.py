"""nnU-Net v2 training from folders of Dixon pairs: raw data set, fingerprint, plan, preprocessing, training without mirroring.

nnU-Net is configured by environment variables, which are set for its own processes only.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lumbar.datasets.nnunet_raw import RawCase, write_raw
from lumbar.domain.volume import Volume
from lumbar.errors import LumbarError, UsageError
from lumbar.muscle.labels import BACK, LABELS
from lumbar.training.examples import IGNORED

_NUMBER, _NAME, _TRAINER, _OWN = 515, "LumbarMuscle", "nnUNetTrainerLumbar", "lumbar"
_DATASET = f"Dataset{_NUMBER:03d}_{_NAME}"
_PREPARED = "prepared.json"  # in the work folder: requested options and configuration to train, written when preparation is complete
_IGNORE = max(BACK) + 1
_LEAST_STAGES = 3  # with two, the weights of its deep supervision sum to 0 and every loss is NaN


@dataclass(frozen=True)
class NnunetTraining:
    """Options of the nnU-Net training."""

    configuration: str = "2d"  # or 3d_fullres
    epochs: int = 1000  # nnU-Net's default
    iterations: int = 250  # optimiser steps per epoch
    patch: tuple[int, ...] | None = None  # instead of that of the plan
    batch: int | None = None
    features: tuple[int, ...] | None = None  # features of each stage; fewer stages make a smaller network
    learning_rate: float = 0.0  # of AdamW, which is better for short trainings; 0: nnU-Net's own SGD, tuned for 250,000 steps
    start: Path | None = None  # nnU-Net checkpoint with initial weights for all but the last layers
    device: str = "cpu"  # or cuda
    threads: int = 2


def train_nnunet(cases: Iterable[RawCase], work: Path, options: NnunetTraining) -> Path:
    """Train on `cases` in the folder `work` and return the trained folder (plans.json, dataset.json, fold_all).

    Labels are those of `muscle/labels.py`; IGNORED voxels are excluded from the loss. An interrupted training resumes from its last epoch without
    reading `cases` again.

    Raises:
        UsageError: there is no case, fewer than three stages are requested, or `work` was started with another network.
        LumbarError: one of nnU-Net's programs failed; its output gives the reason.
    """
    if options.features and len(options.features) < _LEAST_STAGES:
        raise UsageError(
            f"nnU-Net weighs the outputs of all stages but the lowest, so it needs at least {_LEAST_STAGES} numbers of features; got {len(options.features)}"
        )
    configuration = _prepared(work, options) or _prepare(cases, work, options)
    trained = work / "results" / _DATASET / f"{_TRAINER}__nnUNetPlans__{configuration}"
    length = [str(options.epochs), str(options.iterations), str(max(1, options.iterations // 20)), str(options.threads), str(options.learning_rate)]
    words = [*length, "--", str(_NUMBER), configuration, "all", "-tr", _TRAINER, "-device", options.device]
    if list(trained.glob("fold_all/checkpoint_*.pth")):
        words.append("--c")
    elif options.start:
        words += ["-pretrained_weights", str(options.start.resolve())]
    _run("lumbar.muscle.learn.nnunet_trainer", words, work, options)
    return trained


def _fixed_options(options: NnunetTraining) -> dict[str, object]:
    """The options that are fixed before training starts."""
    sizes = {"patch": options.patch, "batch": options.batch, "features": options.features}
    return {"configuration": options.configuration, **{key: list(value) if isinstance(value, tuple) else value for key, value in sizes.items()}}


def _prepared(work: Path, options: NnunetTraining) -> str | None:
    """The configuration prepared in `work`, if any."""
    path = work / _PREPARED
    if not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["asked"] != _fixed_options(options):
        raise UsageError(f"{work} was started with {document['asked']}, but {_fixed_options(options)} is requested now; give another --work, or remove it")
    return str(document["train"])


def _prepare(cases: Iterable[RawCase], work: Path, options: NnunetTraining) -> str:
    """Raw data set, fingerprint, plan and preprocessed images; returns the configuration to train."""
    for part in ("raw", "preprocessed"):  # our own folders, left by a run that was interrupted during preparation
        shutil.rmtree(work / part / _DATASET, ignore_errors=True)
    names = {f"{side.value}_{muscle.value}": label for label in BACK for muscle, side in [LABELS[label]]}
    raw = write_raw(work / "raw", _NUMBER, _NAME, {**names, "ignore": _IGNORE}, (_with_ignored(case) for case in cases))
    threads = str(options.threads)
    planning = ["-d", str(_NUMBER), "--verify_dataset_integrity", "-c", options.configuration, "-npfp", threads, "-np", threads]
    _run("nnunetv2.experiment_planning.plan_and_preprocess_entrypoints", planning, work, options)
    configuration = _own_configuration(work / "preprocessed" / raw.name / "nnUNetPlans.json", options)
    (work / _PREPARED).write_text(json.dumps({"asked": _fixed_options(options), "train": configuration}) + "\n", encoding="utf-8")
    return configuration


def _with_ignored(case: RawCase) -> RawCase:
    labels = np.where(case.labels.array == IGNORED, _IGNORE, case.labels.array).astype(np.uint8)
    return RawCase(case.name, case.image, Volume(labels, case.labels.grid))


def _own_configuration(plans: Path, options: NnunetTraining) -> str:
    """Name of the configuration to train: nnU-Net's, or one that inherits it with another size, added to the plan."""
    if not (options.patch or options.batch or options.features):
        return options.configuration
    document = json.loads(plans.read_text(encoding="utf-8"))
    base = document["configurations"][options.configuration]
    own: dict[str, object] = {"inherits_from": options.configuration}
    if options.patch:
        own["patch_size"] = list(options.patch)
    if options.batch:
        own["batch_size"] = options.batch
    if options.features:
        stages = len(options.features)
        kwargs = dict(base["architecture"]["arch_kwargs"])
        for key in ("kernel_sizes", "strides", "n_conv_per_stage", "n_blocks_per_stage"):
            if key in kwargs:
                kwargs[key] = kwargs[key][:stages]
        kwargs |= {
            "n_stages": stages,
            "features_per_stage": list(options.features),
            "n_conv_per_stage_decoder": kwargs["n_conv_per_stage_decoder"][: stages - 1],
        }
        own["architecture"] = {**base["architecture"], "arch_kwargs": kwargs}
    document["configurations"][_OWN] = own
    plans.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return _OWN


def _run(module: str, words: list[str], work: Path, options: NnunetTraining) -> None:
    threads = str(options.threads)
    own = {
        "nnUNet_raw": str(work / "raw"),
        "nnUNet_preprocessed": str(work / "preprocessed"),
        "nnUNet_results": str(work / "results"),
        "nnUNet_compile": "f",
        "nnUNet_def_n_proc": threads,
        "nnUNet_n_proc_DA": str(max(1, options.threads - 1)),
        "OMP_NUM_THREADS": threads,
    }
    for name in ("raw", "preprocessed", "results"):
        (work / name).mkdir(parents=True, exist_ok=True)
    # Module and arguments are fixed here; folder names are the user's own and are not passed to a shell.
    done = subprocess.run([sys.executable, "-m", module, *words], env={**os.environ, **own}, check=False, stdout=sys.stderr)  # noqa: S603
    if done.returncode:
        raise LumbarError(f"nnU-Net's {module.rsplit('.', 1)[-1]} failed with exit code {done.returncode}; see its output above")
