"""The methods of AR-ELBO at the paper's sizes, and on each of its networks."""

import pytest
import torch
from fixtures import all_of, at, dataset, gradients, prepare, split, training
from torch import nn

from vaebench import methods
from vaebench.data.dataset import DataInfo
from vaebench.estimators.variance_models import FORMS
from vaebench.models.posteriors import DeltaPosterior

MNIST = DataInfo("mnist", "original", (1, 28, 28), 10, 60_000, 10_000)
CELEBA = DataInfo("celeba", "original", (3, 64, 64), 0, 162_770, 19_962)

# The rows of Tables 3 and 4 by their methods.
ROWS = {
    "VAE": ("vae", {"log10_sigma_x2": 0}),
    "WAE-MMD": ("wae_mmd", {"weight": 200}),
    "AE": ("autoencoder", {}),
    "RAE": ("rae_l2", {"beta": 1e-4, "weight": 1e-7}),
    "RAE-GP": ("rae_gp", {"beta": 1e-4, "weight": 5e-8, "gradient": "outputs"}),
    **{f"{form} w/ trainable": ("trainable_variance", {"form": form}) for form in FORMS},
    **{f"Ours ({form})": ("adaptive", {"form": form, "eps": 1e-6}) for form in FORMS},
}
SHAPES = {"plain": (1, 4, 8), "mnist": (1, 8, 4), "celeba": (3, 16, 16)}

rows = pytest.mark.parametrize("row", ROWS)


def build(data, name, *, network="plain", width=1, output="sigmoid", latent=8, seed=0, **rest):
    torch.manual_seed(seed)
    told = {"network": network, "width": width, "output": output, "latent": latent, **rest}
    return methods.build(f"ar_elbo.{name}", data, told)


def small(row, network):
    name, rest = ROWS[row]
    data = dataset(shape=SHAPES[network])
    return build(data.info, name, network=network, width=0.1, latent=3, **rest), data


def count(parameters):
    return sum(parameter.numel() for parameter in parameters)


def sizes(data, name, **told):
    """The parameters of encoder and decoder, without any memory for them."""
    with torch.device("meta"):
        model = build(data, name, **told).model
    return count(model.inference_parameters()), count(model.generative_parameters())


# Sizes.


@pytest.mark.parametrize(
    ("name", "rest", "inference"),
    [
        ("global_posterior", {"log10_sigma_x2": 0}, 6_564_041),  # with sigma_z^2
        ("deterministic_posterior", {"log10_sigma_x2": 0}, 6_564_040),
        ("fixed_posterior", {"log10_sigma_z2": 0}, 6_564_040),
    ],
)
def test_the_networks_of_tables_1_and_5_have_the_papers_size(name, rest, inference):
    assert sizes(MNIST, name, **rest) == (inference, 6_570_177)


@pytest.mark.parametrize(
    ("data", "network", "latent", "inference", "generative", "head"),
    [
        # A head of variances doubles the channels of the last layer.
        (MNIST, "mnist", 16, 6_664_992, 6_666_817, 64 * 16 + 1),
        (CELEBA, "celeba", 64, 19_315_584, 21_474_307, 128 * 3 * 25 + 3),
    ],
    ids=["mnist", "celeba"],
)
@rows
def test_the_networks_of_table_3_have_the_papers_size(
    row, data, network, latent, inference, generative, head
):
    name, rest = ROWS[row]
    if name not in ("vae", "trainable_variance", "adaptive"):  # no variance of the code
        features = 1024 if network == "mnist" else 16_384
        inference -= latent * (features + 1)
    if name == "trainable_variance":
        pixels = torch.Size(data.shape).numel()
        generative += {"Iso-I": 1, "Diag-I": pixels}.get(rest["form"], head)
    assert sizes(data, name, network=network, latent=latent, **rest) == (inference, generative)


# Variances.


@pytest.mark.parametrize("log10", [0.0, -0.3, -1.0])
@pytest.mark.parametrize("name", ["vae", "global_posterior", "deterministic_posterior"])
def test_sigma_x2_is_a_power_of_ten(name, log10):
    model = build(dataset().info, name, width=0.1, log10_sigma_x2=log10).model
    assert float(model.decoder.constant_variance) == pytest.approx(10**log10)


