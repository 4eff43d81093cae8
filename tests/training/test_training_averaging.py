"""Polyak averaging against its closed form; what sees the average, and what does not."""

import pytest
import torch
from fixtures import all_of, dataset, tiny_model
from torch import nn

from vaebench.models.heads import NormalisedMean
from vaebench.models.refined import RefinedModel, Refinement
from vaebench.objectives.annealed import Constant
from vaebench.objectives.elbo import negative_elbo
from vaebench.registry.runs import Adam, Renew, Training
from vaebench.training import checkpoints
from vaebench.training.aggressive import Aggressive, InnerLoop
from vaebench.training.averaging import Average
from vaebench.training.loop import train
from vaebench.training.monitors import make_monitor
from vaebench.training.procedures import Joint
from vaebench.training.recipe import Recipe, Start
from vaebench.training.schedules import course
from vaebench.training.semi_amortised import SemiAmortised

CPU = torch.device("cpu")
DECAY = 0.8
DATA = dataset(train=40, shape=(1, 2, 2))


class Layer(nn.Module):
    """Two parameters and a buffer."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6, dtype=torch.float64).view(2, 3))
        self.bias = nn.Parameter(torch.tensor([0.5], dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(1))


def scripted(model, steps):
    """The values of the parameters before and after so many steps, which change them all."""
    generator = torch.Generator().manual_seed(7)
    values = [[p.detach().clone() for p in model.parameters()]]
    for _ in range(steps):
        values.append([torch.randn(p.shape, generator=generator).double() for p in values[0]])
    return values


def averaged(values, decay):
    """(1 - decay) times the sum of decay^(n - i) times the i-th, and decay^n times the first."""
    steps = len(values) - 1
    shares = [decay**steps] + [(1 - decay) * decay ** (steps - i) for i in range(1, steps + 1)]
    return [
        sum(share * value for share, value in zip(shares, every, strict=True))
        for every in zip(*values, strict=True)
    ]


def put(model, values):
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(value)


@pytest.mark.parametrize("decay", [0.999, 0.5])
@pytest.mark.parametrize("steps", [0, 1, 30])
def test_it_is_the_weighted_mean_of_all_steps(decay, steps):
    model = Layer()
    values = scripted(model, steps)
    average = Average(model, decay)
    for after in values[1:]:
        put(model, after)
        average.update()
    torch.testing.assert_close(average.state_dict(), averaged(values, decay), rtol=1e-12, atol=0.0)
    for parameter, value in zip(model.parameters(), values[-1], strict=True):
        assert torch.equal(parameter, value)


def test_the_model_has_it_for_a_while_and_buffers_are_left_alone():
    model = Layer()
    values = scripted(model, 3)
    average = Average(model, DECAY)
    for after in values[1:]:
        put(model, after)
        average.update()
        model.seen.add_(1)
    with pytest.raises(RuntimeError, match="in between"), average.shown():
        torch.testing.assert_close(
            [p.detach() for p in model.parameters()], averaged(values, DECAY), rtol=1e-12, atol=0.0
        )
        assert model.seen == 3
        raise RuntimeError("in between")
    for parameter, value in zip(model.parameters(), values[-1], strict=True):
        assert torch.equal(parameter, value)


def test_what_lies_on_a_constraint_lies_there_in_the_average_too():
    """The mean of points of a sphere is none."""
    mean = NormalisedMean(2, gamma=0.5, scale="rescaled", shift=None, eps=1e-5)
    average = Average(mean, 0.5)
    with torch.no_grad():
        mean.scale.mul_(torch.tensor([-1.0, 1.0]))
    average.update()
    assert average.state_dict()[0].square().mean() < 0.2
    with average.shown():
        assert mean.scale.square().mean().item() == pytest.approx(0.25)


# In the loop.


class Noting(Joint):
    """Keeps the weights before the first and after every step."""

    def __init__(self):
        super().__init__()
        self.values = []

    def prepare(self, setting):
        super().prepare(setting)
        self._note()

    def step(self, objective, batch, clock):
        terms = super().step(objective, batch, clock)
        self._note()
        return terms

    def _note(self):
        self.values.append([p.detach().double() for p in self.setting.model.parameters()])


def settings(**change):
    told = {"batch_size": 8, "epochs": 4, "optimizer": Adam(name="adam", lr=0.05)}
    return Training(**{**told, **change})


def fit(checkpoint, training, recipe, report=lambda epoch, terms: None):
    torch.manual_seed(3)
    return train(
        recipe,
        DATA,
        training,
        seed=1,
        device=CPU,
        checkpoint=checkpoint,
        monitor=make_monitor(recipe, training, DATA),
        report=report,
    )


def assert_weights(model, wanted):
    for parameter, value in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.detach().double(), value, rtol=1e-4, atol=1e-6)


def test_training_goes_on_from_its_own_weights_and_ends_with_the_average(tmp_path):
    plain = Recipe(tiny_model(), negative_elbo)
    without = fit(tmp_path / "without.pt", settings(), plain)
    noting = Noting()
    recipe = Recipe(tiny_model(), negative_elbo, noting)
    trained = fit(tmp_path / "with.pt", settings(average=DECAY), recipe)
    assert trained.history == without.history
    state = checkpoints.load(tmp_path / "with.pt")
    for name, value in plain.model.state_dict().items():
        assert torch.equal(state["model"][name], value)
    assert len(noting.values) == 1 + 4 * 5
    assert_weights(recipe.model, averaged(noting.values, DECAY))
    assert not torch.allclose(recipe.model.head.mean.weight, plain.model.head.mean.weight)
    assert not recipe.model.training


def test_the_average_is_monitored_and_kept(tmp_path):
    """At a rate far too high, so that the best epoch is not the last."""
    noting = Noting()
    recipe = Recipe(tiny_model(), negative_elbo, noting)
    told = settings(
        epochs=10,
        optimizer=Adam(name="adam", lr=1.0),
        monitor="test-squared-error",
        keep="best",
        average=DECAY,
    )
    trained = fit(tmp_path / "c.pt", told, recipe)
    x = all_of(DATA.test).x
    weights, errors = [], []
    for epoch in range(1, 11):
        weights.append(averaged(noting.values[: 1 + 5 * epoch], DECAY))
        model = tiny_model()
        put(model, weights[-1])
        with torch.no_grad():
            decoded = model.decoder.mean(model.infer(x).mean)
        errors.append((decoded - x).square().flatten(1).sum(1).mean().item())
    assert [e["monitored"] for e in trained.history] == pytest.approx(errors, rel=1e-4)
    best = errors.index(min(errors))
    assert best < 9
    assert_weights(recipe.model, weights[best])


class Stop(Exception):
    """A kill."""


def begin(model, x):
    """A start that depends on what it sees, and draws."""
    for parameter in model.parameters():
        parameter.mul_(1 + x.std()).add_(0.01 * torch.randn_like(parameter))


def refined():
    return RefinedModel(
        tiny_model(), Refinement(steps=2, rate=0.1, momentum=0.5, clip=1.0, batch=8)
    )


PROCEDURES = {
    "joint": lambda: (tiny_model(), Joint()),
    "aggressive": lambda: (tiny_model(), Aggressive(InnerLoop(4, 2, 1))),
    "semi-amortised": lambda: (refined(), SemiAmortised(Constant(1.0))),
}
EVERYTHING = settings(
    epochs=8,
    optimizer=Adam(name="adam", lr=1.0),
    monitor="validation-negative-elbo",
    monitor_draws=2,
    keep="best",
    average=DECAY,
    schedule=Renew(name="renew", factor=0.5, patience=0, most=9, least=1e-9, step_factor=0.999),
)


@pytest.mark.parametrize("name", PROCEDURES)
def test_a_stop_leaves_no_trace(name, tmp_path):
    """With an average, a start and a rate that falls, whatever the procedure: killed in the first
    epoch, in a later one and after one."""

    def attempt(checkpoint, kill_at=None):
        torch.manual_seed(3)
        model, procedure = PROCEDURES[name]()
        calls = 0

        def objective(model, batch, clock):
            nonlocal calls
            calls += 1
            if calls == kill_at:
                raise Stop
            return negative_elbo(model, batch, clock)

        def report(epoch, terms):
            if kill_at is not None and epoch == 4:
                raise Stop

        recipe = Recipe(model, objective, procedure, start=Start(20, begin))
        return fit(checkpoint, EVERYTHING, recipe, report), model, torch.get_rng_state()

    straight, model, random = attempt(tmp_path / "straight.pt")
    parts = tmp_path / "parts.pt"
    for kill_at in (3, 12, 1000):
        with pytest.raises(Stop):
            attempt(parts, kill_at)
    resumed, again, random_after = attempt(parts)
    monitored = [epoch["monitored"] for epoch in straight.history]
    renewed = [course(EVERYTHING.schedule, n, monitored[:n]).renew for n in range(len(monitored))]
    assert any(renewed)
    assert resumed.history == straight.history and torch.equal(random_after, random)
    one, other = (checkpoints.load(path) for path in (tmp_path / "straight.pt", parts))
    for first, second in ((model.state_dict(), again.state_dict()), (one["model"], other["model"])):
        assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(map(torch.equal, one["average"], other["average"]))
    assert not torch.equal(one["average"][0], next(iter(one["model"].values())))
