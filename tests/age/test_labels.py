"""Auxiliary labels of the levels: read with blanks, standardised, and used only where known."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from lumbar.age.learn.network import AgeNetworkOptions  # noqa: E402
from lumbar.age.learn.train import AgeModule, AgeTraining, label_loss, standardised  # noqa: E402
from lumbar.datasets.age_table import read_age_table  # noqa: E402
from lumbar.errors import UnreadableInput  # noqa: E402

LEVELS = ("l1_l2", "l2_l3", "l3_l4", "l4_l5", "l5_s1")


def _table(path: Path, cells: str, names: tuple[str, ...] = LEVELS) -> Path:
    header = ["subject", "site", "sex", "age", *(f"Pfirrmann_{name}" for name in names)]
    path.write_text(",".join(header) + "\n" + "a,X,F,50," + cells + "\n" + "b,X,M,60,1,1,1,1,5\n")
    return path


def test_labels_are_read_by_level_and_blank_cells_are_not_known(tmp_path: Path) -> None:
    found = read_age_table(_table(tmp_path / "t.csv", "2,,3,4,nan"), labels=("pfirrmann",)).labels
    assert found is not None
    assert found.shape == (2, 5, 1)
    assert np.array_equal(found[0, :, 0], [2, np.nan, 3, 4, np.nan], equal_nan=True)
    assert found[1, :, 0].tolist() == [1, 1, 1, 1, 5]
    assert read_age_table(tmp_path / "t.csv").labels is None


def test_a_missing_level_column_and_text_for_a_number_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="pfirrmann_l5_s1"):
        read_age_table(_table(tmp_path / "t.csv", "2,2,3,4,5", (*LEVELS[:4], "s1_s2")), labels=("pfirrmann",))
    with pytest.raises(UnreadableInput, match="line 2: pfirrmann_l3_l4 is 'severe'"):
        read_age_table(_table(tmp_path / "u.csv", "2,2,severe,4,5"), labels=("pfirrmann",))


def test_labels_are_put_on_one_scale_a_level() -> None:
    labels = np.array([[[1.0, 7]], [[3, 7]], [[np.nan, 7]]], dtype=np.float32)
    assert np.array_equal(standardised(labels)[..., 0], [[-1], [1], [np.nan]], equal_nan=True)
    assert standardised(labels)[..., 1].tolist() == [[0], [0], [0]]


def test_only_what_is_known_and_seen_counts() -> None:
    """By hand: errors 1 and 0.25 cost 1 − 0.25 and 0.25² / (2 · 0.5); the third label is not known, the second level not seen."""
    found = torch.tensor([[[1.0], [9.0]], [[0.25], [5.0]]])
    labels = torch.tensor([[[0.0], [0.0]], [[0.0], [float("nan")]]])
    present = torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]])
    assert label_loss(found, labels, present).item() == pytest.approx((0.75 + 0.0625) / 2)
    assert label_loss(found, labels, present * 0).item() == 0


def test_labels_teach_the_encoder_and_are_no_part_of_the_network() -> None:
    torch.manual_seed(0)
    shape = AgeNetworkOptions(channels=(8, 16), features=16, rows=16, columns=16)
    module = AgeModule(AgeTraining(network=shape, contrast="none", segment_weight=0, label_weight=1), labels=2)
    module.log = module.log_dict = lambda *_, **__: None  # type: ignore[assignment, method-assign]
    sets = (torch.rand(4, 5, 3, 16, 16), torch.zeros(4, 5, 3), torch.ones(4, 5, 3), torch.zeros(4), torch.tensor([30.0, 40, 50, 60]))
    gradients = []
    for labels in (torch.full((4, 5, 2), float("nan")), torch.randn(4, 5, 2)):
        module.zero_grad()
        module.training_step((*sets, labels), 0).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in module.network.encoder.parameters()]))
    assert (gradients[0] - gradients[1]).abs().max() > 1e-4
    assert not any("labels" in name for name in module.network.state_dict())
