"""SA-VAE: the refinement by hand, and its gradient against that through the unrolled steps."""

import pytest
import torch
from fixtures import at, dataset, gradients, random_batch, tiny_model, training
from torch import nn
from torch.nn import functional as F

from vaebench.models.posteriors import GaussianPosterior
from vaebench.models.refined import Parameters, RefinedModel, Refinement, seeded
from vaebench.objectives.annealed import Annealing, WeightedElbo
from vaebench.objectives.elbo import negative_elbo
from vaebench.training.procedures import Setting
from vaebench.training.semi_amortised import SemiAmortised

BATCH = random_batch(6)
ONE = torch.ones((), dtype=torch.float64)
WEIGHT = Annealing(0.5, 4.0)


class Dropping(nn.Module):
    """A decoder that drops dimensions of its codes in training."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def log_prob(self, x, z):
        return self.decoder.log_prob(x, F.dropout(z, 0.5, self.training))


def refined(steps=3, clip=1e6, rate=0.3, seed=0, noisy=False):
    model = tiny_model(seed=seed, scale=2.0)
    if noisy:
        model.decoder = Dropping(model.decoder)
    settings = Refinement(steps, rate, 0.5, clip, batch=6, replayed=noisy)
    return RefinedModel(model, settings).double()


def unrolled(model, x, start, noises, weight, clip, seeds=None):
    """Gradient descent with momentum, step by step and differentiable throughout."""
    settings = model.refinement
    point, momentum = list(start), [torch.zeros_like(value) for value in start]
    for noise, seed in zip(noises, seeds or [None] * len(noises), strict=True):
        with seeded(seed, x.device):
            loss = model.loss(x, Parameters(*point), noise, weight)
        found = torch.autograd.grad(loss, point, create_graph=True)
        scales = [min(1.0, clip / float(value.norm())) for value in found]
        momentum = [
            settings.momentum * m - scale * g
            for m, scale, g in zip(momentum, scales, found, strict=True)
        ]
        point = [p + settings.rate * m for p, m in zip(point, momentum, strict=True)]
    return Parameters(*point)


@pytest.mark.parametrize("clip", [1e6, 0.05])
def test_the_refinement_is_gradient_descent_with_momentum(clip):
    model = refined(clip=clip)
    start = model.amortised(BATCH.x)
    torch.manual_seed(5)
    steps, end = model.refine(BATCH.x, start, ONE)
    wanted = unrolled(model, BATCH.x, start, [step.noise for step in steps], ONE, clip)
    torch.testing.assert_close(end, wanted, rtol=1e-12, atol=1e-12)
    assert not end.mean.requires_grad and len(steps) == 3
    assert len({float(step.noise[0, 0]) for step in steps}) == 3  # fresh in every step


def test_it_lowers_the_loss():
    model = refined(steps=40, rate=0.2)
    start = model.amortised(BATCH.x)
    _, end = model.refine(BATCH.x, start, ONE)
    noises = torch.randn(200, *start.mean.shape, dtype=torch.float64)
    before, after = (
        sum(float(model.loss(BATCH.x, point, noise, ONE)) for noise in noises)
        for point in (Parameters(*(value.detach() for value in start)), end)
    )
    assert after < before - 1


@pytest.mark.parametrize(("clip", "noisy"), [(1e6, False), (0.05, False), (1e6, True)])
def test_the_gradient_is_that_through_the_unrolled_steps(clip, noisy):
    """Of the encoder and of the decoder, to rounding; shortening counts as a constant factor. What
    the decoder drops in a step it drops again on the way back.

    Nothing that goes back may be shortened here, so the clip of the procedure is out of reach.
    """
    ours, theirs = (refined(clip=clip, seed=1, noisy=noisy) for _ in range(2))
    settings = training(lr=1e-3)
    procedure = SemiAmortised(WEIGHT)
    procedure.prepare(Setting(ours, settings, dataset().train))

    import vaebench.training.semi_amortised as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_shortened", lambda values, longest: values)
        patch.setattr(module, "shortening", lambda value, longest: torch.ones(()))
        torch.manual_seed(5)
        procedure.step(WeightedElbo(WEIGHT), BATCH, at(2))
    torch.manual_seed(5)
    weight = WEIGHT(at(2))
    start = theirs.amortised(BATCH.x)
    noises, seeds = [], []
    for _ in range(3):
        noises.append(torch.randn_like(start.mean))
        seeds.append(int(torch.randint(2**62, ())) if noisy else None)
    end = unrolled(theirs, BATCH.x, start, noises, weight, clip, seeds)
    with theirs.given(GaussianPosterior(*end)):
        WeightedElbo(WEIGHT)(theirs, BATCH, at(2))["loss"].backward()
    torch.testing.assert_close(gradients(ours), gradients(theirs), rtol=1e-9, atol=1e-11)


def test_what_is_drawn_from_a_seed_is_drawn_again_and_nothing_else_moves():
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    with seeded(7, torch.device("cpu")):
        first = torch.rand(2)
    assert torch.equal(torch.rand(2), wanted)
    with seeded(7, torch.device("cpu")):
        assert torch.equal(torch.rand(2), first)
    with seeded(None, torch.device("cpu")):
        torch.rand(2)
    assert not torch.equal(torch.rand(2), wanted)
    steps, _ = refined(noisy=True).eval().refine(BATCH.x, refined().amortised(BATCH.x), ONE)
    assert all(step.seed is None for step in steps)  # in evaluation nothing is dropped


def test_what_goes_back_is_shortened():
    """The encoder's gradient stays small though the loss is steep."""
    model = refined(steps=1, clip=1e-3)
    procedure = SemiAmortised(WEIGHT)
    procedure.prepare(Setting(model, training(), dataset().train))
    procedure.step(WeightedElbo(WEIGHT), BATCH, at(2))
    start = model.amortised(BATCH.x)
    largest = max(float(value.grad.norm()) for value in model.head.parameters())
    bound = 1e-3 * max(float(model.encoder(BATCH.x).norm()), len(BATCH.x) ** 0.5)
    assert 0 < largest <= bound * 1.001 and start.mean.requires_grad


