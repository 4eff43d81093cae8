"""The importance-weighted objective against the bound that it stands for."""

import math

import pytest
import torch
from fixtures import HEADS, gradients, random_batch, tiny_model
from torch.distributions import Independent, Normal
from torch.nn import functional as F

from vaebench.data.dataset import Batch
from vaebench.objectives.iwae import ImportanceWeighted

GAUSSIAN = [name for name in HEADS if name != "deterministic"]
gaussian_heads = pytest.mark.parametrize("head", GAUSSIAN)
sample_counts = pytest.mark.parametrize("k", [1, 2, 5, 50])


def losses(model, x, k, seed=7):
    """l [k, B] with its graph, by an encoder call a sample and by torch's own densities."""
    torch.manual_seed(seed)
    noise = torch.randn(k, len(x), model.prior.latent)
    found = []
    for draw in noise:
        posterior = model.infer(x)
        deviation = torch.exp(0.5 * posterior.log_variance)
        z = posterior.mean + deviation * draw
        log_q = Independent(Normal(posterior.mean, deviation.expand_as(z)), 1).log_prob(z)
        log_p = Independent(Normal(torch.zeros_like(z), torch.ones_like(z)), 1).log_prob(z)
        logits = model.decoder.output(model.decoder.layers(z))
        entropy = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="none")
        found.append(entropy.sum(-1) + log_q - log_p)
    return torch.stack(found)


def objective(model, batch, k, seed=7):
    torch.manual_seed(seed)
    return ImportanceWeighted(k)(model, batch, 1)


def sharp_model(head):
    """A model whose importance weights are far from equal."""
    return tiny_model(head, scale=2.0).double()


@gaussian_heads
@sample_counts
def test_the_gradient_is_that_of_the_bound(head, k):
    model, batch = sharp_model(head), random_batch(6)
    objective(model, batch, k)["loss"].backward()
    found = gradients(model)
    model.zero_grad()
    bound = -(torch.logsumexp(-losses(model, batch.x, k), dim=0) - math.log(k)).mean()
    bound.backward()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-9)
        assert gradient.abs().sum() > 0, name


@gaussian_heads
@sample_counts
def test_surrogate_bound_and_mean_are_in_order(head, k):
    model = sharp_model(head)
    for index in range(6):  # a datum at a time: the order holds for each and not for means alone
        x = random_batch(6).x[index : index + 1]
        terms = objective(model, Batch(x, torch.zeros(1, dtype=torch.int64)), k)
        assert set(terms) == {"loss", "bound"}
        loss, bound = terms["loss"].item(), terms["bound"].item()
        values = losses(model, x, k).detach()[:, 0]
        assert bound == pytest.approx(-(torch.logsumexp(-values, 0).item() - math.log(k)))
        weights = torch.softmax(-values, 0)
        entropy = -(weights * weights.log()).sum().item()
        assert loss == pytest.approx((weights * values).sum().item(), rel=1e-10)
        assert loss == pytest.approx(bound + entropy - math.log(k), rel=1e-10, abs=1e-10)
        if k == 1:
            assert loss == pytest.approx(bound) and bound == pytest.approx(values.item())
        else:
            assert loss < bound < values.mean().item()


@gaussian_heads
@sample_counts
def test_encoding_once_equals_an_encoder_call_a_sample(head, k):
    model, batch = sharp_model(head), random_batch(6)
    calls = []
    hook = model.encoder.register_forward_hook(lambda *args: calls.append(1))
    terms = objective(model, batch, k)
    assert len(calls) == 1
    hook.remove()
    terms["loss"].backward()
    found = gradients(model)
    model.zero_grad()
    values = losses(model, batch.x, k)
    surrogate = (torch.softmax(-values.detach(), 0) * values).sum(0).mean()
    torch.testing.assert_close(terms["loss"], surrogate, rtol=1e-10, atol=1e-10)
    surrogate.backward()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-11)


@gaussian_heads
def test_only_the_loss_carries_a_gradient(head):
    terms = objective(sharp_model(head), random_batch(3), 5)
    assert terms["loss"].requires_grad and not terms["bound"].requires_grad


@gaussian_heads
def test_the_loss_is_the_mean_over_the_batch(head):
    model, batch = sharp_model(head), random_batch(6)
    values = losses(model, batch.x, 5).detach()
    each = (torch.softmax(-values, 0) * values).sum(0)
    torch.testing.assert_close(objective(model, batch, 5)["loss"], each.mean())
    bounds = -(torch.logsumexp(-values, 0) - math.log(5))
    torch.testing.assert_close(objective(model, batch, 5)["bound"], bounds.mean())


@pytest.mark.parametrize("k", [2, 6])
def test_draws_split_into_groups_never_raise_the_bound(k):
    """Jensen, without noise: the bound of all draws is at least the mean of those of its parts."""
    values = losses(sharp_model("diagonal"), random_batch(6).x, 12).detach()

    def bound(part):
        return torch.logsumexp(-part, 0) - math.log(len(part))

    parts = torch.stack([bound(part) for part in values.split(k)]).mean(0)
    assert (parts < bound(values)).all()
    assert (-values.mean(0) < parts).all()
