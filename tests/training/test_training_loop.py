"""The loop: exact means, and a stop at any instant that leaves no trace in the result."""

import math
import shutil
from dataclasses import replace

import pytest
import torch
from fixtures import LATENT_CASES, all_of, build, data_for, dataset, split, tiny_model, training
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from vaebench.training import checkpoints
from vaebench.training.batching import epoch_order
from vaebench.training.loop import train
from vaebench.training.procedures import Joint
from vaebench.training.recipe import Recipe

CPU = torch.device("cpu")
EPOCHS = 3
SEED = 5
DATA = dataset()
IWAE = next(case for case in LATENT_CASES if case.name == "igp.iwae")
STEPS = math.ceil(len(DATA.train) / training().batch_size)  # an epoch; the last is a short one

law = settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Of a paper's slow networks one: DU-VAE's with a state and noise in its head, and MAE's that starts
# with a pass over data. Agg-VAE has tests of its own.
SLOW = ("du_vae.", "mae.")
ONES = {"du_vae.du_iaf", "mae.mae"}
CASES = [
    case
    for case in LATENT_CASES
    if not case.name.startswith(SLOW)
    or (case.name in ONES and case.values["network"]["kind"] in ("resnet-pixelcnn", "lstm"))
]
methods = pytest.mark.parametrize("case", CASES, ids=str)


class Stop(Exception):
    """A kill."""


def run(case, checkpoint, epochs=EPOCHS, *, change=lambda recipe: recipe, report=None):
    """Train as execution does; returns the result, the model and the random state after it."""
    torch.manual_seed(99)
    torch.rand(17)  # whatever happened in the process before
    data = data_for(case)
    recipe = change(build(case, data, SEED))
    trained = train(
        recipe,
        data,
        training(epochs),
        seed=SEED,
        device=CPU,
        checkpoint=checkpoint,
        report=report or (lambda epoch, terms: None),
    )
    return trained, recipe.model, torch.get_rng_state()


def same(one, other) -> bool:
    """Bit for bit, through mappings and lists."""
    if isinstance(one, Tensor):
        equal = isinstance(other, Tensor) and one.dtype == other.dtype and one.shape == other.shape
        return equal and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def stored(checkpoint):
    """A checkpoint but for the time that it took."""
    return {key: value for key, value in checkpoints.load(checkpoint).items() if key != "seconds"}


def assert_as_if_never_stopped(case, checkpoint, tmp_path):
    straight, model, random = run(case, tmp_path / "straight.pt")
    resumed, again, random_after = run(case, checkpoint)
    assert same(again.state_dict(), model.state_dict())
    assert same(resumed.history, straight.history) and len(straight.history) == EPOCHS
    assert torch.equal(random_after, random)
    assert same(stored(checkpoint), stored(tmp_path / "straight.pt"))
    assert not again.training and resumed.diverged is None


def stop_before(call):
    """A change of a recipe: its objective is killed when called for the `call`-th time."""

    def change(recipe):
        calls = 0

        def objective(model, batch, clock):
            nonlocal calls
            calls += 1
            if calls == call:
                raise Stop
            return recipe.objective(model, batch, clock)

        return replace(recipe, objective=objective)

    return change


# The order of the data.


@law
@given(st.integers(0, 300), st.integers(0, 1000), st.integers(1, 1000))
def test_the_order_is_a_permutation_by_seed_and_epoch_alone(size, seed, epoch):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    order = epoch_order(size, seed, epoch)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(order.sort().values, torch.arange(size))
    torch.manual_seed(1)
    assert torch.equal(epoch_order(size, seed, epoch), order)


def test_every_epoch_and_every_seed_has_an_order_of_its_own():
    orders = {
        tuple(epoch_order(50, seed, epoch).tolist()) for seed in range(20) for epoch in range(1, 21)
    }
    assert len(orders) == 400


# One epoch.


class Watching:
    """A procedure that trains nothing and keeps what passes."""

    def __init__(self):
        self.labels, self.clocks = [], []

    def prepare(self, setting):
        self.model = setting.model

    def step(self, objective, batch, clock):
        self.labels.append(batch.y)
        self.clocks.append(tuple(map(float, clock)))
        return objective(self.model, batch, clock)

    def epoch_done(self):
        return {}

    def scale_rate(self, factor):
        pass

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def label_means(model, batch, clock):
    y = batch.y.float()
    return {"loss": y.mean(), "square": y.square().mean(), "constant": torch.tensor(2.5)}


