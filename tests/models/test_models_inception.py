"""The Inception network against pytorch-fid's, with random weights for both."""

import pytest
import torch
from pytorch_fid import inception as original
from torch import nn

from vaebench.errors import UserError
from vaebench.models import inception

WEIGHTS = "pt_inception-2015-12-05-6726825d.pth"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file like pytorch-fid's, of weights that keep the scale of what goes through."""
    torch.manual_seed(0)
    network = inception.build().network
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.normal_(0, (2 / layer.weight[0].numel()) ** 0.5)
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.uniform_(0.8, 1.2)
            layer.bias.uniform_(-0.2, 0.2)
            layer.running_mean.uniform_(-0.2, 0.2)
            layer.running_var.uniform_(0.8, 1.2)
    path = tmp_path_factory.mktemp("inception") / WEIGHTS
    # As ported from TensorFlow: without the counters of batch norm.
    kept = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    torch.save(kept, path)
    return path


@pytest.fixture(scope="module")
def ours(weights):
    return inception.load(weights)


@pytest.fixture(scope="module")
def theirs(weights):
    with pytest.MonkeyPatch.context() as patch:
        stored = torch.load(weights, weights_only=True)
        patch.setattr(original, "load_state_dict_from_url", lambda url, progress: stored)
        return original.InceptionV3().eval()


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 64)])
def test_its_features_are_those_of_pytorch_fid(channels, size, ours, theirs):
    torch.manual_seed(1)
    images = torch.rand(1, channels, size, size)
    with torch.no_grad():
        expected = theirs(images.expand(-1, 3, -1, -1))[0].flatten(1)
        found = ours(images)
    assert found.shape == (1, 2048) and expected.std() > 0.1  # nothing has died on the way
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_images_go_through_some_at_a_time(ours, monkeypatch):
    seen = []

    def note(images):
        seen.append(len(images))
        return images.mean((2, 3))

    monkeypatch.setattr(ours, "_features", note)
    images = torch.rand(120, 3, 2, 2)
    assert torch.equal(ours(images), images.mean((2, 3))) and seen == [50, 50, 20]


def test_it_is_in_evaluation_mode_without_gradients(ours):
    assert not any(module.training for module in ours.modules())
    assert not any(parameter.requires_grad for parameter in ours.parameters())


@pytest.mark.parametrize("content", [b"", b"no weights", "empty", "fewer", "more", "other"])
def test_a_wrong_file_is_refused_in_words(content, ours, tmp_path):
    path = tmp_path / WEIGHTS
    stored = ours.network.state_dict()
    match content:
        case bytes():
            path.write_bytes(content)
        case "empty":
            torch.save({}, path)
        case "fewer":
            torch.save({key: stored[key] for key in list(stored)[:-1]}, path)
        case "more":
            torch.save({**stored, "AuxLogits.conv0.conv.weight": torch.zeros(1)}, path)
        case _:
            torch.save([1, 2], path)
    with pytest.raises(UserError) as caught:
        inception.load(path)
    assert str(path) in str(caught.value) and "not the Inception weights" in str(caught.value)
    assert str(caught.value).count("\n") < 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="not there") as caught:
        inception.load(tmp_path / WEIGHTS)
    assert WEIGHTS in str(caught.value)
