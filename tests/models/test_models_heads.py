"""What heads do to means and variances: batch norm by hand, expectations and closed forms."""

import math

import pytest
import torch
from fixtures import within
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Normal, kl_divergence

from vaebench.models.divergence import kl_by_dimension
from vaebench.models.flows import FlowHead
from vaebench.models.heads import (
    ZERO_ENTROPY_VARIANCE,
    DeltaHead,
    LinearGaussianHead,
    NormalisedMean,
    VarianceDropout,
    kl_roots,
)
from vaebench.models.latent import glorot_uniform
from vaebench.models.priors import StandardGaussian

F64 = torch.float64
BATCH, LATENT, FEATURES = 9, 4, 5
ALPHA = ZERO_ENTROPY_VARIANCE
law = settings(deadline=None, max_examples=40)

scales = pytest.mark.parametrize("scale", ["fixed", "rescaled", "free"])


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def uneven(norm, seed=3):
    """The same with shifts, and with scales that differ where they are trained."""
    with torch.no_grad():
        if isinstance(norm.scale, nn.Parameter):
            norm.scale.mul_(1 + normal(LATENT, seed=seed).abs())
        if isinstance(norm.shift, nn.Parameter):
            norm.shift.copy_(normal(LATENT, seed=seed + 1))
    return norm


def normalised(scale, gamma=0.5, shift=None, eps=1e-5):
    return NormalisedMean(LATENT, gamma=gamma, scale=scale, shift=shift, eps=eps).double()


# The mean.


@scales
@pytest.mark.parametrize("eps", [1e-5, 1e-2])
def test_a_training_batch_has_the_mean_and_variance_that_were_asked_for(scale, eps):
    norm, x = uneven(normalised(scale, eps=eps)), 3 * normal(BATCH, LATENT) + 1
    found = norm(x)
    scales = norm.scale.detach()
    if scale == "rescaled":
        scales = scales * 0.5 / scales.square().mean().sqrt()
        torch.testing.assert_close(scales.square().mean(), torch.tensor(0.25, dtype=F64))
    variance = x.var(0, correction=0)
    torch.testing.assert_close(found.mean(0), norm.shift.detach())
    expected = scales.square() * variance / (variance + eps)
    torch.testing.assert_close(found.var(0, correction=0), expected)
    correlation = torch.corrcoef(torch.cat([found, x], 1).T)[LATENT:, :LATENT].diagonal()
    torch.testing.assert_close(correlation.detach(), torch.ones(LATENT, dtype=F64))


@scales
def test_it_starts_at_gamma_and_zero(scale):
    norm = normalised(scale)
    assert torch.equal(norm.scale, torch.full_like(norm.scale, 0.5))
    assert not norm.shift.any()
    trained = {"fixed": {"shift"}, "rescaled": {"scale", "shift"}, "free": {"scale", "shift"}}
    assert {name for name, _ in norm.named_parameters()} == trained[scale]


def test_a_frozen_shift_is_no_parameter():
    norm = normalised("free", gamma=1.0, shift=0.3)
    assert [name for name, _ in norm.named_parameters()] == ["scale"]
    found = norm(normal(BATCH, LATENT))
    torch.testing.assert_close(found.mean(0).detach(), torch.full((LATENT,), 0.3, dtype=F64))


@scales
def test_evaluation_goes_by_running_statistics_of_momentum_a_tenth(scale):
    norm = uneven(normalised(scale))
    mean, variance = torch.zeros(LATENT, dtype=F64), torch.ones(LATENT, dtype=F64)
    for seed in range(3):
        x = normal(BATCH, LATENT, seed=seed) + seed
        norm(x)
        mean = 0.9 * mean + 0.1 * x.mean(0)
        variance = 0.9 * variance + 0.1 * x.var(0)  # unbiased, as PyTorch's
    scales = norm.scale.detach()
    if scale == "rescaled":
        scales = 0.5 * scales / scales.square().mean().sqrt()
    expected = scales * (x - mean) / (variance + 1e-5).sqrt() + norm.shift
    norm.eval()
    torch.testing.assert_close(norm(x), expected)
    torch.testing.assert_close(norm(x[:1]), expected[:1])
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    norm(x)
    assert all(torch.equal(norm.state_dict()[name], value) for name, value in state.items())


