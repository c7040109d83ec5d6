"""The optimiser and schedule that most tasks train with."""

from typing import Any

import torch


def one_cycle(network: torch.nn.Module, learning_rate: float, weight_decay: float, steps: int, rising: float) -> dict[str, Any]:
    """AdamW (Loshchilov & Hutter 2019) on one cycle (Smith & Topin 2018) of `steps`, as Lightning's `configure_optimizers` wants it.

    The rate rises to `learning_rate` over the share `rising` of the steps. Norms and biases have no weight decay.
    """
    kept = [p for p in network.parameters() if p.ndim > 1]
    free = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": kept, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=rising)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
