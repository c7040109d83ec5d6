"""Mirrored pairs of networks keep the sides, and the background bias."""

import pytest

torch = pytest.importorskip("torch", reason="training needs lumbar[train]")

from lumbar.muscle.learn.assembled import BackgroundBias, MirrorPair  # noqa: E402


class Bright(torch.nn.Module):
    """A stand-in network: the label where an image is bright, nothing elsewhere."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.label = label

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(image.shape[0], 5, *image.shape[2:])
        logits[:, 0] = torch.where(image[:, 0] > 0, -20.0, 20.0)
        logits[:, self.label] = torch.where(image[:, 0] > 0, 20.0, -20.0)
        return logits


def test_mirrored_predictions_of_the_second_network_are_mirrored_back():
    image = torch.zeros(1, 1, 4, 10)
    image[..., :3] = 1  # on the patient's right
    # In the mirror image the spot lies on the left, and is labelled so: 4 is the left erector spinae, 1 the right one.
    agreed = MirrorPair(Bright(1), Bright(4))(image)
    assert (agreed.argmax(dim=1)[..., :3] == 1).all()
    assert (agreed.argmax(dim=1)[..., 3:] == 0).all()
    chances = agreed.exp()
    assert chances[0, 1, 0, 0].item() == pytest.approx(1.0, abs=1e-3)
    disagreed = MirrorPair(Bright(1), Bright(3))(image).exp()  # the second one predicts multifidus
    assert disagreed[0, 1, 0, 0].item() == pytest.approx(0.5, abs=1e-3)
    assert disagreed[0, 2, 0, 0].item() == pytest.approx(0.5, abs=1e-3)


def test_the_background_bias_changes_nearly_equal_probabilities():
    image = torch.zeros(1, 1, 1, 2)
    image[..., 0] = 0.4  # logits below: 0.4 for muscle, and 0 for the background

    class Unsure(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.cat([torch.zeros_like(image), image, *[torch.full_like(image, -9.0)] * 3], dim=1)

    assert Unsure()(image).argmax(dim=1)[0, 0].tolist() == [1, 0]
    assert BackgroundBias(Unsure(), 0.3)(image).argmax(dim=1)[0, 0].tolist() == [1, 0]
    assert BackgroundBias(Unsure(), 0.5)(image).argmax(dim=1)[0, 0].tolist() == [0, 0]
    assert BackgroundBias(Unsure(), 0.5)(image)[0, 1:].tolist() == Unsure()(image)[0, 1:].tolist()
