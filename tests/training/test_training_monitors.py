"""What is monitored after an epoch, what is kept for it, and resuming in between."""

import math
import shutil
from dataclasses import replace

import pytest
import torch
from fixtures import all_of, at, dataset, tiny_model
from torch import nn

from vaebench.errors import UserError
from vaebench.objectives.elbo import negative_elbo, reconstruction
from vaebench.registry.runs import Adam, Plateau, Reload, Renew, Training
from vaebench.training import checkpoints
from vaebench.training.loop import train
from vaebench.training.monitors import make_monitor
from vaebench.training.procedures import Joint
from vaebench.training.recipe import Recipe

CPU = torch.device("cpu")
SHAPE = (1, 2, 2)
PLATEAU = Plateau(name="plateau", factor=0.5, patience=0, threshold=0.3)
RENEW = Renew(name="renew", factor=0.5, patience=2, most=3, least=0.05, step_factor=0.999)


def data():
    return dataset(train=40, test=22, shape=SHAPE)


def settings(**change):
    told = {"batch_size": 8, "epochs": 6, "optimizer": Adam(name="adam", lr=0.05)}
    return Training(**{**told, **change})


def fit(checkpoint, training, recipe=None, seen=None):
    torch.manual_seed(3)
    recipe = recipe or Recipe(tiny_model(), negative_elbo)
    here = data()

    def report(epoch, terms):
        if seen is not None:
            seen.append({k: v.clone() for k, v in recipe.model.state_dict().items()})

    trained = train(
        recipe,
        here,
        training,
        seed=1,
        device=CPU,
        checkpoint=checkpoint,
        monitor=make_monitor(recipe, training, here),
        report=report,
    )
    return trained, recipe.model


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


class TestWhatIsMonitored:
    def test_the_validation_loss_is_the_objectives_mean(self):
        here, model = data(), tiny_model("deterministic")
        recipe = Recipe(model, reconstruction)
        monitor = make_monitor(recipe, settings(monitor="validation-loss"), here)
        wanted = reconstruction(model, all_of(here.validation), at(1))["loss"]
        assert monitor(model, at(1)) == pytest.approx(wanted.item(), rel=1e-6)

    def test_the_negative_elbo_has_the_whole_kl_whatever_the_objective(self):
        here, model = data(), tiny_model()
        recipe = Recipe(model, reconstruction)
        monitor = make_monitor(recipe, settings(monitor="validation-negative-elbo"), here)
        torch.manual_seed(0)
        found = monitor(model, at(1))
        torch.manual_seed(0)
        sizes = [len(b) for b in torch.split(torch.arange(len(here.validation)), 8)]
        batches = torch.split(torch.arange(len(here.validation)), 8)
        with torch.no_grad():
            losses = [negative_elbo(model, here.validation.take(b), at(1)) for b in batches]
        whole = sum(n * float(terms["loss"]) for n, terms in zip(sizes, losses, strict=True))
        wanted = whole / sum(sizes)
        assert found == pytest.approx(wanted, rel=1e-6)

    def test_the_negative_elbo_may_have_several_draws_of_a_datum(self):
        here, model = data(), tiny_model()
        told = settings(batch_size=100, monitor="validation-negative-elbo", monitor_draws=3)
        torch.manual_seed(0)
        found = make_monitor(Recipe(model, reconstruction), told, here)(model, at(1))
        torch.manual_seed(0)
        x = all_of(here.validation).x
        with torch.no_grad():
            posterior = model.infer(x)
            z = posterior.mean + posterior.variance.sqrt() * torch.randn(3, *posterior.mean.shape)
            rec = -torch.stack([model.decoder.log_prob(x, one[None]) for one in z]).mean()
            moments = posterior.mean.square() + posterior.variance
            kl = 0.5 * (moments - 1 - posterior.variance.log()).sum(1).mean()
        assert found == pytest.approx(float(rec + kl), rel=1e-5)

    def test_the_squared_error_is_that_of_the_test_set(self):
        here, model = data(), tiny_model()
        monitor = make_monitor(
            Recipe(model, negative_elbo), settings(monitor="test-squared-error"), here
        )
        x = all_of(here.test).x
        error = (model.decoder.mean(model.infer(x).mean) - x).square().flatten(1).sum(1)
        assert monitor(model, at(1)) == pytest.approx(error.mean().item(), rel=1e-6)

    def test_it_sees_evaluation_mode_without_gradients(self, tmp_path):
        modes = []

        def watching(model, batch, clock):
            modes.append((model.training, torch.is_grad_enabled()))
            return negative_elbo(model, batch, clock)

        fit(
            tmp_path / "c.pt",
            settings(epochs=1, monitor="validation-loss"),
            Recipe(tiny_model(), watching),
        )
        assert modes == 5 * [(True, True)] + 3 * [(False, False)]

    def test_a_view_without_validation_split_is_told(self):
        without = replace(dataset(), validation=None)
        with pytest.raises(UserError, match=r"training.monitor: synthetic has no validation split"):
            make_monitor(
                Recipe(tiny_model(), negative_elbo), settings(monitor="validation-loss"), without
            )

    @pytest.mark.parametrize(
        "change",
        [
            {"keep": "best"},
            {"schedule": {"name": "plateau", "factor": 0.5, "patience": 1, "threshold": 0}},
            {"schedule": RENEW.model_dump()},
        ],
    )
    def test_what_needs_a_monitor_is_told(self, change):
        with pytest.raises(UserError, match="needs a `monitor`"):
            Training.read({**settings().model_dump(), **change}, "here")

    @pytest.mark.parametrize("monitor", [None, "validation-loss", "test-squared-error"])
    def test_draws_are_for_the_negative_elbo(self, monitor):
        told = settings(monitor=monitor).model_dump()
        with pytest.raises(UserError, match="monitor_draws is for `monitor: validation-negative"):
            Training.read({**told, "monitor_draws": 5}, "here")


