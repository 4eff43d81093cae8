"""MADE's masks by gradients, and flows against Jacobians of autograd and inversion by dimension."""

import math

import numpy as np
import pytest
import torch
from fixtures import gradients, within
from flows import inverted, small_flow
from torch import nn
from torch.autograd.functional import jacobian
from torch.distributions import Normal

from vaebench.models.divergence import kl_by_dimension, kl_divergence
from vaebench.models.flows import FlowHead, FlowPosterior, InverseAutoregressiveFlow
from vaebench.models.made import MADE, hidden_degrees
from vaebench.models.posteriors import GaussianPosterior
from vaebench.models.priors import StandardGaussian

F64 = torch.float64
LATENT, CONTEXT, BATCH = 5, 3, 4


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def made(latent=LATENT, outputs=2, hidden=40, seed=0):
    torch.manual_seed(seed)
    return MADE(latent, context=CONTEXT, hidden=hidden, outputs=outputs).double()


def posterior_of(flow, latent=LATENT, batch=BATCH):
    base = GaussianPosterior(normal(batch, latent), 0.7 * normal(batch, latent, seed=1))
    return FlowPosterior(base, normal(batch, CONTEXT, seed=2), flow)


# MADE.


@pytest.mark.parametrize(("latent", "outputs", "hidden"), [(2, 1, 3), (5, 2, 40), (8, 3, 300)])
def test_every_output_depends_on_the_dimensions_before_it_and_on_no_other(latent, outputs, hidden):
    model, context = made(latent, outputs, hidden), normal(CONTEXT, seed=1)
    seen = torch.zeros(outputs, latent, latent, dtype=torch.bool)
    for seed in range(20):
        slopes = jacobian(lambda z: model(z, context), 2 * normal(latent, seed=seed))
        seen |= slopes.view(outputs, latent, latent) != 0
    before = torch.ones(latent, latent).tril(-1).bool()
    assert torch.equal(seen, before.expand(outputs, latent, latent))


def test_the_context_reaches_all_but_the_first_dimension():
    model, z, seen = made(), normal(LATENT), torch.zeros(2, LATENT, CONTEXT, dtype=torch.bool)
    for seed in range(20):
        slopes = jacobian(lambda context: model(z, context), normal(CONTEXT, seed=seed))
        seen |= slopes.view(2, LATENT, CONTEXT) != 0
    assert not seen[:, 0].any() and seen[:, 1:].all()


def test_the_degrees_are_those_of_the_authors():
    first, second = hidden_degrees(32, 1920)
    drawn = np.random.RandomState(0)  # as their code draws them
    assert np.array_equal(first, drawn.randint(1, 32, size=1920))
    assert np.array_equal(second, drawn.randint(1, 32, size=1920))
    assert first[:8].tolist() == [13, 16, 22, 1, 4, 28, 4, 8] and second[:8].tolist() == [
        8,
        13,
        30,
        4,
        2,
        17,
        18,
        17,
    ]
    for degrees in (first, second):
        assert (degrees.min(), degrees.max()) == (1, 31)


def test_masks_follow_from_the_degrees():
    latent, hidden = 6, 50
    first, second = hidden_degrees(latent, hidden)
    model = made(latent, 2, hidden)
    for layer, seers, seen, at_least in (
        (model.inputs, first, range(1, 7), 0),
        (model.hidden, second, first, 0),
        (model.outputs, [*range(1, 7), *range(1, 7)], second, 1),
    ):
        expected = [[one >= other + at_least for other in seen] for one in seers]
        assert layer.mask.tolist() == expected


def test_gradients_reach_every_weight_that_the_mask_leaves():
    model = made(hidden=60)
    for seed in range(20):
        (model(2 * normal(LATENT, seed=seed), normal(CONTEXT, seed=seed)) ** 3).sum().backward()
    for layer in (model.inputs, model.hidden, model.outputs):
        assert not layer.weight.grad[layer.mask == 0].any()
        alive = layer.mask.bool() & (layer.weight.grad != 0)
        assert alive.sum() > 0.8 * layer.mask.sum()  # a few units sleep


def test_a_block_of_the_papers_size_has_the_papers_parameters():
    with torch.device("meta"):
        flow = InverseAutoregressiveFlow(32, context=64, hidden=1920)
    sizes = [sum(p.numel() for p in block.parameters()) for block in flow.blocks]
    assert sizes == [3_997_536, 3_997_536]


