"""Learning rates against torch's own schedulers."""

import math

import pytest
import torch
from fixtures import dataset, training
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vaebench.registry.runs import Adam, Fall, Plateau, Reload, Renew, Steps, Training
from vaebench.training.loop import train
from vaebench.training.procedures import Joint, Setting
from vaebench.training.recipe import Recipe
from vaebench.training.schedules import Course, course

law = settings(deadline=None)
factors = st.sampled_from([0.1, 0.5, 0.9])
values = st.lists(st.sampled_from([1.0, 2.0, 2.9997, 2.9, 3.0, 5.0]), max_size=40)


def torch_rates(make, monitored):
    """The rate before the first epoch and after each."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = [1.0]
    for value in monitored:
        optimizer.step()
        scheduler.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@law
@given(factors, st.integers(0, 4), st.sampled_from([0.0, 1e-4, 0.1]), values)
def test_a_plateau_is_torchs_for_positive_values(factor, patience, threshold, monitored):
    schedule = Plateau(name="plateau", factor=factor, patience=patience, threshold=threshold)

    def make(optimizer):
        return torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=factor, patience=patience, threshold=threshold, eps=0.0
        )

    ours = [course(schedule, n, monitored[:n]).factor for n in range(len(monitored) + 1)]
    torch.testing.assert_close(ours, torch_rates(make, monitored), rtol=1e-12, atol=0.0)


def test_a_plateau_takes_a_rise_for_no_fall_below_zero():
    """torch's relative threshold is 1 % of -100 in the wrong direction: -99.5 would pass."""
    schedule = Plateau(name="plateau", factor=0.5, patience=0, threshold=0.01)
    assert course(schedule, 2, [-100.0, -99.5]).factor == 0.5
    assert course(schedule, 2, [-100.0, -100.5]).factor == 0.5  # below, but by less than 1 %
    assert course(schedule, 2, [-100.0, -102.0]).factor == 1.0


@law
@given(factors, st.integers(1, 7), st.integers(0, 30))
def test_steps_are_torchs(factor, every, epochs):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, every, factor)
    for _ in range(epochs):
        optimizer.step()
        scheduler.step()
    ours = course(Steps(name="steps", factor=factor, every=every), epochs, []).factor
    torch.testing.assert_close(ours, optimizer.param_groups[0]["lr"], rtol=1e-12, atol=0.0)


def test_the_procedure_scales_the_rate_it_began_with():
    model = torch.nn.Linear(2, 2)
    procedure = Joint()
    settings = training(lr=0.02)
    procedure.prepare(Setting(model, settings, dataset().train))
    for factor in (0.5, 0.25, 1.0):
        procedure.scale_rate(factor)
        assert [g["lr"] for g in procedure.optimizer.param_groups] == [0.02 * factor]


def decays_as_he_et_al(monitored, patience, most, earliest=1, text=False):
    """Their loops: after which epochs the best weights are loaded, and after which it ends."""
    best, not_improved, decays, reloads = math.inf, 0, 0, []
    for epoch, loss in enumerate(monitored, start=1):
        if loss > best:
            not_improved += 1
            if not_improved >= patience and epoch >= earliest:
                not_improved = 0
                decays += 1
                reloads.append(epoch)
                if text:
                    best = loss
        else:
            not_improved, best = 0, loss
        if decays == most:
            return reloads, epoch
    return reloads, None


@law
@given(factors, st.integers(1, 4), st.integers(1, 3), st.integers(1, 20), st.booleans(), values)
def test_a_reload_decays_as_he_et_al(factor, patience, most, earliest, text, monitored):
    schedule = Reload(
        name="reload",
        factor=factor,
        patience=patience,
        most=most,
        earliest=earliest if text else None,
        reference="last" if text else None,
    )
    told = (earliest, True) if text else ()
    reloads, end = decays_as_he_et_al(monitored, patience, most, *told)
    for done in range((end or len(monitored)) + 1):
        ours = course(schedule, done, monitored[:done])
        count = sum(epoch <= done for epoch in reloads)
        assert ours == Course(factor**count, done in reloads, over=done == end)


def test_text_waits_for_its_first_decay_and_then_forgets_the_best():
    schedule = Reload(name="reload", factor=0.5, patience=2, most=9, earliest=5, reference="last")
    monitored = [1.0, 2.0, 3.0, 4.0, 5.0, 4.5, 4.6, 4.7]
    factors = [course(schedule, n, monitored[:n]).factor for n in range(len(monitored) + 1)]
    assert factors == [1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]


def rates_as_kim_et_al(monitored, factor, earliest, least):
    """Their loop: the rate after every epoch, and the epoch after which it ends."""
    best, falling, rate, rates = math.inf, False, 1.0, []
    for epoch, loss in enumerate(monitored, start=1):
        if loss > best and epoch >= earliest:
            falling = True
        best = min(best, loss)
        if falling:
            rate *= factor
        rates.append(rate)
        if rate < least:
            return rates, epoch
    return rates, None