@pytest.mark.parametrize("log10", [1, 0.0, -0.3])
def test_a_fixed_sigma_z2_is_a_power_of_ten_and_no_parameter(log10):
    model = build(dataset().info, "fixed_posterior", width=0.1, log10_sigma_z2=log10).model
    posterior = model.infer(all_of(split(4)).x)
    assert posterior.variance.shape == (4, 8) and posterior.log_variance.shape == (4, 1)
    torch.testing.assert_close(posterior.variance, torch.full((4, 8), 10.0**log10))
    assert not any("variance" in name for name, _ in model.named_parameters())


def test_the_global_sigma_z2_starts_at_one_and_is_trained():
    model = build(dataset().info, "global_posterior", width=0.1, log10_sigma_x2=0).model
    posterior = model.infer(all_of(split(4)).x)
    assert torch.equal(posterior.variance, torch.ones(4, 8))
    found = [name for name, _ in model.named_parameters() if "variance" in name]
    assert found == ["head.log_variance"]


@rows
def test_which_rows_have_a_variance_of_pixels_and_of_codes(row):
    recipe, data = small(row, "mnist")
    name, rest = ROWS[row]
    decoder, posterior = recipe.model.decoder, recipe.model.infer(all_of(data.test).x)
    assert (decoder.variance is not None) == (name in ("vae", "trainable_variance"))
    one = name == "vae" or (name, rest.get("form")) == ("trainable_variance", "Iso-I")
    assert (decoder.constant_variance is not None) == one
    stochastic = name in ("vae", "trainable_variance", "adaptive")
    assert isinstance(posterior, DeltaPosterior) != stochastic
    if stochastic:
        assert posterior.log_variance.shape == (len(data.test), 3)


# Training.


@pytest.mark.parametrize("network", SHAPES)
@rows
def test_a_step_reaches_every_parameter_of_every_network(row, network):
    recipe, data = small(row, network)
    prepare(recipe, data)
    terms = recipe.procedure.step(recipe.objective, all_of(data.train), at(1))
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    for name, gradient in gradients(recipe.model).items():
        # Batch norm takes a bias before it away again.
        assert gradient.isfinite().all() and (gradient.any() or name.endswith("bias")), name


@pytest.mark.parametrize("network", SHAPES)
@rows
def test_the_loss_can_be_monitored(row, network):
    """In evaluation mode and without gradients it leaves no trace, batch statistics included."""
    recipe, data = small(row, network)
    recipe.model.eval()
    before = {name: tensor.clone() for name, tensor in recipe.model.state_dict().items()}
    with torch.no_grad():
        terms = recipe.objective(recipe.model, all_of(data.test), at(1))
    assert terms["loss"].isfinite() and not any(term.requires_grad for term in terms.values())
    assert all(map(torch.equal, recipe.model.state_dict().values(), before.values()))
    assert all(parameter.grad is None for parameter in recipe.model.parameters())


@pytest.mark.parametrize("network", SHAPES)
def test_rae_regularises_the_kernels_that_its_authors_do(network):
    """Those of the transposed convolutions; on CelebA that of the first dense layer too."""
    recipe, data = small("RAE", network)
    penalty = recipe.objective(recipe.model, all_of(data.test), at(1))["penalty"]
    layers = list(recipe.model.decoder.network.layers)
    kept = [layer for layer in layers if isinstance(layer, nn.ConvTranspose2d)]
    if network == "celeba":
        kept.append(layers[0])
    norm = sum(layer.weight.square().sum() for layer in kept)
    pixels = torch.Size(SHAPES[network]).numel()
    torch.testing.assert_close(penalty, 1e-7 * pixels * norm)


def test_adam_moves_kernels_that_lie_channels_last_as_any_other():
    """The fused optimiser against the plain one on contiguous copies."""
    recipe, data = small("AE", "celeba")
    prepare(recipe, data)
    copies = {
        name: tensor.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
        for name, tensor in recipe.model.named_parameters()
    }
    settings = training().optimizer
    plain = torch.optim.Adam(copies.values(), lr=settings.lr, eps=settings.eps, foreach=False)
    for step in range(1, 4):
        recipe.procedure.step(recipe.objective, all_of(data.train), at(step))
        for name, gradient in gradients(recipe.model).items():
            copies[name].grad = gradient.contiguous()
        plain.step()
    kernel = recipe.model.get_parameter("encoder.layers.2.weight")
    assert kernel.is_contiguous(memory_format=torch.channels_last) and not kernel.is_contiguous()
    for name, tensor in recipe.model.named_parameters():
        torch.testing.assert_close(tensor, copies[name], rtol=1e-5, atol=1e-7)
