"""The classifiers of alphabets against layers of torch trained one by one, and on known answers."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vaebench.data.dataset import DataInfo, Dataset, ImageSplit
from vaebench.errors import UserError
from vaebench.evaluation.alphabets import (
    Examples,
    accuracies,
    alphabet_classifiers,
    first_images,
    fit,
    initialised,
    shuffled,
)

SETTINGS = {"epochs": 60, "batch_size": 8, "lr": 0.05}


class Pixels:
    """A model whose features are the pixels; `seen` keeps every image."""

    def __init__(self):
        self.seen = []

    def infer(self, x):
        self.seen.append(x)
        return SimpleNamespace(features=x.flatten(1))


def split(labels, images):
    """Images [N, pixels] in [0, 1] with these labels."""
    stored = (255 * images).round().to(torch.uint8)
    return ImageSplit(stored[:, None, None, :], torch.as_tensor(labels))


def dataset(train, test, groups):
    info = DataInfo("drawn", "stand-in", train.images.shape[1:], len(groups), len(train), len(test))
    return Dataset(train, test, info, "0" * 64, class_groups=torch.as_tensor(groups))


def dots(labels, pixels):
    """White dots, each class in a place of its own."""
    return split(labels, F.one_hot(torch.as_tensor(labels), pixels).double())


def random_problems(sizes=(23, 21, 11, 6), characters=(7, 5, 6, 2), features=4):
    """Random codes and targets of alphabets; the padding is noise too, and counts for nothing."""
    generator = torch.Generator().manual_seed(0)
    shape = len(sizes), max(sizes)
    codes = torch.randn(*shape, features + 1, generator=generator, dtype=torch.float64)
    codes[..., -1] = 1
    targets = torch.stack([
        torch.randint(count, shape[1:], generator=generator) for count in characters
    ])  # fmt: skip
    there = torch.arange(max(characters)) < torch.tensor(characters)[:, None]
    return Examples(codes, targets, torch.tensor(sizes)), there


def layer(classifiers, alphabet, characters):
    """A copy of one classifier as a layer of torch."""
    weights = classifiers.weights[alphabet, :, :characters]
    made = nn.Linear(len(weights) - 1, characters, dtype=torch.float64)
    with torch.no_grad():
        made.weight.copy_(weights[:-1].T)
        made.bias.copy_(weights[-1])
    return made


@pytest.mark.parametrize("batch_size", [5, 10, 50])
def test_all_at_once_is_one_by_one(batch_size):
    """With batches of 5, 21 and 11 and 6 leave a batch of one; of 10, 21 and 11 do."""
    examples, there = random_problems()
    torch.manual_seed(0)
    classifiers = initialised(5, there, examples.codes)
    orders = [shuffled(examples) for _ in range(9)]
    layers = [layer(classifiers, a, int(there[a].sum())) for a in range(len(there))]
    fit(classifiers, examples, orders, batch_size=batch_size, lr=0.03)
    for a, (linear, size) in enumerate(zip(layers, examples.sizes.tolist(), strict=True)):
        optimizer = torch.optim.Adam(linear.parameters(), lr=0.03)
        codes, targets = examples.codes[a, :, :-1], examples.targets[a]
        for order in orders:
            for index in torch.split(order[a, :size], batch_size):
                if len(index) > 1:
                    optimizer.zero_grad()
                    loss = F.cross_entropy(linear(codes[index]), targets[index], reduction="sum")
                    loss.backward()
                    optimizer.step()
        found = layer(classifiers, a, linear.out_features)
        torch.testing.assert_close(found.weight, linear.weight, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(found.bias, linear.bias, rtol=1e-8, atol=1e-8)
        with torch.no_grad():
            right = linear(codes[:size]).argmax(1) == targets[:size]
        assert float(accuracies(classifiers, examples)[a]) == float(right.double().mean())


def test_layers_start_as_torch_starts_them():
    there = torch.ones(400, 7, dtype=torch.bool)
    weights, offsets = initialised(5, there, torch.zeros((), dtype=torch.float64))
    linear = nn.Linear(4, 2800)
    for parameter in (linear.weight, linear.bias, weights[:, :-1], weights[:, -1]):
        assert float(parameter.detach().abs().max()) == pytest.approx(0.5, abs=0.005)
        assert float(parameter.detach().square().mean()) == pytest.approx(1 / 12, abs=0.006)
    assert offsets.shape == (400, 1, 7) and not offsets.any()


def test_an_order_has_every_example_once_and_the_padding_behind():
    examples, _ = random_problems()
    firsts = []
    for _ in range(400):
        order = shuffled(examples)
        assert torch.equal(order.sort(1).values, torch.arange(23).expand(4, 23))
        assert all((order[a, :size] < size).all() for a, size in enumerate((23, 21, 11, 6)))
        firsts.append(int(order[3, 0]))
    counts = torch.bincount(torch.tensor(firsts)).double()
    error = (400 / 6 * 5 / 6) ** 0.5
    assert len(counts) == 6 and ((counts - 400 / 6).abs() < 5 * error).all()


def test_the_first_images_of_a_class_are_taken_in_their_order():
    labels = torch.tensor([2, 0, 2, 1, 0, 2, 0, 2])
    assert first_images(labels, torch.tensor([0, 2]), 3).tolist() == [[1, 4, 6], [0, 2, 5]]


def test_a_class_with_fewer_is_filled_up_with_its_own():
    labels = torch.tensor([0, 1, 1, 0, 1])
    torch.manual_seed(0)
    zero, one = first_images(labels, torch.tensor([0, 1]), 50)
    assert zero[:2].tolist() == [0, 3] and one[:3].tolist() == [1, 2, 4]
    assert set(zero[2:].tolist()) == {0, 3} and set(one[3:].tolist()) == {1, 2, 4}


@pytest.mark.parametrize("labels", [1, 3])
def test_separable_codes_are_all_known(labels):
    groups = [0, 1, 0, 2, 1, 0, 0]
    classes = list(range(7))
    data = dataset(dots(3 * classes, 7), dots(5 * classes, 7), groups)
    torch.manual_seed(0)
    found = alphabet_classifiers(Pixels(), data, labels=labels, **SETTINGS)
    assert found == {"accuracy": 100.0, "accuracy_weighted": pytest.approx(100.0, abs=1e-12)}


def test_alphabets_count_alike_or_by_their_characters():
    """Of three dots all are known; of two characters without any, one is always said."""
    labels, groups = torch.arange(5), torch.tensor([0, 1, 0, 0, 1])
    images = F.one_hot(labels, 5).double() * (groups == 0)[:, None]
    parts = [split(labels.repeat(n), images.repeat(n, 1)) for n in (4, 5)]
    torch.manual_seed(0)
    found = alphabet_classifiers(Pixels(), dataset(*parts, groups), labels=4, **SETTINGS)
    assert found["accuracy"] == (100 + 50) / 2
    assert found["accuracy_weighted"] == pytest.approx((3 * 100 + 2 * 50) / 5, abs=1e-12)


def test_noise_is_guessed():
    """200 alphabets of four characters with five test images each."""
    torch.manual_seed(0)
    labels, groups = torch.arange(800), torch.arange(800) // 4
    parts = [split(labels.repeat(n), torch.rand(800 * n, 6)) for n in (3, 5)]
    data = dataset(*parts, groups)
    found = alphabet_classifiers(Pixels(), data, labels=3, epochs=5, batch_size=8, lr=0.05)
    error = 100 * (0.25 * 0.75 / 4000) ** 0.5
    assert found["accuracy"] == pytest.approx(25, abs=5 * error)
    assert found["accuracy"] == pytest.approx(found["accuracy_weighted"], abs=1e-9)


def test_every_image_is_drawn_once_from_its_grey_values():
    torch.manual_seed(0)
    grey = torch.rand(1, 30)
    labels = torch.zeros(7, dtype=torch.int64)
    data = dataset(split(labels, grey.repeat(7, 1)), split(labels[:2], grey.repeat(2, 1)), [0])
    model = Pixels()
    alphabet_classifiers(model, data, labels=2000, epochs=1, batch_size=500, lr=0.1)
    train, test = (x.flatten(1) for x in model.seen)
    assert train.shape == (2000, 30) and test.shape == (5, 30)
    assert set(train.unique().tolist()) == {0.0, 1.0}
    stored = data.train.images[0].flatten() / 255
    error = (stored * (1 - stored) / 2000) ** 0.5
    assert ((train.mean(0) - stored).abs() <= 5 * error).all()


def test_a_character_without_images_is_left_out():
    """Character 1 is not in the test set, 3 not in the training set: an alphabet of its own."""
    data = dataset(dots([0, 1, 2], 4), dots([2, 0, 3], 4), [0, 0, 0, 1])
    model = Pixels()
    torch.manual_seed(0)
    found = alphabet_classifiers(model, data, labels=2, **SETTINGS)
    assert found["accuracy"] == 100.0
    assert [x.flatten(1).argmax(1).tolist() for x in model.seen] == [
        [0, 0, 2, 2],
        [0] * 5 + [2] * 5,
    ]


def test_data_without_alphabets_are_refused():
    data = dataset(dots([0, 1], 2), dots([0, 1], 2), [0, 0])
    plain = Dataset(data.train, data.test, data.info, data.sha256)
    told = "drawn has no alphabets; omniglot, omniglot-derived and strokes-28x28 have"
    with pytest.raises(UserError, match=told):
        alphabet_classifiers(Pixels(), plain, labels=1, **SETTINGS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_a_gpu_learns_what_a_cpu_learns():
    examples, there = random_problems()
    weights = []
    for device in ("cpu", "cuda"):
        here = Examples(*(part.to(device) for part in examples))
        torch.manual_seed(0)
        classifiers = initialised(5, there.to(device), here.codes)
        fit(classifiers, here, [shuffled(here) for _ in range(9)], batch_size=5, lr=0.03)
        weights.append(classifiers.weights.cpu())
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-8, atol=1e-8)
    data = dataset(dots([0, 1, 2] * 3, 3), dots([0, 1, 2] * 5, 3), [0, 1, 0])
    found = alphabet_classifiers(Pixels(), data.to("cuda"), labels=3, **SETTINGS)
    assert found["accuracy"] == 100.0