@law
@given(factors, st.integers(1, 8), st.sampled_from([0.6, 0.3, 0.03]), values)
def test_a_fall_is_that_of_kim_et_al(factor, earliest, least, monitored):
    schedule = Fall(name="fall", factor=factor, earliest=earliest, least=least)
    rates, end = rates_as_kim_et_al(monitored, factor, earliest, least)
    for done, rate in enumerate(rates, start=1):
        ours = course(schedule, done, monitored[:done])
        assert math.isclose(ours.factor, rate, rel_tol=1e-12)
        assert (ours.reload, ours.over) == (False, done == end)


def rates_as_ma_et_al(schedule, monitored, steps):
    """Their loop for images: after every epoch the rate, whether the optimiser is new, and whether
    training ends."""
    best, patient, decay, lr = math.inf, 0, 0, 1.0
    for elbo in monitored:
        for _ in range(steps):
            lr *= schedule.step_factor
        fresh = False
        if elbo < best:
            patient, best = 0, elbo
        elif patient >= schedule.patience:
            lr *= schedule.factor
            fresh, patient = True, 0
            decay += 1
        else:
            patient += 1
        over = lr < schedule.least or decay == schedule.most
        yield lr, fresh, over
        if over:
            return


@law
@given(
    factors,
    st.integers(0, 4),
    st.integers(1, 3),
    st.sampled_from([0.6, 0.3, 0.03]),
    st.sampled_from([1.0, 0.999, 0.97]),
    st.integers(1, 5),
    values,
)
def test_a_renewal_is_that_of_ma_et_al(factor, patience, most, least, slope, steps, monitored):
    schedule = Renew(
        name="renew", factor=factor, patience=patience, most=most, least=least, step_factor=slope
    )
    assert course(schedule, 0, [], steps) == Course(step_factor=slope)
    told = rates_as_ma_et_al(schedule, monitored, steps)
    for done, (rate, fresh, over) in enumerate(told, start=1):
        ours = course(schedule, done, monitored[:done], steps)
        assert math.isclose(ours.factor, rate, rel_tol=1e-12)
        assert (ours.renew, ours.over) == (fresh, over)
        assert (ours.reload, ours.step_factor) == (False, slope)


@pytest.mark.parametrize("slope", [1.0, 0.999998])
def test_with_a_patience_of_20_a_value_that_stays_halves_after_22_and_43_and_ends_at_64(
    slope, checkpoint
):
    """In the loop: what the rate of every step is, and that weights stay where optimisers begin
    anew."""
    events = []

    class Watching(Joint):
        def restart(self):
            super().restart()
            events.append("fresh")

        def step(self, objective, batch, clock):
            (group,) = self.optimizer.param_groups
            events.append((group["lr"], len(self.optimizer.state)))
            return super().step(objective, batch, clock)

    recipe = Recipe(nn.Linear(4, 1), squares, Watching())
    schedule = Renew(name="renew", factor=0.5, patience=20, most=3, least=0.05, step_factor=slope)
    told = Training(
        batch_size=16,
        epochs=100,
        optimizer=Adam(name="adam", lr=0.02),
        monitor="validation-loss",
        schedule=schedule,
    )
    data = dataset(train=20, shape=(1, 2, 2))  # two steps an epoch
    ends = []
    trained = train(
        recipe,
        data,
        told,
        seed=0,
        device=torch.device("cpu"),
        checkpoint=checkpoint,
        monitor=lambda model, clock: 7.0,
        report=lambda epoch, terms: ends.append(len(events)),
    )
    assert len(trained.history) == 64
    assert [i for i, event in enumerate(events) if event == "fresh"] == [0, ends[21], ends[42]]
    found = [event for event in events if event != "fresh"]
    for step, (rate, _) in enumerate(found):
        halvings = (step >= 2 * 22) + (step >= 2 * 43)
        assert math.isclose(rate, 0.02 * 0.5**halvings * slope**step, rel_tol=1e-12)
    fresh = [step for step, (_, moments) in enumerate(found) if moments == 0]
    assert fresh == [0, 2 * 22, 2 * 43]


def test_the_rate_of_the_steps_alone_ends_training():
    """A twentieth of the first rate: with the settings for CIFAR-10 after 799 epochs."""
    schedule = Renew(
        name="renew", factor=0.5, patience=50, most=3, least=0.05, step_factor=0.999995
    )
    falling = [-float(epoch) for epoch in range(1000)]
    over = [course(schedule, n, falling[:n], 750).over for n in range(790, 810)]
    assert over.index(True) + 790 == math.ceil(math.log(0.05) / math.log(0.999995) / 750) == 799


def squares(model, batch, clock):
    return {"loss": model(batch.x.flatten(1)).square().mean()}


def test_without_a_schedule_nothing_changes():
    assert course(None, 3, [1.0, 2.0, 3.0]) == Course(1.0)
