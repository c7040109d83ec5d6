"""nnU-Net's preprocessing, tiling and export against nnU-Net itself, with networks of random weights, which suffice to compare labels."""

import json

import numpy as np
import pytest

from lumbar.datasets.nnunet_raw import RawCase, write_raw
from lumbar.domain.geometry import Grid
from lumbar.domain.volume import Volume
from lumbar.errors import ModelError, UsageError
from lumbar.muscle.nnunet.runtime import NnunetPlan, plan_from_card, predict_labels


def plan(**changes):
    values = {
        "spacing_mm": (1.0, 1.0),
        "patch": (32, 48),
        "normalization": ("ZScoreNormalization",),
        "masked": (False,),
        "intensity": ({},),
        "transpose": (0, 1, 2),
        "labels": (0, 1),
        "mirror": (),
        "separate_axis": None,
    }
    return NnunetPlan(**{**values, **changes})


def bright(tile):
    """Logits of a stand-in network: foreground where the normalised image is positive."""
    return np.concatenate([-tile[:, :1], tile[:, :1]], axis=1)


def test_labels_are_returned_on_the_voxels_of_the_image():
    truth = np.zeros((3, 61, 90), np.uint8)
    truth[1, 20:40, 30:60] = 1
    image = 100 + 900 * truth.astype(np.float32)
    for transpose in ((0, 1, 2), (0, 2, 1)):
        found = predict_labels(image[None], (4.0, 0.7, 0.6), bright, plan(transpose=transpose))
        assert found.shape == truth.shape
        assert (found == truth).mean() > 0.99


def test_empty_borders_are_cropped_and_stay_background():
    image = np.zeros((2, 80, 80), np.float32)
    image[:, 20:60, 20:60] = 5
    image[:, 30:50, 30:50] = 9
    found = predict_labels(image[None], (4.0, 1.0, 1.0), bright, plan())
    assert found[:, 30:50, 30:50].all()
    assert not found[:, :20].any()


def test_an_incomplete_card_is_rejected():
    with pytest.raises(ModelError, match="plan"):
        plan_from_card({"nnunet": {"patch": [1, 2]}})


def test_raw_data_set(tmp_path):
    grid = Grid(np.arange(3)[:, None] * [0.0, 0, 4], [0, 1.0, 0], [1.0, 0, 0], 8, 9)
    case = RawCase("a-water", Volume(np.ones(grid.shape, np.float32), grid), Volume(np.ones(grid.shape, np.uint8), grid))
    folder = write_raw(tmp_path, 515, "Muscle", {"one": 1}, [case])
    assert (folder / "imagesTr" / "a-water_0000.nii.gz").is_file()
    assert json.loads((folder / "dataset.json").read_text())["labels"] == {"background": 0, "one": 1}
    with pytest.raises(UsageError, match="already"):
        write_raw(tmp_path, 515, "Muscle", {"one": 1}, [case])