@scales
def test_a_training_batch_of_one_is_left_as_it_is(scale):
    norm, x = uneven(normalised(scale)), normal(1, LATENT)
    assert torch.equal(norm(x), x) and not norm.running_mean.any()
    assert not torch.equal(norm.eval()(x), x)


@law
@given(st.floats(0.05, 3), st.integers(0, 10_000), st.integers(2, 40))
def test_rescaling_keeps_ratios_and_holds_the_mean_square(gamma, seed, latent):
    norm = NormalisedMean(latent, gamma=gamma, scale="rescaled", shift=None, eps=1e-5)
    moved = normal(latent, seed=seed).float()
    with torch.no_grad():
        norm.scale.copy_(moved)
    x = normal(BATCH, latent, seed=seed + 1).float()
    before = norm(x)
    norm.rescale()
    assert norm.scale.square().mean().item() == pytest.approx(gamma**2, rel=1e-6)
    torch.testing.assert_close(norm.scale / norm.scale[0], moved / moved[0])
    torch.testing.assert_close(norm(x), before)
    total = before.double().var(0, correction=0).sum().item()
    spread = x.double().var(0, correction=0).min().item()
    assert total == pytest.approx(latent * gamma**2, rel=1e-5 / spread + 1e-5)


def test_no_gradient_goes_through_the_rescaling():
    """The gradient is that of batch norm with the rescaled values for weights."""
    norm, x = uneven(normalised("rescaled")), normal(BATCH, LATENT)
    weights = normal(BATCH, LATENT, seed=1)
    (found,) = torch.autograd.grad((norm(x) * weights).sum(), norm.scale)
    standard = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(found, (standard * weights).sum(0))


@pytest.mark.parametrize("scale", ["fixed", "free"])
def test_other_scales_are_not_moved(scale):
    norm = uneven(normalised(scale))
    before = norm.scale.detach().clone()
    norm(normal(BATCH, LATENT))
    norm.rescale()
    assert torch.equal(norm.scale, before)


def test_an_unknown_scale_and_no_deviation_are_refused():
    with pytest.raises(ValueError, match="learned"):
        normalised("learned")
    with pytest.raises(ValueError, match="gamma"):
        normalised("fixed", gamma=0.0)


# The variance.


def dropout(keep, on=True, training=True):
    module = VarianceDropout(keep, ALPHA).train(training)
    module.activate(torch.tensor(on))
    return module


@pytest.mark.parametrize("keep", [1.0, 0.8, 0.5, 0.1])
def test_dropped_variances_are_the_floor_and_the_others_make_up_for_them(keep):
    torch.manual_seed(0)
    log_variance = normal(3, LATENT).expand(20_000, 3, LATENT)
    raw, found = log_variance[0].exp(), dropout(keep)(log_variance).exp()
    dropped = (found - ALPHA).abs() < 1e-12
    torch.testing.assert_close(found, torch.where(dropped, ALPHA, raw / keep + ALPHA))
    if keep == 1:
        assert not dropped.any()
        return
    # Independent over data and dimensions, with mean and second moment of the two points.
    assert within((~dropped).double(), keep)
    pairs = (~dropped).double().flatten(1)
    products = pairs.unsqueeze(1) * pairs.unsqueeze(2)
    independent = torch.full((12, 12), keep**2, dtype=F64).fill_diagonal_(keep)
    assert within(products, independent)
    assert within(found, raw + ALPHA)
    v = raw + ALPHA
    assert within(1 / found, keep**2 / (v + (keep - 1) * ALPHA) + (1 - keep) / ALPHA)
    log_kept = ((v + (keep - 1) * ALPHA) / (keep * ALPHA)).log()
    assert within(found.log(), keep * log_kept + math.log(ALPHA))


@pytest.mark.parametrize("keep", [1.0, 0.7])
def test_evaluation_has_the_floor_and_no_dropout(keep):
    log_variance = normal(BATCH, LATENT)
    found = dropout(keep, training=False)(log_variance)
    torch.testing.assert_close(found.exp(), log_variance.exp() + ALPHA)


@pytest.mark.parametrize("training", [False, True])
def test_before_it_is_activated_nothing_happens(training):
    log_variance = normal(BATCH, LATENT).float().requires_grad_()
    module = VarianceDropout(0.5, ALPHA).train(training)
    found = module(log_variance)
    assert torch.equal(found, log_variance)
    (slope,) = torch.autograd.grad(found.sum(), log_variance)
    assert torch.equal(slope, torch.ones_like(slope))
    module.activate(torch.tensor(True))
    assert not torch.equal(module(log_variance), log_variance)
    module.activate(torch.tensor(False))
    assert torch.equal(module(log_variance), log_variance)


