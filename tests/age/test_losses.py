"""Contrastive losses: values by hand, gradients that are not zero, and features ordered by age."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lumbar.age.learn.losses import CONTRASTS, no_contrast, rank_n_contrast, y_aware_infonce  # noqa: E402
from lumbar.errors import UsageError  # noqa: E402


def test_rank_n_contrast_by_hand() -> None:
    """Points at 0, 1 and 3 of a line, ages likewise: of the six pairs three have only themselves to be compared with."""
    features = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    pairs = [(1, 3), (1, 2), (2, 3)]  # distance of the nearer, and of the farther one
    wanted = sum(math.log(1 + math.exp(near - far)) for near, far in pairs) / 6
    assert rank_n_contrast(features, torch.tensor([0.0, 1.0, 3.0]), temperature=1.0).item() == pytest.approx(wanted, abs=1e-5)


def test_y_aware_by_loops() -> None:
    rng = np.random.default_rng(0)
    z, age = rng.normal(size=(7, 3)), rng.uniform(20, 80, 7)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    wanted = 0.0
    for i in range(7):
        others = [j for j in range(7) if j != i]
        weight = {j: math.exp(-((age[i] - age[j]) ** 2) / 50) for j in others}
        total = sum(math.exp(unit[i] @ unit[j] / 0.1) for j in others)
        wanted -= sum(weight[j] / sum(weight.values()) * math.log(math.exp(unit[i] @ unit[j] / 0.1) / total) for j in others) / 7
    assert y_aware_infonce(torch.tensor(z), torch.tensor(age)).item() == pytest.approx(wanted, rel=1e-6)


def test_order_by_age_costs_less_than_disorder() -> None:
    age = torch.linspace(20, 80, 12)
    line = torch.stack([age / 5, torch.zeros(12)], dim=1)
    arc = torch.stack([(age / 40).cos(), (age / 40).sin()], dim=1)
    mixed = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    assert rank_n_contrast(line, age) < rank_n_contrast(line[mixed], age) - 0.1
    assert y_aware_infonce(arc, age) < y_aware_infonce(arc[mixed], age) - 0.1


@pytest.mark.parametrize("loss", [rank_n_contrast, y_aware_infonce])
def test_gradient_is_not_zero_and_finite_even_for_equal_features(loss) -> None:  # type: ignore[no-untyped-def]
    features = torch.randn(10, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    loss(features, torch.linspace(20, 80, 10)).backward()
    assert features.grad is not None
    assert (features.grad.norm(dim=1) > 1e-4).all()
    equal = torch.ones(5, 4, requires_grad=True)
    loss(equal, torch.linspace(20, 80, 5)).backward()
    assert equal.grad is not None
    assert torch.isfinite(equal.grad).all()


@pytest.mark.parametrize("loss", [rank_n_contrast, y_aware_infonce])
def test_descent_sorts_features_by_age(loss) -> None:  # type: ignore[no-untyped-def]
    """Published property: after training, distance between features follows distance in age."""
    age = torch.linspace(20, 80, 16)
    features = torch.randn(16, 4, generator=torch.Generator().manual_seed(2)).requires_grad_()
    optimizer = torch.optim.Adam([features], lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        loss(features, age).backward()
        optimizer.step()
    z = features.detach() if loss is rank_n_contrast else torch.nn.functional.normalize(features.detach(), dim=1)
    near = [(z[i] - z[i + 1]).norm().item() for i in range(15)]
    far = [(z[i] - z[i + 8]).norm().item() for i in range(8)]
    assert max(near) < min(far)


def test_one_dimension_is_rejected_as_its_direction_has_no_gradient() -> None:
    """The published system projected to one dimension: the direction of a number is its sign, and its gradient exactly zero."""
    narrow = torch.randn(6, 1).requires_grad_()
    torch.nn.functional.normalize(narrow, dim=1).sum().backward()
    assert narrow.grad is not None
    assert narrow.grad.abs().max().item() == 0
    for loss in CONTRASTS.values():
        with pytest.raises(UsageError, match="at least 2"):
            loss(narrow, torch.arange(6.0))
    with pytest.raises(UsageError, match="three images"):
        rank_n_contrast(torch.zeros(2, 4), torch.arange(2.0))


def test_no_contrast_is_zero() -> None:
    assert no_contrast(torch.randn(4, 3), torch.arange(4.0)).item() == 0