def test_evaluation_refines_and_an_objective_sees_what_it_is_given():
    model = refined()
    start = model.amortised(BATCH.x)
    torch.manual_seed(1)
    found = model.infer(BATCH.x)
    torch.manual_seed(1)
    _, end = model.refine(BATCH.x, start, ONE)
    assert torch.equal(found.mean, end.mean) and torch.equal(found.log_variance, end.log_variance)
    with torch.no_grad():  # as evaluators work
        assert not model.infer(BATCH.x).mean.requires_grad
    posterior = GaussianPosterior(torch.zeros(6, 2).double(), torch.zeros(6, 2).double())
    with model.given(posterior):
        assert float(negative_elbo(model, BATCH, at(1))["kl"]) == 0.0
    assert model.infer(BATCH.x) is not posterior


def test_evaluation_has_batches_of_the_size_in_training():
    """Where a loss is a mean over the batch, what it is asked about at once changes no step."""
    model = refined()
    x = torch.cat([BATCH.x, random_batch(9, seed=2).x])
    torch.manual_seed(4)
    whole = model.infer(x)
    torch.manual_seed(4)
    parts = [model.infer(part) for part in torch.split(x, 6)]
    assert torch.equal(whole.mean, torch.cat([part.mean for part in parts]))
    assert torch.equal(whole.log_variance, torch.cat([part.log_variance for part in parts]))


def test_it_wants_its_model():
    setting = Setting(tiny_model(), training(), dataset().train)
    with pytest.raises(TypeError, match="RefinedModel"):
        SemiAmortised(WEIGHT).prepare(setting)
    with pytest.raises(ValueError, match="refinements"):
        Refinement(0, 1.0, 0.5, 5.0, 50)