def test_both_blocks_have_the_same_masks_and_weights_of_their_own():
    one, other = InverseAutoregressiveFlow(LATENT, context=CONTEXT, hidden=40).blocks
    for name, mask in one.named_buffers():
        assert torch.equal(mask, other.get_buffer(name))
    assert not torch.equal(one.made.hidden.weight, other.made.hidden.weight)
    assert all("mask" not in name for name in one.state_dict())


def test_one_dimension_cannot_be_autoregressive():
    with pytest.raises(ValueError, match="latent"):
        made(latent=1)


# The flow.


@pytest.mark.parametrize("latent", [2, 5, 8])
@pytest.mark.parametrize("seed", range(3))
def test_the_log_determinant_is_that_of_the_jacobian(latent, seed):
    flow, context = small_flow(latent, CONTEXT, seed=seed), normal(CONTEXT, seed=seed)
    z = 2 * normal(latent, seed=seed + 10)
    _, log_slopes = flow(z, context)
    sign, expected = torch.linalg.slogdet(jacobian(lambda z: flow(z, context)[0], z))
    assert sign == 1
    torch.testing.assert_close(log_slopes.sum(), expected, rtol=0, atol=1e-10)
    for block in flow.blocks:
        slopes = jacobian(lambda z, block=block: block(z, context)[0], z)
        assert not slopes.triu(1).any()
        torch.testing.assert_close(slopes.diagonal(), block(z, context)[1].exp())
        assert (block(z, context)[1] < 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_flow_is_undone_dimension_by_dimension(seed):
    flow = small_flow(LATENT, CONTEXT, seed=seed)
    posterior = posterior_of(flow)
    with torch.no_grad():
        draws = posterior.draw(6)
        z0 = inverted(flow, draws.z, posterior.context)
        torch.testing.assert_close(z0, draws.base.z, rtol=0, atol=1e-10)
        # The density by the inverse alone.
        expected = posterior.base.log_prob(z0)
        for sample in range(6):
            for datum in range(BATCH):
                context = posterior.context[datum]
                slopes = jacobian(
                    lambda z, context=context: inverted(flow, z, context), draws.z[sample, datum]
                )
                expected[sample, datum] += torch.linalg.slogdet(slopes).logabsdet
        torch.testing.assert_close(draws.log_prob(), expected, rtol=0, atol=1e-10)


def test_dimensions_keep_their_places_and_their_gates():
    """With constant gates and m = 0 each is scaled by two gates; block 2 counts from behind."""
    flow = small_flow(LATENT, CONTEXT)
    with torch.no_grad():
        for block in flow.blocks:
            for parameter in block.made.parameters():
                parameter.zero_()
        z0 = normal(7, BATCH, LATENT)
        z, log_slopes = flow(z0, normal(BATCH, CONTEXT))
        one, two = (torch.sigmoid(block.gate_bias) for block in flow.blocks)
    expected = (one * two.flip(0)).expand_as(z)
    torch.testing.assert_close(log_slopes.exp(), expected)
    torch.testing.assert_close(z, z0 * expected)
    posterior = posterior_of(flow)
    draws = posterior.draw(3)
    margins = Normal(
        posterior.base.mean * expected[0], posterior.base.variance.sqrt() * expected[0]
    )
    torch.testing.assert_close(draws.log_prob_by_dimension(), margins.log_prob(draws.z))


def test_a_fresh_flow_starts_near_the_identity():
    torch.manual_seed(0)
    flow = InverseAutoregressiveFlow(LATENT, context=CONTEXT, hidden=40)
    assert all(torch.equal(block.gate_bias, torch.full((LATENT,), 2.0)) for block in flow.blocks)
    gate = 1 / (1 + math.exp(-2))
    _, log_slopes = flow(torch.randn(50, LATENT), torch.randn(50, CONTEXT))
    assert (log_slopes / 2).exp().detach() == pytest.approx(gate, abs=0.1)


def test_a_gate_that_is_shut_is_not_hidden():
    flow = small_flow(LATENT, CONTEXT)
    with torch.no_grad():
        flow.blocks[1].gate_bias[0] = -math.inf
    draws = posterior_of(flow).draw(2)
    assert (draws.log_prob() == math.inf).all()
    assert (kl_divergence(posterior_of(flow), StandardGaussian(LATENT), draws) == math.inf).all()


# The posterior.


def test_draws_of_a_flow_follow_its_density():
    flow = small_flow(2, CONTEXT)
    posterior = posterior_of(flow, latent=2, batch=2)
    torch.manual_seed(0)
    with torch.no_grad():
        draws = posterior.draw(30_000)
        centre, spread = draws.z.mean(0), draws.z.std(0)
        for shift in (-0.4, 0.0, 0.4):  # E_q[r / q] = 1 for r within the reach of q
            other = Normal(centre + shift * spread, 0.5 * spread)
            ratio = torch.exp(other.log_prob(draws.z).sum(-1) - draws.log_prob())
            assert within(ratio, 1.0)


def test_mean_and_features_are_without_noise():
    flow = small_flow(LATENT, CONTEXT)
    posterior = posterior_of(flow)
    base = GaussianPosterior(posterior.base.mean, torch.full_like(posterior.base.mean, -60))
    narrow = FlowPosterior(base, posterior.context, flow)
    torch.testing.assert_close(posterior.mean, narrow.rsample(1)[0])
    both = torch.cat([posterior.base.mean, posterior.mean], 1)
    assert torch.equal(posterior.features, both) and both.shape == (BATCH, 2 * LATENT)


def test_divergences_are_means_over_the_draws():
    posterior, prior = posterior_of(small_flow(LATENT, CONTEXT)), StandardGaussian(LATENT)
    torch.manual_seed(0)
    draws = posterior.draw(4)
    torch.manual_seed(0)
    assert torch.equal(posterior.rsample(4), draws.z) and draws.z.shape == (4, BATCH, LATENT)
    log_q, log_p = draws.log_prob_by_dimension(), Normal(0.0, 1.0).log_prob(draws.z)
    torch.testing.assert_close(log_q.sum(-1), draws.log_prob())
    kl = kl_divergence(posterior, prior, draws)
    torch.testing.assert_close(kl, (log_q - log_p).sum(-1).mean(0))
    torch.testing.assert_close(kl_by_dimension(posterior, prior, draws), (log_q - log_p).mean(0))


def test_a_flow_that_does_nothing_is_its_gaussian():
    flow = small_flow(LATENT, CONTEXT)
    with torch.no_grad():
        for block in flow.blocks:
            block.gate_bias.fill_(60.0)
    posterior, prior = posterior_of(flow), StandardGaussian(LATENT)
    torch.manual_seed(0)
    draws = posterior.draw(20_000)
    exact = kl_by_dimension(posterior.base, prior, draws.base)
    ratios = draws.log_prob_by_dimension() - prior.log_prob_by_dimension(draws.z)
    assert within(ratios.detach(), exact)
    torch.testing.assert_close(posterior.mean, posterior.base.mean)


# The head.


def head_of(hidden=40):
    torch.manual_seed(0)
    return FlowHead(
        6, LATENT, hidden=hidden, bias=True, mean=nn.Identity(), variance=nn.Identity()
    ).double()


def test_a_head_gives_means_deviations_and_context_in_this_order():
    head, h = head_of(), normal(BATCH, 6)
    posterior, raw = head(h), head.linear(h)
    assert raw.shape == (BATCH, 4 * LATENT)
    assert torch.equal(posterior.base.mean, raw[:, :LATENT])
    deviation = (1 + raw[:, LATENT : 2 * LATENT].exp()).log()
    torch.testing.assert_close(posterior.base.variance.sqrt(), deviation)
    assert torch.equal(posterior.context, raw[:, 2 * LATENT :])


def test_a_flow_takes_each_datum_and_each_draw_by_itself():
    head, h = head_of(), normal(BATCH, 6)
    together = head(h)
    draws = together.draw(3)
    for datum in range(BATCH):
        alone = head(h[datum : datum + 1])
        torch.testing.assert_close(alone.mean[0], together.mean[datum])
        for sample in range(3):
            z, log_slopes = alone.flow(draws.base.z[sample, datum], alone.context[0])
            torch.testing.assert_close(z, draws.z[sample, datum])
            torch.testing.assert_close(log_slopes, draws.log_slopes[sample, datum])


def test_gradients_reach_every_parameter_of_a_head():
    head = head_of()
    draws = head(normal(50, 6)).draw(2)
    (draws.log_prob().sum() + draws.z.square().sum()).backward()
    assert all(gradient.abs().sum() > 0 for gradient in gradients(head).values())