class TestTheBestEpoch:
    def test_it_is_the_one_with_the_lowest_value(self, tmp_path):
        seen = []
        trained, model = fit(
            tmp_path / "c.pt", settings(monitor="validation-loss", keep="best", epochs=8), seen=seen
        )
        values = [epoch["monitored"] for epoch in trained.history]
        assert len(values) == 8 and equal(model.state_dict(), seen[values.index(min(values))])

    def test_it_need_not_be_the_last(self, tmp_path):
        """A rate far too high: the loss jumps, and only the first epochs are good."""
        seen = []
        training = settings(monitor="validation-loss", keep="best", epochs=8)
        training = training.model_copy(update={"optimizer": Adam(name="adam", lr=3.0)})
        trained, model = fit(tmp_path / "c.pt", training, seen=seen)
        values = [epoch["monitored"] for epoch in trained.history]
        best = values.index(min(values))
        assert best < 7 and equal(model.state_dict(), seen[best])
        assert not equal(model.state_dict(), seen[-1])

    def test_it_survives_a_loss_that_is_not_finite(self, tmp_path):
        def breaking(model, batch, clock):
            terms = dict(negative_elbo(model, batch, clock))
            if clock.step > 15 and model.training:
                terms["loss"] = terms["loss"] * math.nan
            return terms

        seen = []
        kept = settings(monitor="validation-loss", keep="best")
        trained, model = fit(tmp_path / "c.pt", kept, Recipe(tiny_model(), breaking), seen)
        assert trained.diverged is None and "the best epoch before is kept" in trained.stopped
        values = [epoch["monitored"] for epoch in trained.history]
        assert len(values) == 3 and equal(model.state_dict(), seen[values.index(min(values))])
        trained, _ = fit(tmp_path / "d.pt", settings(), Recipe(tiny_model(), breaking))
        assert trained.stopped is None and "nan in epoch 4" in trained.diverged


