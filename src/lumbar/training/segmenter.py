"""A U-Net with loss and optimiser, shared by all segmentation tasks."""

import lightning
import torch

from lumbar.training.examples import IGNORED
from lumbar.training.unet import UNet


class Segmenter(lightning.LightningModule):
    """Cross-entropy plus soft Dice over the classes, AdamW, one-cycle learning rate over `schedule_steps` with `learning_rate` as its highest."""

    def __init__(self, classes: int, features: tuple[int, ...], learning_rate: float, schedule_steps: int) -> None:
        super().__init__()
        self.network = UNet(classes, features)
        self.learning_rate = learning_rate
        self.schedule_steps = schedule_steps

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        """Loss of one batch of images (batch, 1, rows, columns) and classes or IGNORED (batch, rows, columns)."""
        image, target = batch
        logits = self.network(image).float()
        entropy = torch.nn.functional.cross_entropy(logits, target, ignore_index=IGNORED)
        dice = soft_dice_loss(logits, target)
        self.log_dict({"loss": entropy + dice, "entropy": entropy, "dice_loss": dice}, prog_bar=True)
        return entropy + dice

    def configure_optimizers(self):  # type: ignore[no-untyped-def]
        """Optimiser and schedule."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=self.schedule_steps, pct_start=0.08)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def soft_dice_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """One minus the mean soft Dice over the classes but background, pooled over the batch (Drozdzal et al. 2016, batch Dice)."""
    probabilities = logits.softmax(dim=1)[:, 1:]
    known = (target != IGNORED)[:, None]
    one_hot = torch.nn.functional.one_hot(torch.where(known[:, 0], target, 0), logits.shape[1]).movedim(-1, 1)[:, 1:].to(probabilities.dtype)
    probabilities = probabilities * known
    overlap = (probabilities * one_hot).sum(dim=(0, 2, 3))
    size = (probabilities + one_hot).sum(dim=(0, 2, 3))
    return 1 - ((2 * overlap + 1) / (size + 1)).mean()
