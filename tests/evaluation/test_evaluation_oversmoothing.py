"""What AR-ELBO's Tables 1, 2, 3 and 5 measure, against slow references."""

import math

import pytest
import torch
from fixtures import HEADS, all_of, dataset, tiny_model
from torch import nn

from vaebench.errors import UserError
from vaebench.estimators import variance_models
from vaebench.estimators.mutual_information import data_form, latent_form
from vaebench.evaluation import oversmoothing as module
from vaebench.evaluation import plug_in as plug_in_module
from vaebench.evaluation.oversmoothing import oversmoothing
from vaebench.evaluation.plug_in import plug_in
from vaebench.evaluation.squared_error import squared_error
from vaebench.models.posteriors import DeltaPosterior, GaussianPosterior
from vaebench.models.priors import StandardGaussian

SHAPE = (1, 2, 3)
DATA = dataset(train=61, test=37, shape=SHAPE)
OPTIONS = {"split": "train", "jacobians": 50, "batch": 20}
heads = pytest.mark.parametrize("head", HEADS)


def model_of(head, **options):
    return tiny_model(head, latent=3, shape=SHAPE, scale=2.0, **options).eval()


class Affine(nn.Module):
    """Codes are affine in the image, images affine in the code, with one variance each."""

    def __init__(self, variance=None, decoder_variance=None, latent=2, gain=1.0, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        pixels = math.prod(SHAPE)
        self.encode = torch.randn(pixels, latent, generator=generator)
        self.decode = gain * torch.randn(latent, pixels, generator=generator)
        self.log_variance = None if variance is None else torch.tensor(variance).log()
        self.constant_variance = (
            None if decoder_variance is None else torch.tensor(decoder_variance)
        )
        self.prior, self.decoder = StandardGaussian(latent), self

    def infer(self, x):
        mean = x.flatten(1) @ self.encode
        if self.log_variance is None:
            return DeltaPosterior(mean)
        return GaussianPosterior(mean, self.log_variance.expand(len(x), 1))

    def mean(self, z):
        return (z @ self.decode + 0.5).unflatten(-1, SHAPE)


def measured(model, seed=0, data=DATA, **options):
    torch.manual_seed(seed)
    return oversmoothing(model, data, **{**OPTIONS, **options})


# The squared error.


@heads
def test_squared_errors_are_sums_over_pixels_and_means_over_the_test_set(head):
    model, x = model_of(head), all_of(DATA.test).x
    torch.manual_seed(0)
    found = squared_error(model, DATA)
    torch.manual_seed(0)
    with torch.no_grad():
        posterior = model.infer(x)
        codes = {"mse": posterior.mean, "mse_sampled": posterior.rsample(1)[0]}
        for name, z in codes.items():
            images = zip(x.double(), model.decoder.mean(z).double(), strict=True)
            errors = [float(((image - decoded) ** 2).sum()) for image, decoded in images]
            assert found[name] == pytest.approx(sum(errors) / 37, rel=1e-6)
    if head == "deterministic":
        assert found["mse"] == pytest.approx(found["mse_sampled"], rel=1e-6)


def test_a_sampled_code_adds_the_variance_times_the_squared_norm_of_the_decoder():
    model = Affine(variance=0.01)
    found = [squared_error(model, DATA) for _ in range(400)]
    added = torch.tensor([one["mse_sampled"] - one["mse"] for one in found], dtype=torch.float64)
    expected = 0.01 * float(model.decode.square().sum())
    assert abs(float(added.mean()) - expected) < 5 * float(added.std()) / 20


# Oversmoothing.


def test_an_affine_model_has_closed_forms():
    model = Affine(variance=0.3, decoder_variance=0.2)
    found = measured(model)
    norm, x = float(model.decode.square().sum()), all_of(DATA.train).x.double()
    means = x.flatten(1) @ model.encode.double()
    kl = 0.5 * (2 * (0.3 - math.log(0.3) - 1) + means.square().sum(1))
    assert found["kl"] == pytest.approx(float(kl.mean()), rel=1e-5)
    assert found["sigma_z2"] == pytest.approx(0.3) and found["sigma_x2"] == pytest.approx(0.2)
    assert found["els"] == pytest.approx(norm / 2, rel=1e-5)
    assert found["els_eq6"] == pytest.approx(norm**0.5, rel=1e-5)


def test_gaps_of_an_affine_decoder_are_twice_the_variance_times_its_norm():
    model = Affine(variance=0.3)
    found = [measured(model, seed) for seed in range(200)]
    norm = float(model.decode.square().sum())
    for name, expected in (
        ("gap_1e-2", 2e-2 * norm),
        ("gap_1e-3", 2e-3 * norm),
        ("els_from_gap", norm / 2),
    ):
        values = torch.tensor([one[name] for one in found], dtype=torch.float64)
        assert abs(float(values.mean()) - expected) < 5 * float(values.std()) / 200**0.5


@heads
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_number_is_that_of_its_estimator(head, split):
    model = model_of(head)
    found = measured(model, split=split, batch=15, jacobians=10)
    torch.manual_seed(0)
    x = all_of(getattr(DATA, split)).x
    with torch.no_grad():
        posterior = model.infer(x)
        mean, z = posterior.mean.double(), posterior.mean.double()
        if head != "deterministic":
            log_variance = posterior.log_variance.double().expand_as(mean)
            z = mean + torch.exp(0.5 * log_variance) * torch.randn(1, *mean.shape)[0]
        decoded = model.decoder.mean(z.float())
    mse = float((decoded - x).double().square().sum()) / len(x)
    assert found["mse"] == pytest.approx(mse, rel=1e-5)
    assert found["sigma_x2"] == pytest.approx(mse / 6, rel=1e-5)  # this decoder has no variance
    minibatches = [slice(start, start + 15) for start in range(0, len(x) - 14, 15)]
    expected = [data_form(decoded[some].double(), mse / 6) for some in minibatches]
    assert found["mi"] == pytest.approx(sum(expected) / len(expected), rel=1e-4)
    if head == "deterministic":
        assert found["kl"] is found["sigma_z2"] is found["mi_latent"] is None
    else:
        expected = [latent_form(z[some], mean[some], log_variance[some]) for some in minibatches]
        assert found["mi_latent"] == pytest.approx(sum(expected) / len(expected), rel=1e-5)
        assert found["sigma_z2"] == pytest.approx(float(log_variance.exp().mean()), rel=1e-5)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
        assert found["kl"] == pytest.approx(float(kl), rel=1e-5)
    squares = []
    for code in posterior.mean[:10]:
        jacobian = torch.autograd.functional.jacobian(
            lambda c: model.decoder.mean(c[None]).flatten(), code
        )
        squares.append(float(jacobian.double().square().sum()))
    assert found["els"] == pytest.approx(sum(squares) / 10 / 3, rel=1e-4)
    assert found["els_eq6"] == pytest.approx(sum(s**0.5 for s in squares) / 10, rel=1e-4)
    assert found["els_from_gap"] == pytest.approx(found["gap_1e-3"] / 6e-3)


def test_a_collapsed_model_holds_no_information_and_is_flat():
    """Appendix E's too: codes that do not depend on x, though the KL is far from zero."""
    data = dataset(train=1_000, test=10, shape=SHAPE)
    for variance in (1.0, 10.0):
        model = Affine(variance=variance, decoder_variance=0.5, gain=0.0, latent=8)
        model.encode.zero_()
        found = measured(model, data=data, batch=1_000)
        assert abs(found["mi"]) < 0.1 and abs(found["mi_latent"]) < 0.1
        assert found["els"] == found["gap_1e-2"] == found["gap_1e-3"] == 0
        expected = 4 * (variance - math.log(variance) - 1)
        assert found["kl"] == pytest.approx(expected, abs=1e-5)
        x = all_of(data.train).x.double()
        assert found["mse"] == pytest.approx(float((x - 0.5).square().sum()) / 1_000, rel=1e-5)


@pytest.mark.parametrize(
    ("size", "batch", "expected"),
    [(60, 20, [20, 20, 20]), (61, 20, [20, 20, 20]), (59, 20, [20, 20]), (19, 20, [19])],
)
def test_a_last_partial_minibatch_is_left_out_unless_it_is_the_only_one(size, batch, expected):
    found = module._minibatches(size, batch)
    indices = [list(range(size))[some] for some in found]
    assert [len(some) for some in indices] == expected
    assert [i for some in indices for i in some] == list(range(sum(expected)))


@pytest.mark.parametrize("split", ["both", "Train", ""])
def test_another_split_is_refused(split):
    with pytest.raises(UserError) as caught:
        measured(Affine(), split=split)
    assert repr(split) in str(caught.value)


# Table 2.


@pytest.mark.parametrize("form", variance_models.FORMS)
@heads
def test_the_listed_objectives_are_the_loss_at_the_mle(form, head):
    torch.manual_seed(0)
    found = plug_in(model_of(head), DATA, form=form)
    assert found["constant_error"] < 1e-9 and found["gradient_error"] < 1e-9
    # Of the loss d/2 (e^-t + t), at the smallest step up.
    assert found["minimum_increase"] == pytest.approx(3 * (math.exp(-0.05) + 0.05 - 1), rel=1e-5)


def test_a_saturated_decoder_is_no_trouble():
    model = Affine(gain=0.0)
    white = DATA.test.images.new_full(DATA.test.images.shape, 255)
    data = dataset(test=37, shape=SHAPE)
    data.test.images.copy_(white)
    model.mean = lambda z: torch.ones(*z.shape[:-1], *SHAPE)
    for form in variance_models.FORMS:
        assert plug_in(model, data, form=form)["constant_error"] < 1e-9


@pytest.mark.parametrize("what", ["constant", "objective", "mle"])
@pytest.mark.parametrize("form", variance_models.FORMS)
def test_a_wrong_formula_is_seen(form, what, monkeypatch):
    right = getattr(variance_models, what)
    monkeypatch.setattr(variance_models, what, lambda *args, **rest: 1.01 * right(*args, **rest))
    found = plug_in(model_of("diagonal"), DATA, form=form)
    assert found["constant_error"] > 1e-5  # at the optimum the MLE counts to second order
    if what == "mle":
        assert found["minimum_increase"] < 3 * (math.exp(-0.05) + 0.05 - 1) - 1e-4
    if what != "constant":
        assert found["gradient_error"] > 1e-3


@pytest.mark.parametrize("form", ["Iso", "iso-i", ""])
def test_another_form_is_refused(form):
    with pytest.raises(UserError, match="Diag-D") as caught:
        plug_in(model_of("diagonal"), DATA, form=form)
    assert repr(form) in str(caught.value)


def test_the_residuals_are_those_of_the_first_test_images(monkeypatch):
    monkeypatch.setattr(plug_in_module, "_IMAGES", 9)
    model = Affine()
    x = all_of(DATA.test).x[:9]
    expected = (x - model.mean(model.infer(x).mean)).flatten(1)
    found = plug_in_module._residuals(model, DATA)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), expected)
