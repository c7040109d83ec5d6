"""`lumbar train muscle` from files to a model folder for `lumbar segment muscle`, with both engines, for a few steps."""

import json
import shutil

import pytest
from scene import axial_grid, axial_mask, dixon

from lumbar.cli.main import main
from lumbar.io.nifti import read_nifti_mask, write_nifti


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    grid = axial_grid(slices=6, rows=64, columns=160)
    mask = axial_mask(grid)
    for name, share in (("a", 0.1), ("b", 0.3)):
        water, fat = dixon(grid, mask, dict.fromkeys((1, 2, 3, 4), share))
        for part, volume in (("water", water), ("fat", fat), ("mask", mask)):
            write_nifti(folder / f"{name}_{part}.nii.gz", volume)
    return folder


def run(capfd, *words):
    """The output of the command; nnU-Net's programs write to the real standard error, so files are captured."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    out, err = capfd.readouterr()
    assert stop.value.code == 0, err
    return out


def trained_and_used(capfd, tmp_path, data, *words):
    pytest.importorskip("lightning")
    model, out = tmp_path / "model", tmp_path / "out"
    said = run(capfd, "train", "muscle", data, "-o", model, "--threads", "1", *words)
    run(capfd, "segment", "muscle", data / "a_water.nii.gz", "-o", out, "--models", model, "--json")
    mask = read_nifti_mask(out / "muscle.nii.gz")
    assert mask.array.shape == (6, 64, 160)
    return json.loads((model / "card.json").read_text()), said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_own_network_is_trained_exported_and_used(capfd, tmp_path, data):
    card, said = trained_and_used(capfd, tmp_path, data, "--steps", "2", "--synthetic", "2", "--licence", "drawn for this test")
    assert card["task"] == "muscle"
    assert card["training_data"][0]["licence"] == "drawn for this test"
    assert "2 subjects" in card["training_data"][0]["note"]
    assert "8 slices of 2 synthetic people" in card["training_data"][1]["note"]
    assert "differs from PyTorch" in said


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_nnunet_is_driven_from_files_to_an_imported_model(capfd, tmp_path, data):
    pytest.importorskip("nnunetv2")
    small = [word for size in (32, 64) for word in ("--patch", str(size))] + [word for n in (8, 16, 16) for word in ("--features", str(n))]
    card, said = trained_and_used(capfd, tmp_path, data, "--engine", "nnunet", "--epochs", "1", "--iterations", "2", "--batch", "2", *small)
    assert card["parameters"]["engine"] == "nnunet"
    assert card["parameters"]["nnunet"]["patch"] == [32, 64]
    assert card["parameters"]["nnunet"]["mirror"] == []
    assert float(said.rsplit("at least", 1)[1].split("%")[0]) >= 99.9


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_interrupted_nnunet_training_resumes(capfd, tmp_path, data):
    pytest.importorskip("nnunetv2")
    small = [word for n in (8, 16, 16) for word in ("--features", str(n))] + ["--patch", "32", "--patch", "64", "--batch", "2", "--iterations", "2"]
    words = ("--engine", "nnunet", *small, "--learning-rate", "0.001", "--overwrite", "--epochs")
    trained_and_used(capfd, tmp_path, data, *words, "1")
    for path in data.glob("b_*"):
        path.unlink()  # preparation is not repeated
    shutil.rmtree(tmp_path / "out")
    trained_and_used(capfd, tmp_path, data, *words, "2")
    logs = "".join(path.read_text() for path in sorted((tmp_path / "model.work").rglob("training_log_*.txt")))
    assert logs.count("Epoch 0") == 1
    assert logs.count("Epoch 1") == 1
