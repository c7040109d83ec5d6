"""The slice-set network: missing slices are ignored, positions are used, and every head predicts years."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from lumbar.age.crops import LEVELS  # noqa: E402
from lumbar.age.learn.network import HEADS, POOLINGS, AgeNetwork, AgeNetworkOptions, ages_of, bin_centres, head_loss  # noqa: E402
from lumbar.age.segments import SEGMENT_LEVELS, SEGMENTS  # noqa: E402
from lumbar.errors import UsageError  # noqa: E402

SMALL = AgeNetworkOptions(channels=(8, 16), features=16, rows=16, columns=16)


def _input(slices: int = 4, people: int = 2):  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(people, len(LEVELS), slices, 16, 16, generator=generator)
    position = torch.linspace(-1, 1, slices).expand(people, len(LEVELS), slices).clone()
    return images, position, torch.ones(people, len(LEVELS), slices), torch.zeros(people)


def _network(**options: str) -> AgeNetwork:
    torch.manual_seed(1)
    return AgeNetwork(replace(SMALL, **options)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_missing_slices_do_not_count(pooling: str) -> None:
    network = _network(pooling=pooling)
    images, position, present, sex = _input()
    wanted = network(images, position, present, sex)[0]
    more = torch.cat([images, torch.randn_like(images)], dim=2)
    places, there = torch.cat([position, position], dim=2), torch.cat([present, torch.zeros_like(present)], dim=2)
    assert torch.allclose(network(more, places, there, sex)[0], wanted, atol=1e-4)


@pytest.mark.parametrize("pooling", ["attention", "mean", "max"])
def test_order_of_storage_does_not_matter_but_position_does(pooling: str) -> None:
    network = _network(pooling=pooling)
    images, position, present, sex = _input()
    wanted = network(images, position, present, sex)[0]
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(network(images[:, :, order], position[:, :, order], present, sex)[0], wanted, atol=1e-4)
    assert not torch.allclose(network(images, position[:, :, order], present, sex)[0], wanted, atol=1e-3)


def test_a_missing_level_leaves_a_finite_answer_that_does_not_look_at_it() -> None:
    network = _network()
    images, position, present, sex = _input()
    present[:, 2] = 0
    ages, _, features = network(images, position, present, sex)
    assert ages.shape == (2, len(SEGMENTS))
    assert features.shape == (2, len(SEGMENTS), 16)
    assert torch.isfinite(ages).all()
    changed = images.clone()
    changed[:, 2] += 5
    assert torch.allclose(network(changed, position, present, sex)[0][:, -1], ages[:, -1], atol=1e-4)


def test_a_segment_depends_on_its_own_levels_only() -> None:
    network = _network()
    images, position, present, sex = _input()
    before = network(images, position, present, sex)[0]
    for number, level in enumerate(LEVELS):
        changed = images.clone()
        changed[:, number] += 3
        moved = ((network(changed, position, present, sex)[0] - before).abs() > 1e-3).any(dim=0).tolist()
        assert moved == [level in SEGMENT_LEVELS[name] for name in SEGMENTS]


def test_sex_counts_where_it_is_known() -> None:
    network = _network()
    *sets, sex = _input()
    woman, man = network(*sets, sex + 1)[0], network(*sets, sex - 1)[0]
    assert not torch.allclose(woman, man, atol=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_every_weight_that_is_used_gets_a_gradient(head: str) -> None:
    network = _network(head=head).train()
    _, outputs, _ = network(*_input())
    sum(head_loss(outputs[:, k], torch.tensor([30.0, 70.0]), network.options) for k in range(outputs.shape[1])).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0 for p in network.encoder.parameters())


def test_heads_by_hand() -> None:
    options = AgeNetworkOptions(low_years=20, high_years=80, bin_years=20)
    assert bin_centres(options).tolist() == [30, 50, 70]
    soft = replace(options, head="soft-label")
    assert ages_of(torch.tensor([0.0, 0.0, 0.0]), soft).item() == pytest.approx(50)
    assert ages_of(torch.tensor([-50.0, -50.0, 50.0]), soft).item() == pytest.approx(70)
    ordinal = replace(options, head="ordinal")
    assert ages_of(torch.tensor([50.0, -50.0]), ordinal).item() == pytest.approx(50)  # above 40, not above 60
    assert ages_of(torch.tensor([0.0]), options).item() == pytest.approx(50)


@pytest.mark.parametrize("head", HEADS)
def test_the_head_alone_can_be_trained(head: str) -> None:
    options = replace(AgeNetworkOptions(), head=head)
    width = {"regression": 1, "soft-label": options.bins, "ordinal": options.bins - 1}[head]
    outputs = torch.zeros(2, width, requires_grad=True)
    true = torch.tensor([33.0, 71.0])
    optimizer = torch.optim.Adam([outputs], lr=0.2)
    for _ in range(300):
        optimizer.zero_grad()
        head_loss(outputs, true, options).backward()
        optimizer.step()
    assert ages_of(outputs, options).tolist() == pytest.approx([33, 71], abs=1.1)


def test_unknown_choices_are_rejected() -> None:
    with pytest.raises(UsageError, match="median"):
        AgeNetwork(replace(SMALL, pooling="median"))
