"""Pictures for figures."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fixtures import all_of, attributes, dataset, sentences, tiny_model
from sklearn.manifold import TSNE

from vaebench.data.dataset import ImageSplit, real, symmetric
from vaebench.errors import UserError
from vaebench.evaluation.codes import draw
from vaebench.evaluation.pictures import (
    as_array,
    as_bytes,
    latent_map,
    mean_map,
    perturbed_decodings,
    reconstructed_images,
    sample_images,
    to_bytes,
)
from vaebench.evaluation.samples import interpolated_samples, prior_samples
from vaebench.models.pixelcnn import PixelCnnDecoder

SHAPES = {"grey": (1, 2, 3), "colour": (3, 2, 3)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def model_of(shape, head="diagonal"):
    return tiny_model(head, latent=3, shape=shape, scale=2.0).eval()


def decoded(model, z):
    """Rounded as an image file would be, with colours last."""
    with torch.no_grad():
        images = np.rint(255 * model.decoder.mean(z).double().numpy())
    return images[..., 0, :, :] if images.shape[-3] == 1 else np.moveaxis(images, -3, -1)


def assert_same(found, expected):
    """The same but for a byte that rounding decides."""
    assert found.dtype == np.uint8 and found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1 and (found == expected).mean() > 0.9


def test_bytes_are_clamped_and_rounded():
    grey = torch.tensor([-3.0, 0.0, 0.4 / 255, 0.6 / 255, 254.6 / 255, 1.0, 1.2])
    assert to_bytes(grey).tolist() == [0, 0, 0, 1, 255, 255, 255]
    every = torch.arange(256) / 255
    assert torch.equal(to_bytes(every), torch.arange(256).to(torch.uint8))


@pytest.mark.parametrize("pixels", [real, symmetric])
def test_what_a_split_shows_goes_back_to_what_it_stores(pixels):
    shown = ImageSplit(torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1), torch.arange(256))
    shown = replace(shown, pixels=pixels)
    assert torch.equal(as_bytes(all_of(shown).x, shown), shown.images)


def test_sentences_are_no_pictures():
    with pytest.raises(UserError, match="only images can be shown"):
        as_bytes(torch.zeros(2, 1, 3, 3), sentences(9))


def test_colours_come_last():
    images = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5)
    assert np.array_equal(as_array(images), images.permute(0, 2, 3, 1).numpy())
    assert np.array_equal(as_array(images[:, :1]), images[:, 0].numpy())


@every_shape
@pytest.mark.parametrize("head", ["diagonal", "deterministic"])
def test_reconstructions_are_decoded_means(shape, head):
    data, model = dataset(shape=shape), model_of(shape, head)
    found = reconstructed_images(model, data, count=7)
    with torch.no_grad():
        means = model.infer(all_of(data.test).x[:7]).mean
    assert set(found) == {"originals", "reconstructions"}
    assert np.array_equal(found["originals"], as_array(data.test.images[:7]))
    assert_same(found["reconstructions"], decoded(model, means))


@every_shape
def test_perturbed_decodings_spread_around_the_reconstruction(shape):
    data, model = dataset(shape=shape), model_of(shape)
    still = perturbed_decodings(model, data, count=4, perturbation=0.0, draws=3)
    assert set(still) == {"originals", "reconstructions", "decodings"}
    assert still["decodings"].shape == (4, 3, *still["reconstructions"].shape[1:])
    assert_same(still["decodings"], np.repeat(still["reconstructions"][:, None], 3, 1))
    torch.manual_seed(0)
    found = perturbed_decodings(model, data, count=4, perturbation=0.25, draws=3)
    torch.manual_seed(0)
    noise = torch.randn(4, 3, 3)
    with torch.no_grad():
        means = model.infer(all_of(data.test).x[:4]).mean
    assert_same(found["decodings"], decoded(model, means[:, None] + 0.5 * noise))


@every_shape
@pytest.mark.parametrize(("latents", "components"), [("prior", 0), ("gmm", 2), ("mid-point", 0)])
def test_sample_images_are_decoded_codes(shape, latents, components):
    data, model = dataset(shape=shape), model_of(shape)
    torch.manual_seed(1)
    images = sample_images(model, data, latents=latents, components=components, count=6)["images"]
    torch.manual_seed(1)
    assert_same(images, decoded(model, draw(model, data, latents, components, 6).z))


@every_shape
def test_prior_samples_are_draws_given_draws(shape):
    model = model_of(shape)
    torch.manual_seed(1)
    images = prior_samples(model, dataset(shape=shape), count=6)["images"]
    torch.manual_seed(1)
    with torch.no_grad():
        expected = model.decoder.sample(model.prior.sample(6, torch.device("cpu")))
    assert images.dtype == np.uint8 and set(np.unique(images)) == {0, 255}
    assert np.array_equal(images, as_array(255 * expected))


def test_prior_samples_of_a_decoder_that_draws_none_are_means():
    model = model_of((1, 2, 3))
    mean = model.decoder.mean
    del model.decoder
    model.decoder = SimpleNamespace(mean=mean)
    torch.manual_seed(1)
    images = prior_samples(model, dataset(shape=(1, 2, 3)), count=6)["images"]
    torch.manual_seed(1)
    with torch.no_grad():
        expected = 255 * mean(model.prior.sample(6, torch.device("cpu")))[:, 0].numpy()
    np.testing.assert_allclose(images, expected, atol=0.51)


def test_prior_samples_of_a_pixelcnn_are_its_draws():
    model = model_of((1, 6, 5))
    model.decoder = PixelCnnDecoder(3, (1, 6, 5), 4).eval()
    torch.manual_seed(1)
    images = prior_samples(model, dataset(shape=(1, 6, 5)), count=4)["images"]
    torch.manual_seed(1)
    expected = model.decoder.sample(model.prior.sample(4, torch.device("cpu")))
    np.testing.assert_array_equal(images, 255 * expected[:, 0].numpy())


def test_prior_samples_of_symmetric_pixels_are_shown_in_their_colours():
    data, model = dataset(shape=(3, 1, 2)), model_of((3, 1, 2))
    pixels = torch.tensor([[[-1.0, 1.0]], [[0.0, 0.6]], [[-0.2, 1.3]]])
    model.decoder.sample = lambda z: pixels.expand(len(z), 3, 1, 2)
    data = replace(data, test=replace(data.test, pixels=symmetric))
    images = prior_samples(model, data, count=3)["images"]
    np.testing.assert_array_equal(images, [[[[0, 128, 102], [255, 204, 255]]]] * 3)


@every_shape
@pytest.mark.parametrize("head", ["diagonal", "deterministic"])
def test_interpolations_go_straight_from_mean_to_mean(shape, head):
    data, model = dataset(shape=shape), model_of(shape, head)
    model.decoder.sample = model.decoder.mean  # a draw without noise
    found = interpolated_samples(model, data, pairs=4, steps=5)
    assert set(found) == {"sources", "targets", "interpolations"}
    stored = as_array(data.test.images)
    ends = []
    for name in ("sources", "targets"):
        same = (found[name][:, None] == stored).reshape(4, len(stored), -1).all(2)
        assert (same.sum(1) == 1).all()
        ends.append(same.argmax(1))
    assert (ends[0] != ends[1]).all() and len(set(ends[0])) == len(set(ends[1])) == 4
    with torch.no_grad():
        means = model.infer(all_of(data.test).x).mean
    one, other = means[ends[0]], means[ends[1]]
    z = torch.stack([one + (other - one) * i / 4 for i in range(5)], 1)
    assert_same(found["interpolations"], decoded(model, z))


@every_shape
def test_interpolations_are_drawn_between_the_same_images_for_every_model(shape):
    data, (one, other) = dataset(shape=shape), (model_of(shape), model_of(shape, "isotropic"))
    found, others = (interpolated_samples(m, data, pairs=6, steps=3) for m in (one, other))
    for name in ("sources", "targets"):
        assert np.array_equal(found[name], others[name])
    assert set(np.unique(found["interpolations"])) == {0, 255}
    assert found["interpolations"].shape == (6, 3, *found["sources"].shape[1:])


@pytest.mark.parametrize("evaluator", [reconstructed_images, perturbed_decodings])
def test_more_images_than_there_are_is_refused(evaluator):
    rest = {} if evaluator is reconstructed_images else {"perturbation": 0.1, "draws": 2}
    with pytest.raises(UserError, match="23 images"):
        evaluator(model_of((1, 2, 3)), dataset(shape=(1, 2, 3)), count=24, **rest)


def test_a_latent_map_keeps_clusters_apart():
    """Codes in far clusters, of the classes' patterns, and a prior in between."""
    data = dataset(test=60, shape=(1, 4, 4))
    model = tiny_model("deterministic", latent=2, shape=(1, 4, 4), scale=6.0).eval()
    found = latent_map(model, data, latents=50, samples=20, perplexity=8.0)
    assert found["points"].shape == (70, 2) and found["points"].dtype == np.float32
    assert found["labels"].tolist() == [*data.test.labels[:50].tolist(), *[-1] * 20]
    with torch.no_grad():
        codes = model.infer(all_of(data.test).x[:50]).mean
    for points in (codes.numpy(), found["points"][:50]):  # neighbours stay neighbours
        distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
        np.fill_diagonal(distances, np.inf)
        nearest = found["labels"][distances.argmin(1)]
        assert (nearest == found["labels"][:50]).mean() > 0.9


def test_a_map_of_means_is_scikit_learns():
    data = dataset(test=40, shape=(1, 4, 4))
    model = tiny_model("diagonal", latent=3, shape=(1, 4, 4), scale=2.0).eval()
    found = mean_map(model, data, perplexity=6.0)
    with torch.no_grad():
        means = model.infer(all_of(data.test).x).mean.numpy()
    np.testing.assert_array_equal(found["labels"], data.test.labels)
    expected = TSNE(perplexity=6.0, random_state=0).fit_transform(means)
    np.testing.assert_allclose(found["points"], expected, rtol=1e-6)


def test_a_latent_map_needs_classes():
    data = attributes(shape=(1, 2, 3))
    with pytest.raises(UserError, match="no classes"):
        latent_map(model_of((1, 2, 3)), data, latents=9, samples=9, perplexity=3.0)
    with pytest.raises(UserError, match=r"mean_map: .* no classes"):
        mean_map(model_of((1, 2, 3)), data, perplexity=3.0)
