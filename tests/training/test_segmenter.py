"""The loss and the optimiser shared by segmentation tasks."""

import pytest

torch = pytest.importorskip("torch")

from lumbar.training.examples import IGNORED  # noqa: E402
from lumbar.training.segmenter import Segmenter, soft_dice_loss  # noqa: E402


def test_the_dice_loss_is_that_of_two_worked_masks():
    target = torch.tensor([[[1, 1], [0, 0]]])
    sure = torch.full((1, 2, 2, 2), -50.0)
    sure[0, 1, 0, 0] = sure[0, 1, 1, 0] = sure[0, 0, 0, 1] = sure[0, 0, 1, 1] = 50.0  # class 1 in the left column
    # one pixel of overlap, two pixels each: (2·1 + 1) / (4 + 1)
    assert float(soft_dice_loss(sure, target)) == pytest.approx(1 - 3 / 5, abs=1e-5)
    ignored = torch.tensor([[[1, 1], [IGNORED, 0]]])  # without the wrong pixel: (2·1 + 1) / (3 + 1)
    assert float(soft_dice_loss(sure, ignored)) == pytest.approx(1 - 3 / 4, abs=1e-5)


def test_training_steps_lower_the_loss_of_the_image_they_see():
    torch.manual_seed(0)
    module = Segmenter(2, (4, 8), 2e-2, 40)
    module.log_dict = lambda *_, **__: None  # outside a trainer there is nowhere to log
    target = torch.zeros(1, 16, 16, dtype=torch.long)
    target[:, 4:12, 4:12] = 1
    image = target[:, None].float() + 0.1 * torch.randn(1, 1, 16, 16)
    found = module.configure_optimizers()
    optimizer, schedule = found["optimizer"], found["lr_scheduler"]["scheduler"]
    losses = []
    for _ in range(40):
        loss = module.training_step((image, target), 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
