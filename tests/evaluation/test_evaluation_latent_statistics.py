"""Information, diversity and uncertainty of a test set's posteriors against slow references."""

import math

import pytest
import torch
from fixtures import all_of, dataset, tiny_model
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from vaebench.errors import UserError
from vaebench.evaluation import encoding
from vaebench.evaluation import latent_statistics as module
from vaebench.evaluation.latent_statistics import latent_statistics
from vaebench.evaluation.oversmoothing import oversmoothing
from vaebench.models.flows import FlowHead
from vaebench.models.heads import (
    ZERO_ENTROPY_VARIANCE,
    LinearGaussianHead,
    NormalisedMean,
    VarianceDropout,
)

SHAPE = (1, 2, 2)
DATA = dataset(train=61, test=37, shape=SHAPE)
NAMES = ["kl", "mi", "mi_minibatch", "au", "mpd", "ce"]
FEATURES, LATENT = 5, 3
THRESHOLD = 0.01


def head_of(kind):
    mean = NormalisedMean(LATENT, gamma=0.7, scale="rescaled", shift=None, eps=1e-5)
    variance = VarianceDropout(0.5, ZERO_ENTROPY_VARIANCE)
    variance.activate(torch.tensor(True))
    if kind == "flow":
        return FlowHead(FEATURES, LATENT, hidden=12, bias=True, mean=mean, variance=variance)
    return LinearGaussianHead(FEATURES, LATENT, bias=True, mean=mean, variance=variance)


def model_of(kind):
    model = tiny_model("diagonal" if kind in ("flow", "du") else kind, LATENT, scale=2.0)
    if kind in ("flow", "du"):
        torch.manual_seed(1)
        model.head = head_of(kind)
        with torch.no_grad():
            for _ in range(50):  # running statistics
                model.infer(all_of(DATA.train).x)
    return model.eval()


def measured(model, threshold=THRESHOLD, seed=3):
    torch.manual_seed(seed)
    return latent_statistics(model, DATA, threshold=threshold)


@pytest.mark.parametrize("kind", ["diagonal", "isotropic", "joint", "delta", "du"])
def test_the_values_are_those_of_the_posteriors_of_the_test_set(kind, monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK", 16)
    monkeypatch.setattr(module, "_IMAGES", 10)
    model = model_of(kind)
    found = measured(model)
    assert list(found) == NAMES
    with torch.no_grad():
        posterior = model.infer(all_of(DATA.test).x)
    means, variances = posterior.mean.double(), posterior.variance.double()
    margins = Normal(means, variances.sqrt())
    standard = Normal(torch.zeros_like(means), torch.ones_like(means))
    kl = kl_divergence(margins, standard).sum(1).mean().item()
    assert found["kl"] == pytest.approx(kl, rel=1e-5)
    assert found["ce"] == pytest.approx(margins.entropy().sum(1).mean().item(), rel=1e-5)
    one = Independent(Normal(means[:, None], variances.sqrt()[:, None]), 1)
    other = Independent(Normal(means[None], variances.sqrt()[None]), 1)
    divergences = (kl_divergence(one, other) + kl_divergence(other, one)) / 2
    assert found["mpd"] == pytest.approx(divergences.mean().item(), rel=1e-5)
    # Information, from the same draws.
    torch.manual_seed(3)
    z = means + variances.sqrt() * torch.randn(1, 37, LATENT)[0]
    assert found["mi"] == pytest.approx(information(z, margins, slice(0, 37)), rel=1e-5)
    parts = [slice(start, min(start + 10, 37)) for start in range(0, 37, 10)]
    each = [(some.stop - some.start) * information(z, margins, some) for some in parts]
    assert found["mi_minibatch"] == pytest.approx(sum(each) / 37, rel=1e-5)
    assert found["mi_minibatch"] < math.log(10) + 1 and found["mi"] != found["mi_minibatch"]


def information(z, margins, some):
    """E[log q(z|x)] in closed form less log of the mixture at the draws."""
    means, deviations = margins.loc[some], margins.scale[some]
    densities = Normal(means[None], deviations[None]).log_prob(z[some, None]).sum(-1)
    mixture = densities.logsumexp(1) - math.log(len(means))
    return (-margins.entropy()[some].sum(1) - mixture).mean().item()


def test_active_units_count_means_that_vary_by_more_than_the_threshold():
    model = model_of("du")
    with torch.no_grad():
        spread = model.infer(all_of(DATA.test).x).mean.var(0).sort().values
    assert (spread.diff() > 1e-3).all()
    for count in range(LATENT + 1):
        around = [0.0, *spread.tolist(), 10.0]
        threshold = (around[LATENT - count] + around[LATENT - count + 1]) / 2
        assert measured(model, threshold)["au"] == count


def test_a_deterministic_encoder_has_active_units_alone():
    found = measured(model_of("deterministic"))
    assert list(found) == NAMES and type(found["au"]) is int
    assert {name for name in NAMES if found[name] is not None} == {"au"}


def test_a_flow_has_the_mean_log_ratio_of_one_draw_a_datum(monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK", 16)
    model = model_of("flow")
    found = measured(model)
    assert list(found) == NAMES
    assert {name for name in NAMES if found[name] is not None} == {"kl"}
    torch.manual_seed(3)
    ratios = []
    for batch in encoding.chunks(DATA.test):
        with torch.no_grad():
            draws = model.infer(batch.x).draw(1)
        standard = Normal(torch.zeros_like(draws.z), torch.ones_like(draws.z))
        ratios.append(draws.log_prob() - standard.log_prob(draws.z).sum(-1))
    assert [len(ratio[0]) for ratio in ratios] == [16, 16, 5]
    assert found["kl"] == pytest.approx(torch.cat(ratios, 1).mean().item(), rel=1e-5)


def test_evaluations_of_gaussians_refuse_flows():
    with pytest.raises(UserError, match="not flows"):
        oversmoothing(model_of("flow"), DATA, split="test", jacobians=2, batch=10)


def test_the_floor_of_the_variance_is_in_and_its_dropout_is_not():
    model = model_of("du")
    ce = measured(model)["ce"]
    assert measured(model, seed=4)["ce"] == ce
    model.head.variance = nn.Identity()
    assert measured(model)["ce"] < ce
