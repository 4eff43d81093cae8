"""The weighted ELBO: its weight over time, and free bits."""

import pytest
import torch
from fixtures import at, gradients, random_batch, tiny_model

from vaebench.models.divergence import kl_by_dimension
from vaebench.objectives.annealed import Annealing, Constant, WeightedElbo
from vaebench.objectives.clock import Clock
from vaebench.objectives.elbo import negative_elbo

BATCH = random_batch(7)


def terms_of(objective, model, clock=None, seed=3):
    torch.manual_seed(seed)
    return objective(model, BATCH, clock or at(1))


class TestWeight:
    def test_it_is_raised_by_equal_steps_before_each(self):
        """1 / (10 N / B) a step from 0, as in the code of He et al.; N / B is a real number."""
        size, batch, weight = 45, 10, 0.0
        annealing = Annealing(0.0, 10.0)
        for step in range(1, 60):
            weight = min(1.0, weight + 1 / (10 * size / batch))
            assert float(annealing(Clock.at(step, batch, size))) == pytest.approx(weight, rel=1e-12)
        assert annealing(Clock.at(45, batch, size)) == 1 > annealing(Clock.at(44, batch, size))

    def test_it_starts_where_it_is_told(self):
        annealing = Annealing(0.1, 10.0)
        assert float(annealing(Clock.at(1, 1, 100))) == pytest.approx(0.1 + 0.9 / 1000)
        assert annealing(Clock.at(100_000, 1, 100)) == 1

    @pytest.mark.parametrize(("start", "epochs"), [(-0.1, 10), (1.1, 10), (0, 0), (0, -1)])
    def test_what_cannot_be_is_told(self, start, epochs):
        with pytest.raises(ValueError, match="kl_start"):
            Annealing(start, epochs)

    def test_a_constant_is_one(self):
        assert Constant(0.4)(at(1)) == Constant(0.4)(at(99)) == 0.4
        with pytest.raises(ValueError, match="beta"):
            Constant(-1)


class TestWeightedElbo:
    @pytest.mark.parametrize("head", ["diagonal", "isotropic"])
    def test_at_weight_one_it_is_the_elbo(self, head):
        models = [tiny_model(head).double() for _ in range(2)]
        ours = terms_of(WeightedElbo(Annealing(0.0, 1.0)), models[0], at(5))
        theirs = terms_of(negative_elbo, models[1])
        for name in ("loss", "rec", "kl"):
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-12, atol=1e-12)
        for terms in (ours, theirs):
            terms["loss"].backward()
        torch.testing.assert_close(*map(gradients, models), rtol=1e-10, atol=1e-12)

    def test_the_weight_is_that_of_the_kl_alone(self):
        model = tiny_model().double()
        terms = terms_of(WeightedElbo(Constant(0.3)), model)
        wanted = terms["rec"] + 0.3 * terms["kl"]
        torch.testing.assert_close(terms["loss"], wanted, rtol=1e-12, atol=0.0)

    def test_free_bits_charge_a_dimension_its_bits_without_gradient(self):
        model = tiny_model(scale=3.0).double()
        posterior = model.infer(BATCH.x)
        kls = kl_by_dimension(posterior, model.prior, posterior.draw(1)).mean(0)
        low, high = sorted(kls.tolist())
        assert high - low > 0.01
        bits = 0.5 * (low + high)
        terms = terms_of(WeightedElbo(Constant(2.0), free_bits=bits), model)
        wanted = terms["rec"] + 2 * (bits + high)
        torch.testing.assert_close(terms["loss"], wanted, rtol=1e-12, atol=0.0)
        assert float(terms["kl"].detach()) == pytest.approx(low + high)
        without = WeightedElbo(Constant(2.0), free_bits=high + 1)
        ours = torch.autograd.grad(terms_of(without, model)["loss"], model.head.mean.weight)
        rec = terms_of(without, model)["rec"]
        theirs = torch.autograd.grad(rec, model.head.mean.weight)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-15)

    def test_the_switch_is_on_from_the_step_where_the_weight_is_one(self):
        heard = []

        class Switch:
            def activate(self, on):
                heard.append(bool(on))

        objective = WeightedElbo(Annealing(0.0, 3.0), switch=Switch())
        for step in range(1, 6):
            terms_of(objective, tiny_model().double(), at(step))
        assert heard == [False, False, True, True, True]
