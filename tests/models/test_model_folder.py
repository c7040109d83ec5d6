"""Model folders: written ones can be loaded, changed ones cannot."""

import json
from pathlib import Path

import numpy as np
import pytest

from lumbar.errors import ModelError
from lumbar.models.card import Card, Result, TensorSpec, TrainingData, read_card
from lumbar.models.folder import check_folder, load_folder, write_card
from lumbar.models.registry import find_model, find_named, model_folders

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def a_card(name: str = "toy", task: str = "toy-task") -> Card:
    spec = TensorSpec("x", ("batch", 2), "two numbers")
    return Card(
        name=name,
        version="1",
        task=task,
        description="doubles what it gets",
        intended_use="tests",
        inputs=(spec,),
        outputs=(TensorSpec("y", ("batch", 2), "twice x"),),
        classes=(),
        training_data=(TrainingData("nothing", "CC0", "made by hand"),),
        results=(Result("sum", "error", 0.0, "by hand", (0.0, 0.1), headline=True),),
        parameters={"pixel_mm": 0.5},
    )


def doubling_network(path: Path, factor: float = 2.0) -> None:
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(np.array([factor], np.float32), "factor")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def make_folder(folder: Path, **names: str) -> Path:
    folder.mkdir(parents=True)
    doubling_network(folder / "model.onnx")
    write_card(folder, a_card(**names))
    return folder


def test_a_written_folder_loads_and_computes(tmp_path: Path) -> None:
    model = load_folder(make_folder(tmp_path / "toy"))
    result = model.run({"x": np.array([[1, 2], [3, 4]])})  # integers are cast to the type of the graph
    np.testing.assert_array_equal(result["y"], [[2, 4], [6, 8]])
    assert model.card.parameters == {"pixel_mm": 0.5}
    assert model.card.inputs[0].shape == ("batch", 2)
    assert model.use.trained_on == "nothing (CC0)"
    assert len(model.use.sha256) == 64


def test_an_ensemble_runs_each_network_and_refuses_to_run_as_one(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    folder.mkdir()
    for fold, factor in enumerate((2.0, 5.0)):
        doubling_network(folder / f"fold{fold}.onnx", factor)
    write_card(folder, a_card())
    model = load_folder(folder)
    assert [out["y"].tolist() for out in (network.run({"x": np.ones((1, 2))}) for network in model.networks)] == [[[2.0, 2.0]], [[5.0, 5.0]]]
    with pytest.raises(ModelError, match="2 networks"):
        model.run({"x": np.ones((1, 2))})


def test_a_changed_file_is_rejected(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "toy")
    doubling_network(folder / "model.onnx", factor=3.0)
    with pytest.raises(ModelError, match=r"model\.onnx has sha256 .* changed or damaged"):
        check_folder(folder)
    with pytest.raises(ModelError, match="changed or damaged"):
        load_folder(folder)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "toy")
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"model\.onnx is named by the card but cannot be read"):
        load_folder(folder)


def test_an_invalid_network_is_rejected(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"not a network")
    write_card(folder, a_card())
    with pytest.raises(ModelError, match="not a network"):
        load_folder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"schema": 99}, "schema 99"), ({"inputs": [{"name": "x"}]}, "lacks a field"), ({"files": {"../../etc/passwd": "0"}}, "plain name")],
)
def test_a_wrong_card_is_rejected(tmp_path: Path, change: dict[str, object], message: str) -> None:
    folder = make_folder(tmp_path / "toy")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **change}))
    with pytest.raises(ModelError, match=message):
        read_card(folder)


def test_a_folder_without_card_and_a_card_that_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model folder"):
        read_card(tmp_path)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(ModelError, match="as JSON"):
        read_card(tmp_path)


def test_wrong_inputs_are_explained(tmp_path: Path) -> None:
    model = load_folder(make_folder(tmp_path / "toy"))
    with pytest.raises(ModelError, match=r"takes the inputs \['x'\], not \['z'\]"):
        model.run({"z": np.ones((1, 2))})
    with pytest.raises(ModelError, match=r"shapes .*\(1, 3\)"):
        model.run({"x": np.ones((1, 3))})


def test_the_users_models_come_first(tmp_path: Path) -> None:
    mine = make_folder(tmp_path / "models" / "toy")
    other = make_folder(tmp_path / "models" / "other", name="other", task="another-task")
    assert model_folders(tmp_path / "models")[:2] == [other, mine]
    assert model_folders(mine)[0] == mine  # a single model folder will do as well
    assert find_model("toy-task", tmp_path / "models").folder == mine
    assert find_named("other", tmp_path / "models")[0] == other
    with pytest.raises(ModelError, match="no model for the task 'teeth'"):
        find_model("teeth", mine)
    with pytest.raises(ModelError, match="no model is called 'teeth'"):
        find_named("teeth", mine)
    with pytest.raises(ModelError, match="for the task 'toy-task', needed is one for 'teeth'"):
        load_folder(mine, task="teeth")


def test_a_models_folder_without_models_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no model"):
        model_folders(tmp_path)


def test_packaged_models_are_undamaged_and_say_their_licence() -> None:
    for folder in model_folders():
        card = check_folder(folder)
        assert card.name == folder.name
        assert card.training_data, folder
        assert all(data.licence for data in card.training_data), folder
        assert card.research_only == (folder.parent.name == "weights_research"), folder
