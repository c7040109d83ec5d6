"""Loss on slices some of which have no labels of psoas and vertebra, and on pseudo-labels that leave out what is unsure.

Where those are not labelled, what a reader left as background may be any of them, so their probabilities are added to that of the background before
it is compared (marginal loss, Shi et al., Medical Image Analysis 2021).
"""

import torch

EXTRA = (5, 6, 7)  # classes that are labelled in some data sets only
UNSURE = 8  # the number of pixels without a label in a target; they do not count


def marginal_loss(logits: torch.Tensor, target: torch.Tensor, complete: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice of logits (batch, 8, rows, columns) against classes (batch, rows, columns); `complete` (batch,) has all classes labelled.

    Pixels whose class is `UNSURE` are left out of both.
    """
    scores = logits.float().log_softmax(dim=1)
    merged = torch.logsumexp(scores[:, [0, *EXTRA]], dim=1)
    background = torch.where(complete[:, None, None], scores[:, 0], merged)
    scores = torch.cat([background[:, None], scores[:, 1:]], dim=1)
    entropy = torch.nn.functional.nll_loss(scores, target, ignore_index=UNSURE)
    return entropy + _dice_loss(scores.exp()[:, 1:], target, complete)


def _dice_loss(probabilities: torch.Tensor, target: torch.Tensor, complete: torch.Tensor) -> torch.Tensor:
    """One minus the mean soft Dice over the classes, each pooled over the slices that are labelled for it."""
    one_hot = torch.nn.functional.one_hot(target, UNSURE + 1).movedim(-1, 1)[:, 1:UNSURE].to(probabilities.dtype)
    probabilities = probabilities * (target != UNSURE)[:, None]
    overlap, size = (probabilities * one_hot).sum(dim=(2, 3)), (probabilities + one_hot).sum(dim=(2, 3))  # (batch, classes)
    counted = torch.ones_like(size)
    for label in EXTRA:
        counted[:, label - 1] = complete.to(size.dtype)
    overlap, size = (overlap * counted).sum(dim=0), (size * counted).sum(dim=0)
    present = size > 0
    return 1 - ((2 * overlap[present] + 1) / (size[present] + 1)).mean()