def test_whether_it_is_active_is_stored():
    module = VarianceDropout(0.5, ALPHA)
    module.load_state_dict(dropout(0.5).state_dict())
    assert bool(module.active)


def test_a_dropped_dimension_at_zero_costs_what_the_floor_costs():
    zero = torch.zeros((), dtype=F64)
    floor = Normal(zero, torch.tensor(ALPHA, dtype=F64).sqrt())
    assert float(floor.entropy()) == pytest.approx(0, abs=1e-12)
    assert float(kl_divergence(floor, Normal(zero, zero + 1))) == pytest.approx(0.94821, abs=5e-6)


@pytest.mark.parametrize(("keep", "floor"), [(0, 0.1), (1.2, 0.1), (-0.5, 0.1), (0.5, 0)])
def test_what_is_no_probability_and_no_variance_is_refused(keep, floor):
    with pytest.raises(ValueError, match="expected a"):
        VarianceDropout(keep, floor)


# delta-VAE.

ROOTS = {  # of BN-VAE's table: variances, then deviations
    0.10: (0.493239, 1.772250, 0.702310, 1.331259),
    0.15: (0.411113, 1.986247, 0.641181, 1.409343),
    0.20: (0.349904, 2.178752, 0.591527, 1.476060),
    0.25: (0.301710, 2.357677, 0.549281, 1.535473),
}


@pytest.mark.parametrize("delta", [1e-4, *ROOTS, 1.0, 5.0, 50.0])
def test_at_the_roots_a_centred_gaussian_has_the_divergence(delta):
    standard = Normal(torch.zeros((), dtype=F64), 1.0)
    lower, upper = kl_roots(delta)
    assert 0 < lower < 1 < upper
    for variance in (lower, upper):
        deviation = torch.tensor(variance, dtype=F64).sqrt()
        kl = float(kl_divergence(Normal(torch.zeros_like(deviation), deviation), standard))
        assert kl == pytest.approx(delta, abs=1e-12, rel=1e-12)
    if delta in ROOTS:
        expected = pytest.approx(ROOTS[delta], abs=5e-7)
        assert (lower, upper, lower**0.5, upper**0.5) == expected


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("delta", ROOTS)
def test_every_dimension_has_its_floor_whatever_the_features(delta, dtype):
    torch.manual_seed(0)
    head = DeltaHead(FEATURES, LATENT, bias=True, delta=delta).to(dtype)
    h = (10 * normal(500, FEATURES)).to(dtype)
    posterior = head(h)
    kl = kl_by_dimension(posterior, StandardGaussian(LATENT), posterior.draw(0)).double()
    m = head.linear(h).chunk(2, -1)[0].double()
    # mu^2 = 1e-6 + ... adds 5e-7; float32 has seven digits of terms up to 2 delta + 3 + m.
    rounding = 1e-9 if dtype == F64 else 1e-6 * (1 + m.relu())
    assert (kl > delta - 1e-6).all()
    assert ((kl - delta - 0.5 * m.relu() - 5e-7).abs() <= rounding).all()
    assert (m <= 0).any() and (posterior.mean > 0).all()


def test_the_deviation_stays_between_the_roots_and_above_a_fiftieth_of_the_way():
    head = DeltaHead(1, 1, bias=True, delta=0.1).double()
    lower, upper = (math.sqrt(root) for root in kl_roots(0.1))
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[0.0], [1.0]]))
        head.linear.bias.zero_()
        s = torch.tensor([[-1e3], [-math.log(49)], [0.0], [1e3]], dtype=F64)
        found = head(s).variance.sqrt()[:, 0]
    ways = torch.tensor([0.02, 0.02, 0.5, 1.0], dtype=F64)
    torch.testing.assert_close(found, lower + (upper - lower) * ways)


@pytest.mark.parametrize("delta", [0, -0.1])
def test_a_floor_that_is_none_is_refused(delta):
    with pytest.raises(ValueError, match="delta"):
        DeltaHead(FEATURES, LATENT, bias=True, delta=delta)


# Whole heads.

HEADS = {
    "linear": lambda bias, mean, variance: LinearGaussianHead(
        FEATURES, LATENT, bias=bias, mean=mean, variance=variance
    ),
    "flow": lambda bias, mean, variance: FlowHead(
        FEATURES, LATENT, hidden=12, bias=bias, mean=mean, variance=variance
    ),
}
every_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)


