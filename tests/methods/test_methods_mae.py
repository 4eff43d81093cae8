"""MAE's methods: their sizes, how they begin, and what they minimise."""

from dataclasses import replace

import pytest
import torch
from fixtures import at, dataset

from vaebench import methods
from vaebench.data.dataset import DataInfo
from vaebench.errors import UserError
from vaebench.models.weight_norm import WeightNormalised

MNIST = DataInfo("mnist", "original", (1, 28, 28), 10, 58_000, 50_000)
CIFAR = DataInfo("cifar10", "original", (3, 32, 32), 10, 48_000, 10_000)
PIXELCNN = {"kind": "resnet-pixelcnn", "width": 1, "latent": 32}
TINY = {"kind": "resnet-pixelcnn", "width": 0.0625, "latent": 4}
COLOUR = {"kind": "densenet-pixelcnn++", "width": 1, "latent": 16}


def vae(network=TINY, free_bits=0.0, info=MNIST):
    torch.manual_seed(0)
    return methods.build("mae.vae", info, {"network": network, "free_bits": free_bits})


def mae(eta=1.0, gamma=0.5, diverse="code", network=TINY):
    torch.manual_seed(0)
    told = {"eta": eta, "gamma": gamma, "diverse": diverse}
    return methods.build("mae.mae", MNIST, {"network": network, **told})


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("info", "network", "expected"),
    [
        (MNIST, PIXELCNN, (703_872, 356_352, None)),
        (MNIST, {**PIXELCNN, "kind": "resnet"}, (703_872, 356_352, 141_327)),
        (CIFAR, COLOUR, (302_614, None, None)),
    ],
)
def test_the_models_have_the_papers_sizes(info, network, expected):
    with torch.device("meta"):
        model = vae(network, info=info).model
    encoder, prior, decoder = expected
    assert count(model.encoder) + count(model.head) == encoder
    assert prior is None or count(model.prior) == prior  # cropped kernels have fewer
    assert decoder is None or count(model.decoder) == decoder


@pytest.fixture
def images():
    torch.manual_seed(1)
    return (torch.rand(60, 1, 28, 28) > 0.7).float()


@pytest.mark.parametrize("kind", ["resnet-pixelcnn", "resnet"])
def test_every_layer_begins_with_normal_outputs(kind, images):
    recipe = vae({**TINY, "kind": kind})
    with torch.no_grad():
        for _ in range(2):  # the 1e-6 under a division shows where outputs were small
            recipe.start.see(recipe.model, images)
    found = {}

    def look(layer, _, outputs):
        units = outputs.movedim(layer.units_of_outputs, 0).flatten(1)
        found[layer] = units.mean(1), units.std(1)

    for layer in recipe.model.modules():
        if isinstance(layer, WeightNormalised):
            layer.register_forward_hook(look)
    with torch.no_grad():
        z = recipe.model.infer(images).mean
        recipe.model.prior.log_prob(z)
        recipe.model.decoder.log_prob(images, z[None])
    assert len(found) == sum(isinstance(m, WeightNormalised) for m in recipe.model.modules())
    for layer, (mean, std) in found.items():
        torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-3, rtol=0)
        varies = std > 1e-3  # units that see nothing do not
        expected = torch.full_like(std[varies], layer.std)
        torch.testing.assert_close(std[varies], expected, rtol=1e-2, atol=0)
    assert recipe.model.training


def test_without_weights_mae_is_vlae(images):
    batch = dataset().train.take(torch.arange(8))
    batch = replace(batch, x=images[:8])
    losses = []
    for recipe in (vae(), mae(0.0, 0.0)):
        torch.manual_seed(3)
        losses.append(recipe.objective(recipe.model, batch, at(1))["loss"].item())
    assert losses[0] == losses[1]


def test_the_terms_of_mae_add_up(images):
    batch = replace(dataset().train.take(torch.arange(8)), x=images[:8])
    recipe = mae(2.0, 0.1)
    terms = recipe.objective(recipe.model, batch, at(1))
    total = terms["rec"] + terms["kl"] + terms["diversity"] + terms["smoothness"]
    torch.testing.assert_close(terms["loss"], total)
    assert terms["diversity"] > 0 and terms["smoothness"] > 0


def test_free_bits_charge_the_mean_kl_of_a_batch_no_less(images):
    batch = replace(dataset().train.take(torch.arange(8)), x=images[:8])
    recipe = vae(free_bits=1000.0)
    terms = recipe.objective(recipe.model, batch, at(1))
    torch.testing.assert_close(terms["loss"], terms["rec"] + 1000.0)
    assert terms["kl"] < 1000


@pytest.mark.parametrize(
    ("network", "info", "told"),
    [
        ({**TINY, "kind": "resnet-cnn"}, MNIST, "network.kind is 'resnet-cnn'; expected"),
        ({**TINY, "width": 0}, MNIST, "network.width is 0"),
        ({**TINY, "latent": 1}, MNIST, "latent is 1"),
        (TINY, CIFAR, "one channel; cifar10 has others"),
        (COLOUR, MNIST, "three colours; mnist has others"),
    ],
)
def test_networks_that_cannot_be_are_refused(network, info, told):
    with pytest.raises(UserError, match=told):
        vae(network, info=info)


def test_dropout_is_off_in_the_pass_over_data_alone():
    """So that the pass is the same whatever the generator's state."""
    torch.manual_seed(1)
    x = 2 * torch.rand(2, 3, 8, 8) - 1
    gains = []
    for seed in (2, 3):
        info = replace(CIFAR, shape=(3, 8, 8))
        recipe = vae({**COLOUR, "width": 0.0625, "latent": 4}, info=info)
        torch.manual_seed(seed)
        with torch.no_grad():
            recipe.start.see(recipe.model, x)
        assert all(layer.training for layer in recipe.model.modules())
        gains.append([layer.gain for layer in recipe.model.modules() if hasattr(layer, "gain")])
    assert all(torch.equal(*pair) for pair in zip(*gains, strict=True))
