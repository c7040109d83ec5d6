"""The networks for whole studies: sides, missing views and levels."""

import sys
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")

from lumbar.errors import UsageError  # noqa: E402
from lumbar.severity.learn.axial.augment import SWAPPED_SIDES  # noqa: E402
from lumbar.severity.learn.encoders import build_encoder  # noqa: E402
from lumbar.severity.learn.studies.network import StudyNetworkOptions, build_study_network  # noqa: E402

TINY = {"encoder": "tiny", "width": 16, "layers": 2, "heads": 2}


def a_network(**options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    network = build_study_network(StudyNetworkOptions(**{**TINY, **options})).eval()  # type: ignore[arg-type]
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return network


def some_inputs(channels: int = 3, slices: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((2, 5, 1, channels + slices - 3, 64, 64), (2, 5, 2, channels + slices - 3, 64, 64), (2, 5, 1, channels, 96, 136))
    return [*(torch.randn(shape, generator=generator) for shape in shapes), torch.ones(2, 5, 4), torch.randn(2, 5, 14, generator=generator)]


def mirrored(inputs: list[torch.Tensor], slices: int = 3) -> list[torch.Tensor]:
    """The mirrored studies: canal slices reversed, foramina swapped, axial images flipped."""
    canal, foramen, axial, present, measures = inputs
    turned = torch.cat([canal[..., :slices, :, :].flip(-3), canal[..., slices:, :, :]], -3)
    return [turned, foramen.flip(2), axial.flip(-1), present[:, :, [0, 2, 1, 3]], measures]


@pytest.mark.parametrize(("masks", "slices"), [(False, 3), (True, 3), (False, 5), (True, 5)])
def test_a_mirrored_study_has_exactly_mirrored_predictions(masks: bool, slices: int) -> None:
    network, inputs = a_network(masks=masks, measures=True, slices=slices), some_inputs(6 if masks else 3, slices)
    inputs[3][0, 2] = torch.tensor([1.0, 0.0, 1.0, 1.0])  # one foramen missing
    with torch.no_grad():
        straight, turned = network(*inputs), network(*mirrored(inputs, slices))
    torch.testing.assert_close(turned, straight[:, list(SWAPPED_SIDES)], atol=1e-4, rtol=0)
    assert (straight[:, 1] - straight[:, 2]).abs().max() > 1e-3  # and the sides differ
    assert (straight[:, 3] - straight[:, 4]).abs().max() > 1e-3


def test_without_mirroring_the_sides_share_no_weights() -> None:
    network, inputs = a_network(mirror=False), some_inputs()
    with torch.no_grad():
        straight, turned = network(*inputs), network(*mirrored(inputs))
    assert (turned - straight[:, list(SWAPPED_SIDES)]).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ["hybrid", "vit"])
def test_missing_views_are_ignored(kind: str) -> None:
    network, inputs = a_network(kind=kind), some_inputs()
    inputs[3][:, :, :3] = 0  # only axial crops
    for view in (0, 1):
        inputs[view] *= 0
    with torch.no_grad():
        zeros, none = network(*inputs), network(None, None, *inputs[2:])
        inputs[1] += torch.randn_like(inputs[1])
        noise = network(*inputs)
    if kind == "hybrid":
        torch.testing.assert_close(none, zeros, atol=1e-5, rtol=0)
        torch.testing.assert_close(noise, zeros, atol=1e-5, rtol=0)
    else:
        torch.testing.assert_close(none[:, 3:], zeros[:, 3:], atol=1e-5, rtol=0)
        assert not none[:, :3].any()  # equal probabilities where the vit has no crop


def test_without_cross_level_attention_a_missing_crop_affects_only_its_level() -> None:
    network, inputs = a_network(cross_level=False), some_inputs()
    with torch.no_grad():
        before = network(*inputs)
        inputs[0][0, 3] += torch.randn_like(inputs[0][0, 3])
        after = network(*inputs)
    changed = (after - before).abs().amax(dim=(1, 3))
    assert changed[0, 3] > 1e-4
    assert changed[0, [0, 1, 2, 4]].max() < 1e-6
    assert changed[1].max() < 1e-6


def test_levels_attend_to_their_own_study_only() -> None:
    network, inputs = a_network(), some_inputs()
    with torch.no_grad():
        before = network(*inputs)
        inputs[0][0, 3] += torch.randn_like(inputs[0][0, 3])
        after = network(*inputs)
    changed = (after - before).abs().amax(dim=(1, 3))
    assert (changed[0] > 1e-6).all()
    assert changed[1].max() < 1e-6


def test_measurements_are_used_only_by_networks_built_for_them() -> None:
    inputs = some_inputs()
    for wanted in (True, False):
        network = a_network(measures=wanted)
        with torch.no_grad():
            difference = (network(*inputs) - network(*inputs[:4], inputs[4] + 1)).abs().max()
        assert (difference > 1e-4) == wanted


def test_an_unknown_encoder_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="timm/NAME"):
        build_encoder("resnet", 3, False)


def test_an_encoder_of_timm_is_selected_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """timm needs a torchvision that fits PyTorch's build, so a stand-in replaces it here (timm 1.0: create_model)."""
    asked: list[tuple[str, dict[str, object]]] = []

    class Features(torch.nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.one = torch.nn.Conv2d(channels, 7, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.one(x).mean((2, 3))

    def create_model(name: str, pretrained: bool, in_chans: int, num_classes: int) -> torch.nn.Module:
        asked.append((name, {"pretrained": pretrained, "in_chans": in_chans, "num_classes": num_classes}))
        return Features(in_chans)

    stand_in = ModuleType("timm")
    stand_in.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", stand_in)
    network = a_network(encoder="timm/convnext_atto", pretrained=True)
    assert network(*some_inputs()).shape == (2, 5, 5, 3)
    assert asked[0] == ("convnext_atto", {"pretrained": True, "in_chans": 3, "num_classes": 0})


def test_outer_slices_and_mask_channels_affect_the_predictions() -> None:
    network, inputs = a_network(slices=5), some_inputs(3, 5)
    for view, place in ((0, 0), (0, 4), (1, 0), (1, 4)):
        changed = [x.clone() for x in inputs]
        changed[view][:, :, :, place] += 1.0 + torch.randn_like(changed[view][:, :, :, place])
        with torch.no_grad():
            assert (network(*inputs) - network(*changed)).abs().max() > 1e-4, (view, place)