def trained_folder(root, flat, transpose=(0, 1, 2)):
    """A trained nnU-Net folder with random weights."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("nnunetv2")
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # noqa: PLC0415

    d = 2 if flat else 3
    name, patch, spacing = ("2d", [64, 64], [0.9, 0.9]) if flat else ("3d_fullres", [8, 48, 48], [4.0, 1.1, 1.1])
    kwargs = {
        "n_stages": 3,
        "features_per_stage": [8, 16, 16],
        "conv_op": f"torch.nn.modules.conv.Conv{d}d",
        "kernel_sizes": [[3] * d] * 3,
        "strides": [[1] * d] + [[2] * d] * 2,
        "n_conv_per_stage": [2, 2, 2],
        "n_conv_per_stage_decoder": [2, 2],
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{d}d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": kwargs,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    resampling = "resample_data_or_seg_to_shape"
    configuration = {
        "data_identifier": "x",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": patch,
        "spacing": spacing,
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": resampling,
        "resampling_fn_seg": resampling,
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
        "resampling_fn_probabilities": resampling,
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
        "architecture": architecture,
        "batch_dice": True,
    }
    plans = {
        "dataset_name": "Dataset001_Test",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [4.0, 1.0, 1.0],
        "original_median_shape_after_transp": [10, 70, 80],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": list(transpose),
        "transpose_backward": np.argsort(transpose).tolist(),
        "configurations": {name: configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": 1, "std": 1, "percentile_00_5": 0, "percentile_99_5": 9, "min": 0, "max": 9, "median": 1}
        },
    }
    dataset = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1, "b": 2, "c": 3, "d": 4}, "numTraining": 1, "file_ending": ".nii.gz"}
    torch.manual_seed(0)
    network = get_network_from_plans(architecture["network_class_name"], kwargs, architecture["_kw_requires_import"], 1, 5, deep_supervision=True)
    (root / "fold_0").mkdir(parents=True)
    (root / "plans.json").write_text(json.dumps(plans))
    (root / "dataset.json").write_text(json.dumps(dataset))
    checkpoint = {"network_weights": network.state_dict(), "trainer_name": "nnUNetTrainer", "init_args": {"configuration": name}}
    torch.save({**checkpoint, "inference_allowed_mirroring_axes": None}, root / "fold_0" / "checkpoint_final.pth")
    return root


def noise_image(shape=(6, 90, 101)):
    from scipy import ndimage  # noqa: PLC0415

    image = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), (0.5, 3, 3)) * 500 + 300
    image[:, :7] = 0
    return image.astype(np.float32)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("flat", "transpose"), [(True, (0, 1, 2)), (True, (0, 2, 1)), (False, (0, 1, 2))])
def test_an_imported_network_labels_as_nnunet_does(tmp_path, flat, transpose):
    source = trained_folder(tmp_path / "source", flat, transpose)
    from lumbar.muscle.learn.nnunet_import import ImportOptions, check_import, import_nnunet  # noqa: PLC0415

    out = tmp_path / "model"
    out.mkdir()
    options = ImportOptions("test")
    card = import_nnunet(source, out, options)
    assert card.export_difference < 1e-3
    assert card.classes == ("background", "a", "b", "c", "d")
    equal = check_import(source, out, [noise_image()[None]], (4.0, 1.0, 0.8), options)
    assert equal >= 0.999  # random weights give ragged labels, so this is harder than with a trained network


def test_two_stages_are_rejected(tmp_path):
    pytest.importorskip("torch")
    from lumbar.muscle.learn.nnunet_train import NnunetTraining, train_nnunet  # noqa: PLC0415

    with pytest.raises(UsageError, match="at least 3"):
        train_nnunet([], tmp_path / "work", NnunetTraining(features=(8, 16)))


def test_other_data_sets_in_the_work_folder_are_kept(tmp_path):
    pytest.importorskip("torch")
    from lumbar.muscle.learn.nnunet_train import NnunetTraining, train_nnunet  # noqa: PLC0415

    others, halfway = tmp_path / "raw" / "Dataset001_Mine", tmp_path / "raw" / "Dataset515_LumbarMuscle" / "imagesTr"
    for folder in (others, halfway):
        folder.mkdir(parents=True)
        (folder / "a.nii.gz").write_bytes(b"x")
    with pytest.raises(UsageError, match="nothing"):
        train_nnunet([], tmp_path, NnunetTraining())
    assert (others / "a.nii.gz").is_file()
    assert not (halfway / "a.nii.gz").exists()


def test_a_folder_of_another_network_is_rejected(tmp_path):
    pytest.importorskip("torch")
    from lumbar.muscle.learn.nnunet_train import NnunetTraining, train_nnunet  # noqa: PLC0415

    asked = {"configuration": "2d", "patch": None, "batch": None, "features": [8, 16, 16]}
    (tmp_path / "prepared.json").write_text(json.dumps({"asked": asked, "train": "lumbar"}))
    with pytest.raises(UsageError, match="started with"):
        train_nnunet([], tmp_path, NnunetTraining(features=(8, 16, 32)))
