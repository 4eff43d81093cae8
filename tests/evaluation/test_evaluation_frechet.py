"""Frechet distances of generated images, and where their codes come from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import CLASSES, all_of, attributes, dataset, random_judge, tiny_model
from torch import nn
from torch.nn import functional as F

from vaebench.errors import UserError
from vaebench.estimators.interpolation import slerp
from vaebench.evaluation import codes, encoding
from vaebench.evaluation import frechet as module
from vaebench.evaluation.codes import draw, interpolations, mixture, pairs
from vaebench.evaluation.frechet import Extractor, fingerprint, frechet, reference
from vaebench.models import inception
from vaebench.models.posteriors import DeltaPosterior
from vaebench.models.priors import StandardGaussian

SHAPE = (1, 4, 4)
DATA = dataset(train=80, test=61, shape=SHAPE)
JUDGE = random_judge(SHAPE, CLASSES)
PRIOR = {"latents": "prior", "components": 0}


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What other tests put into memory."""
    monkeypatch.setattr(module, "_references", {})


def model_of(head="diagonal"):
    return tiny_model(head, latent=3, shape=SHAPE, scale=2.0).eval()


class Replay(nn.Module):
    """A model whose codes are images, its prior the images given, in order."""

    def __init__(self, images):
        super().__init__()
        self.images, self.decoder, self.prior = images, self, self

    def infer(self, x):
        return DeltaPosterior(x.flatten(1))

    def mean(self, z):
        return z.unflatten(-1, SHAPE)

    def sample(self, count, device):
        return self.images.flatten(1)[:count]


def distance_of(images, count=61, data=DATA, judge=JUDGE):
    return frechet(Replay(images), data, judge=judge, **PRIOR, count=count)["fd"]


# The distance.


def test_the_test_images_are_at_no_distance_from_themselves():
    x = all_of(DATA.test).x
    order = torch.randperm(61, generator=torch.Generator().manual_seed(0))
    assert abs(distance_of(x)) < 1e-6 and abs(distance_of(x[order])) < 1e-6


def test_it_is_the_formula_on_rounded_images():
    images = 1.4 * torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(0)) - 0.2
    found = distance_of(images, count=40)
    rounded = np.clip(images.double().numpy(), 0, 1)
    sides = torch.from_numpy(np.rint(255 * rounded) / 255).float(), all_of(DATA.test).x[:40]
    one, other = (JUDGE.features(side).double().numpy() for side in sides)
    shift = one.mean(0) - other.mean(0)
    first, second = np.cov(one.T), np.cov(other.T)
    root = np.sqrt(np.abs(np.linalg.eigvals(first @ second))).sum()
    expected = shift @ shift + np.trace(first) + np.trace(second) - 2 * root
    assert found == pytest.approx(expected, rel=1e-5)


def test_it_rises_with_noise_and_blur():
    x = all_of(DATA.test).x
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    noisy = [distance_of(x + strength * noise) for strength in (0.0, 0.1, 0.3, 1.0)]
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    blurry = [distance_of(torch.lerp(x, blurred, share)) for share in (0.0, 0.3, 0.6, 1.0)]
    assert noisy == sorted(noisy) and noisy[1] > 1e-4
    assert blurry == sorted(blurry) and blurry[1] > 1e-4


def test_the_accuracy_of_a_judge_of_classes():
    expected = (JUDGE(all_of(DATA.test).x).argmax(1) == DATA.test.labels).double().mean()
    found = frechet(model_of(), DATA, judge=JUDGE, **PRIOR, count=7)
    assert found["judge_accuracy"] == pytest.approx(100 * float(expected))
    assert set(found) == {"fd", "judge_accuracy"}


def test_the_accuracy_of_a_judge_of_attributes():
    data = attributes(test=61)
    judge = random_judge(SHAPE, 2 * CLASSES)
    right = [
        ((judge(all_of(data.test).x)[:, a] > 0) == data.test.labels[:, a]).double().mean()
        for a in range(2 * CLASSES)
    ]
    found = frechet(model_of(), data, judge=judge, **PRIOR, count=7)["judge_accuracy"]
    assert found == pytest.approx(100 * float(sum(right)) / len(right))