def made(head, keep=0.8, bias=True):
    torch.manual_seed(0)
    return head(bias, uneven(normalised("rescaled")), dropout(keep)).double()


@every_head
@pytest.mark.parametrize("bias", [False, True])
def test_a_head_is_one_linear_layer_that_can_be_initialised(head, bias):
    head = made(head, bias=bias)
    assert (head.linear.bias is None) != bias
    if bias:
        flow = {k: v.clone() for k, v in head.state_dict().items() if k.startswith("flow")}
        glorot_uniform(head.linear)
        weight = head.linear.weight.detach()
        assert not head.linear.bias.any()
        assert weight.abs().max() <= (6 / sum(weight.shape)) ** 0.5
        assert all(torch.equal(head.state_dict()[name], value) for name, value in flow.items())


def base_of(posterior):
    return getattr(posterior, "base", posterior)


@every_head
def test_means_and_variances_are_transformed(head):
    head, h = made(head, keep=1.0).eval(), normal(BATCH, FEATURES)
    raw_mean, raw = head.linear(h)[:, : 2 * LATENT].chunk(2, -1)
    base = base_of(head(h))
    torch.testing.assert_close(base.mean, head.mean(raw_mean))
    variance = (
        raw.exp() if isinstance(head, LinearGaussianHead) else nn.functional.softplus(raw) ** 2
    )
    torch.testing.assert_close(base.variance, variance + ALPHA)


@every_head
@pytest.mark.parametrize("training", [False, True])
def test_gradients_of_a_head_are_those_of_differences(head, training):
    head, h = made(head).train(training), normal(BATCH, FEATURES).requires_grad_()
    names = [name for name, _ in head.named_parameters() if name != "mean.scale"]
    values = [head.get_parameter(name) for name in names]

    def outputs(h, *parameters):
        torch.manual_seed(7)  # the same noise and the same dropped variances
        replaced = dict(zip(names, parameters, strict=True))
        draws = torch.func.functional_call(head, replaced, (h,)).draw(1)
        return draws.z, draws.log_prob_by_dimension()

    assert torch.autograd.gradcheck(outputs, (h, *values), fast_mode=True)


def test_gradients_of_the_delta_head_are_those_of_differences():
    torch.manual_seed(0)
    head = DeltaHead(FEATURES, LATENT, bias=True, delta=0.2).double()
    h = normal(BATCH, FEATURES).requires_grad_()

    def outputs(h):
        posterior = head(h)
        return posterior.mean, posterior.log_variance

    assert torch.autograd.gradcheck(outputs, (h,))


@every_head
def test_the_gradient_of_rescaled_scales_is_that_of_free_ones_at_their_values(head):
    rescaled, free = made(head), made(head)
    rescaled.mean.rescale()
    free.mean = normalised("free")
    free.load_state_dict(rescaled.state_dict())
    h, found = normal(BATCH, FEATURES), []
    for each in (rescaled, free):
        torch.manual_seed(7)
        each(h).draw(1).z.square().sum().backward()
        found.append(each.mean.scale.grad)
    torch.testing.assert_close(*found)


@every_head
def test_compiled_a_head_trains_the_same_and_is_switched_on_without_compiling_again(head):
    def trained(compiled):
        model, prior, h = made(head), StandardGaussian(LATENT), normal(BATCH, FEATURES)

        def objective(h, step):
            model.variance.activate(step >= 3)
            posterior = model(h)
            draws = posterior.draw(1)
            kl = kl_by_dimension(posterior, prior, draws).mean(0)
            return kl.clamp_min(0.1).sum() + draws.z.square().mean()

        if compiled:
            torch.compiler.reset()
            objective = torch.compile(objective, backend="aot_eager", fullgraph=True)
        found = []
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for step in range(1, 5):
            optimizer.zero_grad()
            torch.manual_seed(step)
            loss = objective(h, torch.tensor(step))
            loss.backward()
            optimizer.step()
            model.mean.rescale()
            found.append(loss.detach())
        assert bool(model.variance.active)
        return [*found, *model.state_dict().values()]

    eager = trained(False)
    with torch._dynamo.config.patch(error_on_recompile=True):
        compiled = trained(True)
    for one, two in zip(eager, compiled, strict=True):
        torch.testing.assert_close(one, two)