@law
@given(size=st.integers(1, 60), batch_size=st.integers(1, 70), epochs=st.integers(1, 3))
def test_the_history_is_the_exact_mean_over_the_data(tmp_path_factory, size, batch_size, epochs):
    data = replace(DATA, train=replace(split(size), labels=torch.arange(size)))
    watching = Watching()
    trained = train(
        Recipe(tiny_model(), label_means, watching),
        data,
        training(epochs, batch_size),
        seed=SEED,
        device=CPU,
        checkpoint=tmp_path_factory.mktemp("run") / "checkpoint.pt",
    )
    mean = {
        "loss": (size - 1) / 2,
        "square": (size - 1) * (2 * size - 1) / 6,
        "constant": 2.5,
    }
    assert len(trained.history) == epochs
    for epoch in trained.history:
        assert epoch == pytest.approx(mean, rel=1e-6)
    seen = torch.cat(watching.labels)
    orders = [epoch_order(size, SEED, epoch) for epoch in range(1, epochs + 1)]
    assert torch.equal(seen, torch.cat(orders))
    sizes = [len(labels) for labels in watching.labels]
    rest = [size % batch_size] if size % batch_size else []
    assert sizes == epochs * ([batch_size] * (size // batch_size) + rest)
    steps = range(1, len(sizes) + 1)
    assert watching.clocks == [(step, step * batch_size / size) for step in steps]


@methods
def test_training_lowers_the_loss_and_reports_every_epoch(case, checkpoint):
    heard = []
    trained, model, _ = run(case, checkpoint, 12, report=lambda *told: heard.append(told))
    assert heard == list(enumerate(trained.history, start=1))
    # An annealed loss rises at first.
    falling = "rec" if "annealing" in case.values else "loss"
    assert trained.history[-1][falling] < trained.history[0][falling]
    assert trained.seconds > 0 and not model.training


# Stop and go on.


@methods
@pytest.mark.parametrize("epoch", range(1, EPOCHS + 1))
def test_killed_after_an_epoch_that_is_not_yet_stored(case, epoch, checkpoint, tmp_path):
    def report(number, terms):
        if number == epoch:
            raise Stop

    with pytest.raises(Stop):
        run(case, checkpoint, report=report)
    assert checkpoint.exists() == (epoch > 1)
    assert_as_if_never_stopped(case, checkpoint, tmp_path)


@methods
@pytest.mark.parametrize("epoch", range(EPOCHS + 1))
def test_stopped_at_the_end_of_an_epoch(case, epoch, checkpoint, tmp_path):
    run(case, checkpoint, epoch or 1)
    if epoch == 0:
        checkpoint.unlink()
    assert_as_if_never_stopped(case, checkpoint, tmp_path)


@methods
@pytest.mark.parametrize("call", [1, 2, STEPS + 2, EPOCHS * STEPS])
def test_killed_within_an_epoch(case, call, checkpoint, tmp_path):
    with pytest.raises(Stop):
        run(case, checkpoint, change=stop_before(call))
    assert_as_if_never_stopped(case, checkpoint, tmp_path)


@methods
def test_killed_again_and_again(case, checkpoint, tmp_path):
    for _ in range(EPOCHS - 1):  # every life is one epoch long
        with pytest.raises(Stop):
            run(case, checkpoint, change=stop_before(STEPS + 2))
    assert_as_if_never_stopped(case, checkpoint, tmp_path)


def test_steps_count_on_after_a_stop(checkpoint):
    steps = []

    def note(recipe):
        def objective(model, batch, clock):
            steps.append(int(clock.step))
            return recipe.objective(model, batch, clock)

        return replace(recipe, objective=objective)

    run(LATENT_CASES[0], checkpoint, 1, change=note)
    run(LATENT_CASES[0], checkpoint, EPOCHS, change=note)
    assert steps == list(range(1, EPOCHS * STEPS + 1))


def test_a_finished_training_is_not_continued(checkpoint):
    trained, model, random = run(IWAE, checkpoint)
    heard = []
    again, other, random_after = run(IWAE, checkpoint, report=lambda *told: heard.append(told))
    assert heard == [] and same(again.history, trained.history)
    assert same(other.state_dict(), model.state_dict()) and torch.equal(random_after, random)


def test_the_seconds_of_all_parts_count(checkpoint):
    run(LATENT_CASES[0], checkpoint, 1)
    state = checkpoints.load(checkpoint)
    checkpoints.save({**state, "seconds": 1e6}, checkpoint)  # a long first part
    trained, _, _ = run(LATENT_CASES[0], checkpoint, 2)
    assert trained.seconds > 1e6


def test_the_seed_decides(checkpoint, tmp_path):
    case = IWAE
    _, model, _ = run(case, checkpoint)
    data = data_for(case)
    recipe = build(case, data, SEED + 1)
    other = tmp_path / "other.pt"
    train(recipe, data, training(EPOCHS), seed=SEED + 1, device=CPU, checkpoint=other)
    x = all_of(data.test).x
    assert not torch.allclose(recipe.model.infer(x).mean, model.infer(x).mean)


# Divergence.


@pytest.mark.parametrize("epoch", range(1, EPOCHS + 1))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_leaves_the_numbers_ends_the_history_before_it(value, epoch, checkpoint):
    case = IWAE

    def explode(recipe):
        def objective(model, batch, clock):
            terms = dict(recipe.objective(model, batch, clock))
            if clock.step == epoch * STEPS:  # the last step of the epoch
                terms["loss"] = terms["loss"] * 0 + value
            return terms

        return replace(recipe, objective=objective)

    straight, _, _ = run(case, checkpoint.with_name("straight.pt"))
    for _ in range(2):  # the second goes on from the checkpoint and says the same
        trained, _, _ = run(case, checkpoint, change=explode)
        assert trained.diverged == f"the loss is {value} in epoch {epoch}"
        assert same(trained.history, straight.history[: epoch - 1])
        assert checkpoint.exists() == (epoch > 1)
    if epoch > 1:
        state = checkpoints.load(checkpoint)
        assert same(state["history"], trained.history)
        assert all(tensor.isfinite().all() for tensor in state["model"].values())


@methods
def test_a_learning_rate_without_measure_diverges_or_stays_finite(case, checkpoint):
    data = data_for(case)
    recipe = build(case, data, SEED)
    settings = training(EPOCHS, lr=1e30)
    trained = train(recipe, data, settings, seed=SEED, device=CPU, checkpoint=checkpoint)
    assert all(math.isfinite(value) for epoch in trained.history for value in epoch.values())
    if trained.diverged is None:
        assert len(trained.history) == EPOCHS
    else:
        assert f"in epoch {len(trained.history) + 1}" in trained.diverged


class LastStepBreaks(Joint):
    """Leaves a weight that is not a number behind the very last step."""

    def step(self, objective, batch, clock):
        terms = super().step(objective, batch, clock)
        if clock.step == EPOCHS * STEPS:
            with torch.no_grad():
                next(self.setting.model.parameters()).view(-1)[0] = float("nan")
        return terms


def test_a_broken_last_step_has_diverged_though_its_loss_was_finite(checkpoint):
    trained, _, _ = run(
        LATENT_CASES[0],
        checkpoint,
        change=lambda recipe: replace(recipe, procedure=LastStepBreaks()),
    )
    assert len(trained.history) == EPOCHS
    assert trained.diverged == "the last steps left weights that are not finite"


# Compiled.

compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler is here"
)


def case_of(name, **values):
    return next(c for c in LATENT_CASES if c.name == name and values.items() <= c.values.items())


@compiler
@pytest.mark.parametrize("name", ["igp.autoencoder", "igp.iwae", "ar_elbo.rae_gp"])
def test_compiled_training_is_the_training(name, tmp_path):
    case = case_of(name)
    eager, model, random = run(case, tmp_path / "eager.pt")
    compiled, other, random_after = run(case, tmp_path / "compiled.pt", change=Recipe.compiled)
    for one, two in zip(eager.history, compiled.history, strict=True):
        assert two == pytest.approx(one, rel=1e-5)
    for key, value in model.state_dict().items():
        assert torch.allclose(other.state_dict()[key], value, atol=1e-4)
    assert torch.equal(random_after, random)


@compiler
def test_compiled_training_goes_on_with_the_same_bits(tmp_path):
    case = case_of("igp.iwae", posterior="diagonal")
    straight, model, random = run(case, tmp_path / "straight.pt", change=Recipe.compiled)
    run(case, tmp_path / "stopped.pt", epochs=EPOCHS - 1, change=Recipe.compiled)
    torch.compiler.reset()
    resumed, again, random_after = run(case, tmp_path / "stopped.pt", change=Recipe.compiled)
    assert same(again.state_dict(), model.state_dict())
    assert same(resumed.history, straight.history)
    assert torch.equal(random_after, random)
