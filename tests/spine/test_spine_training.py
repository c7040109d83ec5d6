"""Training, export and pseudo-labelling of the spine network on synthetic images."""

import numpy as np
import pytest
from cartoon import GREY, PIXEL, Drawing, draw, read

torch = pytest.importorskip("torch")

from lumbar.domain.anatomy import SpineClass  # noqa: E402
from lumbar.models.card import Card  # noqa: E402
from lumbar.models.folder import load_folder  # noqa: E402
from lumbar.spine.learn.pseudo_label import pseudo_label  # noqa: E402
from lumbar.spine.learn.train import SpineModule, SpineTraining, export, train  # noqa: E402
from lumbar.spine.network import INPUT, OUTPUT, TASK, network_of  # noqa: E402
from lumbar.training.augment import AugmentOptions, random_contrast, random_view  # noqa: E402
from lumbar.training.examples import LabelledSlice  # noqa: E402
from lumbar.training.fit import FitOptions  # noqa: E402

pytestmark = pytest.mark.usefixtures("whole_images")


def example() -> LabelledSlice:
    volume, _ = draw(Drawing())
    grey = np.rint(np.asarray(volume.array[7]) / 100).astype(int)
    grey[:6, :6] = GREY[SpineClass.BACKGROUND]
    table = {value: kind for kind, value in GREY.items()}
    labels = np.vectorize(table.get)(grey).astype(np.uint8)
    return LabelledSlice("one", np.asarray(volume.array[7], np.float32), labels, PIXEL)


def small(steps: int) -> SpineTraining:
    return SpineTraining(
        view=(128, 96), batch=2, features=(4, 8, 8, 8, 8, 8), schedule_steps=10, fit=FitOptions(steps=steps, threads=1, checkpoint_every=2, precision="32-true")
    )


def test_views_keep_labels_on_their_structures():
    one = example()
    canal_only = np.where(one.labels == SpineClass.CANAL, 1.0, 0.0).astype(np.float32)
    image, labels = random_view(canal_only, one.labels, (200, 150), 1.0, AugmentOptions(), np.random.default_rng(3))
    canal = labels == SpineClass.CANAL
    assert canal.sum() > 200
    assert image[canal].mean() > 0.95  # label and image are transformed alike
    assert image[~canal].mean() < 0.05


def test_contrast_augmentation_changes_grey_values_only():
    one = example()
    rng = np.random.default_rng(0)
    images = [random_contrast(one.image, one.labels, AugmentOptions(), rng) for _ in range(5)]
    assert all(p.shape == one.image.shape and np.isfinite(p).all() for p in images)
    assert all(abs(p.mean()) < 1e-3 and p.std() == pytest.approx(1, abs=1e-3) for p in images)
    assert np.abs(images[0] - images[1]).max() > 0.1


def test_an_interrupted_run_resumes_and_the_export_gives_the_same_outputs(tmp_path):
    torch.manual_seed(0)
    train([[example()]], tmp_path / "run", small(2))
    assert (tmp_path / "run" / "last.ckpt").is_file()
    module = train([[example()]], tmp_path / "run", small(4))
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)
    assert state["global_step"] == 4
    assert isinstance(module, SpineModule)
    bare = {"intended_use": "tests", "inputs": (), "outputs": (), "classes": (), "training_data": (), "results": ()}
    card = export(module, tmp_path / "model", Card("tiny", "0", TASK, "a test", **bare))
    assert card.export_difference is not None and card.export_difference < 1e-3
    network = network_of(load_folder(tmp_path / "model", task=TASK))
    images = np.random.default_rng(0).normal(size=(3, 1, 64, 96)).astype(np.float32)
    with torch.inference_mode():
        theirs = module.network.eval()(torch.from_numpy(images)).numpy()
    assert np.abs(network(images) - theirs).max() < 1e-3
    assert (INPUT, OUTPUT) == ("pictures", "logits")


def test_a_plausible_image_is_pseudo_labelled_and_an_upside_down_one_is_not():
    volume, _ = draw(Drawing())
    image = np.asarray(volume.array[7], np.float32)
    labelled = pseudo_label("one", image, PIXEL, read)
    assert labelled is not None
    assert {SpineClass.BODY, SpineClass.DISC, SpineClass.CANAL, SpineClass.SACRUM} <= set(np.unique(labelled.labels))

    def read_upside_down(images):
        return read(images[:, :, ::-1].copy())[:, :, ::-1].copy()

    assert pseudo_label("one", image[::-1].copy(), PIXEL, read_upside_down) is None


def test_train_spine_writes_a_model_folder_from_images(tmp_path, capsys):
    from PIL import Image  # noqa: PLC0415

    from lumbar.cli.main import main  # noqa: PLC0415

    mask = np.zeros((480, 384), np.uint8)
    mask[100:200, 100:160], mask[205:220, 100:160], mask[90:400, 170:185] = 76, 29, 150
    for kind, image in (("images", mask // 2), ("masks", mask)):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in (1, 2):
            Image.fromarray(image).save(tmp_path / "data" / kind / f"{number}_t2_SPACE_slice5.webp", lossless=True)
    words = ["train", "spine", str(tmp_path / "data"), "-o", str(tmp_path / "model"), "--runs", str(tmp_path / "runs"), "--licence", "none",
             "--leave-out", "2", "--steps", "2", "--threads", "1", "--precision", "32-true"]  # fmt: skip
    with pytest.raises(SystemExit) as left:
        main(words)
    assert not left.value.code
    model = load_folder(tmp_path / "model", task=TASK)
    assert "2 patients" not in model.card.trained_on and "1 patients" in model.card.trained_on