def test_inception_takes_the_place_of_a_judge(monkeypatch, tmp_path):
    asked = []

    class Features(nn.Module):
        def forward(self, images):
            return JUDGE.features(images)

    monkeypatch.setattr(inception, "load", lambda path: asked.append(path) or Features())
    torch.manual_seed(0)
    found = module.fid(model_of(), DATA, weights=tmp_path / "w.pth", **PRIOR, count=30)
    torch.manual_seed(0)
    expected = frechet(model_of(), DATA, judge=JUDGE, **PRIOR, count=30)["fd"]
    assert found == {"fd": expected} and asked == [tmp_path / "w.pth"]


# The reference.


class Counting(nn.Module):
    """Features that count how many images they were asked for."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, images):
        self.seen += len(images)
        return images.flatten(1)[:, :5]


def test_the_reference_is_the_first_images_and_computed_once():
    counting = Counting()
    extractor = Extractor(counting, "one")
    found = reference(DATA, extractor, 17)
    x = all_of(DATA.test).x[:17].flatten(1)[:, :5].double()
    torch.testing.assert_close(found.mean, x.mean(0))
    torch.testing.assert_close(found.covariance, x.T.cov())
    assert counting.seen == 17
    assert torch.equal(reference(DATA, extractor, 17).mean, found.mean) and counting.seen == 17


def test_a_reference_belongs_to_its_data_extractor_and_count():
    counting = Counting()
    for sha, identity, count in (("a", "x", 9), ("b", "x", 9), ("a", "y", 9), ("a", "x", 8)):
        reference(replace(DATA, sha256=sha), Extractor(counting, identity), count)
    assert counting.seen == 9 + 9 + 9 + 8


def test_a_reference_is_kept_in_the_cache_of_the_data(tmp_path, monkeypatch):
    counting, data = Counting(), replace(DATA, cache=tmp_path / "cache")
    first = reference(data, Extractor(counting, "one"), 17)
    (path,) = (tmp_path / "cache").iterdir()
    monkeypatch.setattr(module, "_references", {})
    again = reference(data, Extractor(counting, "one"), 17)
    assert counting.seen == 17
    assert torch.equal(again.mean, first.mean) and torch.equal(again.covariance, first.covariance)
    monkeypatch.setattr(module, "_references", {})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="delete it") as caught:
        reference(data, Extractor(counting, "one"), 17)
    assert str(path) in str(caught.value)


def test_a_fingerprint_is_that_of_the_weights():
    judges = [random_judge(SHAPE, CLASSES) for _ in range(3)]
    with torch.no_grad():
        judges[2].output.bias[0] += 1e-6
    one, same, other = map(fingerprint, judges)
    assert one == same != other
    assert fingerprint(random_judge(SHAPE, CLASSES + 1)) not in (one, other)


# Where codes come from.


def test_codes_of_the_prior_are_those_of_the_model():
    model = model_of()
    torch.manual_seed(5)
    found = draw(model, DATA, "prior", 0, 9)
    torch.manual_seed(5)
    assert torch.equal(found.z, StandardGaussian(3).sample(9, torch.device("cpu")))
    assert found.converged is None


KNOWN_MEANS = torch.tensor([[-6.0, 0.0], [0.0, 7.0], [8.0, -3.0]])
KNOWN_DEVIATIONS = torch.tensor([[0.5, 1.0], [1.5, 0.5], [1.0, 0.3]])
SHARES = torch.tensor([0.5, 0.3, 0.2])


def known_mixture(size):
    generator = torch.Generator().manual_seed(0)
    which = torch.multinomial(SHARES, size, replacement=True, generator=generator)
    noise = torch.randn(size, 2, generator=generator)
    return KNOWN_MEANS[which] + KNOWN_DEVIATIONS[which] * noise


def test_a_mixture_recovers_the_moments_of_a_known_one():
    torch.manual_seed(0)
    z, converged = mixture(known_mixture(6_000), 3, 40_000)
    assert converged is True and z.shape == (40_000, 2) and z.dtype == torch.float32
    which = torch.cdist(z, KNOWN_MEANS).argmin(1)  # the three are far apart
    for k in range(3):
        mine = z[which == k].double()
        assert len(mine) / len(z) == pytest.approx(float(SHARES[k]), abs=0.02)
        assert (mine.mean(0) - KNOWN_MEANS[k]).abs().max() < 0.1
        assert (mine.std(0) / KNOWN_DEVIATIONS[k] - 1).abs().max() < 0.05
        assert abs(float(mine.T.corrcoef()[0, 1])) < 0.07


def test_draws_of_a_mixture_are_not_sorted_by_component():
    torch.manual_seed(0)
    z = mixture(known_mixture(1_000), 3, 3_000).z
    which = torch.cdist(z, KNOWN_MEANS).argmin(1)
    for third in which.split(1_000):
        shares = torch.bincount(third, minlength=3) / 1_000
        assert (shares - SHARES).abs().max() < 0.08


def test_the_global_generator_decides_a_mixture():
    means, found = known_mixture(500), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(mixture(means, 3, 50).z)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_a_mixture_is_fitted_to_training_means_and_says_whether_it_converged():
    model = Replay(all_of(DATA.train).x)
    z = draw(model, DATA, "gmm", 1, 4_000).z
    x = all_of(DATA.train).x.flatten(1)
    assert (z.mean(0) - x.mean(0)).abs().max() < 0.05
    found = frechet(model_of(), DATA, judge=JUDGE, latents="gmm", components=2, count=50)
    assert set(found) == {"fd", "gmm_converged", "judge_accuracy"}
    assert found["gmm_converged"] == 1 and type(found["gmm_converged"]) is int


@pytest.mark.parametrize(("size", "count"), [(50, 50), (50, 30), (7, 100), (2, 9)])
def test_pairs_are_of_different_images_each_as_often_as_the_others(size, count):
    one, other = found = pairs(size, count, torch.Generator().manual_seed(0))
    assert found.shape == (2, count) and (one != other).all()
    assert found.min() >= 0 and found.max() < size
    for side in (one, other):
        # At most once a permutation, of which each leaves some in place.
        rounds = 1 + count // max(1, size - 8) if size > 8 else count
        assert torch.bincount(side).max() <= rounds
    again = pairs(size, count, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)


def test_a_single_image_has_no_pair():
    with pytest.raises(UserError, match="need two of the test set; it has 1"):
        pairs(1, 3, torch.Generator())


def test_interpolations_are_between_pairs_of_test_means():
    model = model_of()
    with torch.no_grad():
        means = model.infer(all_of(DATA.test).x).mean
    found = draw(model, DATA, "mid-point", 0, 61).z
    one, other = pairs(61, 61, torch.Generator().manual_seed(codes.PAIRS_SEED))
    expected = slerp(means[one], means[other], torch.full((61,), 0.5))
    torch.testing.assert_close(found, expected)


def test_pairs_and_t_are_the_same_for_all_models_whatever_came_before():
    """On codes of one dimension each, t can be read off."""
    size = 40
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        found.append(interpolations(torch.eye(size, dtype=torch.float64), 40, mid_point=False))
    assert torch.equal(*found)
    # cos and sin of t pi/2 stand at the two indices of a pair.
    middle = interpolations(torch.eye(size, dtype=torch.float64), 40, mid_point=True)
    assert torch.equal(middle > 0, found[0] > 0) and ((middle > 0).sum(1) == 2).all()
    t = torch.arcsin(found[0].topk(2).values[:, 1]) / (torch.pi / 2)
    assert t.max() <= 0.5 and 0.15 < t.mean() < 0.35 and t.unique().numel() == 40


def test_the_order_of_draws_of_the_models_matters_not_to_interpolations():
    expected = frechet(
        model_of(), DATA, judge=JUDGE, latents="random-point", components=0, count=20
    )
    torch.manual_seed(99)
    again = frechet(model_of(), DATA, judge=JUDGE, latents="random-point", components=0, count=20)
    assert again == expected


@pytest.mark.parametrize(
    ("source", "components"),
    [("posterior", 0), ("gmm", 0), ("prior", 3), ("mid-point", 1), ("random-point", 1)],
)
def test_what_does_not_fit_is_refused_in_words(source, components):
    with pytest.raises(UserError) as caught:
        draw(model_of(), DATA, source, components, 5)
    assert repr(source) in str(caught.value)


def test_images_are_decoded_in_chunks(monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK", 17)
    seen, model = [], Replay(all_of(DATA.test).x)
    monkeypatch.setattr(model, "mean", lambda z: seen.append(len(z)) or z.unflatten(-1, SHAPE))
    frechet(model, DATA, judge=JUDGE, **PRIOR, count=61)
    assert seen == [2] * 30 + [1]
    monkeypatch.setattr(encoding, "CHUNK", 2_000)
    assert encoding.chunk_size((1, 28, 28)) == 2_000 and encoding.chunk_size((3, 64, 64)) == 127
