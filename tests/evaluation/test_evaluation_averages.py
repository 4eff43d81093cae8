"""Means of draws from the posterior: pictures of them, and their maps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import all_of, attributes, dataset, tiny_model
from sklearn.manifold import TSNE

from vaebench.data.dataset import symmetric
from vaebench.errors import UserError
from vaebench.evaluation.averages import averaged_map, averaged_reconstructions
from vaebench.evaluation.encoding import sampled_features
from vaebench.models.normalised_pixelcnn import NormalisedPixelCnnDecoder

SHAPES = {"grey": (1, 2, 3), "colour": (3, 2, 3)}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
MAP = {"draws": 3, "perplexity": 6.0, "iterations": 260, "exaggeration": 9.0, "learning_rate": 80.0}


def model_of(shape):
    return tiny_model("diagonal", latent=3, shape=shape, scale=2.0).eval()


@every_shape
def test_reconstructions_are_decodings_of_sampled_features(shape):
    data, model = dataset(shape=shape), model_of(shape)
    torch.manual_seed(2)
    found = averaged_reconstructions(model, data, count=7, draws=5)
    torch.manual_seed(2)
    with torch.no_grad():
        z = model.infer(all_of(data.test).x[:7]).rsample(5).mean(0)
        expected = 255 * model.decoder.mean(z).numpy()
    expected = expected[:, 0] if shape[0] == 1 else np.moveaxis(expected, 1, -1)
    assert set(found) == {"originals", "reconstructions"}
    assert found["reconstructions"].dtype == np.uint8
    np.testing.assert_allclose(found["reconstructions"], expected, atol=0.51)
    stored = data.test.images[:7].numpy()
    stored = stored[:, 0] if shape[0] == 1 else np.moveaxis(stored, 1, -1)
    np.testing.assert_array_equal(found["originals"], stored)


def test_a_decoder_that_knows_the_likeliest_image_is_asked_for_it():
    data, model = dataset(shape=(1, 2, 3)), model_of((1, 2, 3))
    model.decoder.most_likely = lambda z: (model.decoder.mean(z) >= 0.5).float()
    torch.manual_seed(2)
    found = averaged_reconstructions(model, data, count=23, draws=5)["reconstructions"]
    del model.decoder.most_likely
    torch.manual_seed(2)
    grey = averaged_reconstructions(model, data, count=23, draws=5)["reconstructions"]
    assert set(np.unique(found)) == {0, 255} and len(np.unique(grey)) > 2
    np.testing.assert_array_equal(found, np.where(grey >= 128, 255, 0))


def test_reconstructions_of_a_pixelcnn_are_its_likeliest_images():
    data, model = dataset(shape=(1, 6, 5)), model_of((1, 6, 5))
    model.decoder = NormalisedPixelCnnDecoder(3, (1, 6, 5), 4).eval()
    torch.manual_seed(2)
    found = averaged_reconstructions(model, data, count=4, draws=5)["reconstructions"]
    torch.manual_seed(2)
    with torch.no_grad():
        z = model.infer(all_of(data.test).x[:4]).rsample(5).mean(0)
    expected = model.decoder.most_likely(z)
    np.testing.assert_array_equal(found, 255 * expected[:, 0].numpy())


def test_symmetric_pixels_are_shown_as_they_are_stored():
    data, model = dataset(shape=(3, 2, 3)), model_of((3, 2, 3))
    plain = averaged_reconstructions(model, data, count=23, draws=1)
    data = replace(data, test=replace(data.test, pixels=symmetric))
    image = torch.tensor([-1.0, 0.0, 1.0, 1.4]).repeat(5)[:18].view(3, 2, 3)
    model.decoder.most_likely = lambda z: image.expand(len(z), 3, 2, 3)
    found = averaged_reconstructions(model, data, count=23, draws=1)
    np.testing.assert_array_equal(found["originals"], plain["originals"])
    assert found["originals"].shape == (23, 2, 3, 3) and found["originals"].dtype == np.uint8
    wanted = np.resize([0, 128, 255, 255], 18).reshape(3, 2, 3)
    np.testing.assert_array_equal(found["reconstructions"][0], np.moveaxis(wanted, 0, -1))


@pytest.mark.parametrize("draws", [-1, 2.0, True])
def test_draws_are_counted_in_whole_numbers(draws):
    data, model = dataset(shape=(1, 2, 3)), model_of((1, 2, 3))
    with pytest.raises(UserError, match=r"averaged_reconstructions: draws is .* from 1"):
        averaged_reconstructions(model, data, count=4, draws=draws)
    with pytest.raises(UserError, match=r"averaged_map: draws is .* from 0"):
        averaged_map(model, data, **MAP | {"draws": draws})


def test_more_images_than_there_are_is_refused():
    with pytest.raises(UserError, match="count is 24, and the test set has 23 images"):
        averaged_reconstructions(model_of((1, 2, 3)), dataset(shape=(1, 2, 3)), count=24, draws=2)


@pytest.mark.parametrize("validated", [True, False])
def test_a_map_is_scikit_learns_of_all_splits(validated):
    data = dataset(train=25, test=17, shape=(1, 4, 4))
    data = data if validated else replace(data, validation=None)
    model = tiny_model("diagonal", latent=3, shape=(1, 4, 4), scale=2.0).eval()
    torch.manual_seed(4)
    found = averaged_map(model, data, **MAP)
    splits = [data.train, data.validation, data.test] if validated else [data.train, data.test]
    torch.manual_seed(4)
    codes = torch.cat([sampled_features(model, split, 3) for split in splits])
    expected = TSNE(
        perplexity=6.0,
        max_iter=260,
        early_exaggeration=9.0,
        learning_rate=80.0,
        init="random",
        random_state=0,
    ).fit_transform(codes.float().numpy())
    assert found["points"].shape == (61 if validated else 42, 2)
    np.testing.assert_allclose(found["points"], expected, rtol=1e-6)
    np.testing.assert_array_equal(found["labels"], torch.cat([s.labels for s in splits]))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("perplexity", 9.0), ("iterations", 300), ("exaggeration", 4.0), ("learning_rate", 30.0)],
)
def test_every_setting_of_a_map_counts(setting, value):
    change = {setting: value}
    data = dataset(train=25, test=17, shape=(1, 4, 4))
    model = tiny_model("deterministic", latent=3, shape=(1, 4, 4), scale=2.0).eval()
    found, other = (averaged_map(model, data, **settings) for settings in (MAP, MAP | change))
    assert np.abs(found["points"] - other["points"]).max() > 1e-3


def test_a_map_needs_classes():
    with pytest.raises(UserError, match=r"averaged_map: .* no classes"):
        averaged_map(model_of((1, 2, 3)), attributes(shape=(1, 2, 3)), **MAP)