class TestReload:
    """A rate far too high, so that the loss rises again and again."""

    TRAINING = settings(
        epochs=40,
        optimizer=Adam(name="adam", lr=1.0),
        monitor="validation-negative-elbo",
        keep="best",
        schedule=Reload(name="reload", factor=0.5, patience=2, most=3),
    )

    def test_it_goes_back_to_the_best_weights_with_a_fresh_optimiser(self, tmp_path):
        events = []

        class Watching(Joint):
            def restart(self):
                super().restart()
                model = self.setting.model
                events.append({k: v.clone() for k, v in model.state_dict().items()})

            def scale_rate(self, factor):
                super().scale_rate(factor)
                events.append(factor)

        seen = []
        recipe = Recipe(tiny_model(), negative_elbo, Watching())
        trained, model = fit(tmp_path / "c.pt", self.TRAINING, recipe, seen)
        values = [epoch["monitored"] for epoch in trained.history]
        assert 6 <= len(values) < 40  # the third decay ended it
        factors = [event for event in events if isinstance(event, float)]
        assert factors[0] == 1.0 and factors[-1] == 0.25 and len(factors) == len(values)
        restarts = [event for event in events[1:] if isinstance(event, dict)]
        assert len(restarts) == 2
        for state, epochs in zip(restarts, (factors.index(0.5), factors.index(0.25)), strict=True):
            best = min(range(epochs), key=values.__getitem__)
            assert equal(state, seen[best]) and epochs - best > 2
        assert equal(model.state_dict(), seen[values.index(min(values))])

    def test_it_needs_the_best_epoch(self):
        told = {**self.TRAINING.model_dump(), "keep": None}
        with pytest.raises(UserError, match="goes back to the best epoch: say `keep: best`"):
            Training.read(told, "here")

    def test_it_has_no_average(self):
        told = {**self.TRAINING.model_dump(), "average": 0.999}
        with pytest.raises(UserError, match="with `average` only the average of that epoch"):
            Training.read(told, "here")


@pytest.mark.parametrize("done", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("name", ["plateau", "reload"])
def test_a_stop_between_epochs_leaves_no_trace(name, done, tmp_path):
    """The rate comes from the history, the best weights from the checkpoint."""
    training = TestReload.TRAINING
    if name == "plateau":
        training = settings(epochs=10, monitor="validation-loss", keep="best", schedule=PLATEAU)
    straight, model = fit(tmp_path / "straight.pt", training)
    assert straight.history[-1]["monitored"] != straight.history[0]["monitored"]
    fit(tmp_path / "parts.pt", training.model_copy(update={"epochs": done}))
    shutil.copy(tmp_path / "parts.pt", tmp_path / "kept.pt")
    resumed, again = fit(tmp_path / "parts.pt", training)
    assert resumed.history == straight.history and equal(again.state_dict(), model.state_dict())
    one, other = (checkpoints.load(tmp_path / name) for name in ("straight.pt", "parts.pt"))
    assert equal(one["best"], other["best"]) and equal(one["model"], other["model"])
    rates = [c["procedure"]["param_groups"][0]["lr"] for c in (one, other)]
    assert rates[0] == rates[1] < training.optimizer.lr


def test_the_short_last_batch_can_be_left_out(tmp_path):
    sizes = []

    def objective(model, batch, clock):
        sizes.append(len(batch.y))
        return {"loss": model(batch.x.flatten(1)).square().mean()}

    def sizes_of(**change):
        sizes.clear()
        asked = settings(drop_last=True, **change)
        fit(tmp_path / f"{change['batch_size']}.pt", asked, Recipe(nn.Linear(4, 1), objective))
        return sizes

    assert sizes_of(batch_size=16, epochs=2) == [16, 16, 16, 16]
    assert sizes_of(batch_size=64, epochs=1) == [40]  # the only batch stays


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"average": 1.0}, "average"),
        ({"average": 0}, "average"),
        ({"monitor": "validation-negative-elbo", "monitor_draws": 0}, "monitor_draws"),
        *(
            ({"monitor": "validation-loss", "schedule": RENEW.model_dump() | wrong}, *wrong)
            for wrong in (
                {"factor": 1.0},
                {"patience": -1},
                {"most": 0},
                {"least": 1.0},
                {"step_factor": 1.001},
                {"step_factor": 0},
            )
        ),
    ],
)
def test_settings_out_of_their_range_are_told(change, told):
    with pytest.raises(UserError, match=rf"here: .*{told}: Input should be"):
        Training.read({**settings().model_dump(), **change}, "here")
