"""Early stopping, with simulated validation results."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from lumbar.training.best_weights import BestWeights  # noqa: E402


def stopped_at(scores: list[float], patience: int, not_before: int) -> tuple[int | None, float]:
    """The step at which training would end when it is validated every 100 steps, and the weight that would be kept."""
    network, callback = torch.nn.Linear(1, 1, bias=False), BestWeights("score", patience, not_before)
    for number, score in enumerate(scores, 1):
        torch.nn.init.constant_(network.weight, number)
        trainer = SimpleNamespace(callback_metrics={"score": score}, global_step=100 * number, should_stop=False)
        callback.on_validation_start(trainer, network)  # type: ignore[arg-type]
        callback.on_validation_end(trainer, network)  # type: ignore[arg-type]
        if trainer.should_stop:
            break
    callback.on_train_end(trainer, network)  # type: ignore[arg-type]
    return (trainer.global_step if trainer.should_stop else None), float(network.weight.detach())


def test_training_ends_when_the_best_has_not_been_beaten_for_long() -> None:
    assert stopped_at([5, 4, 6, 6, 1], patience=2, not_before=0) == (400, 2.0)
    assert stopped_at([5, 4, 6, 3, 6], patience=2, not_before=0) == (None, 4.0)


def test_what_happens_while_the_learning_rate_is_high_does_not_end_training() -> None:
    assert stopped_at([5, 6, 6, 6, 6, 4], patience=2, not_before=600) == (None, 6.0)
    assert stopped_at([5, 6, 6, 6, 6, 6], patience=2, not_before=500) == (600, 1.0)
