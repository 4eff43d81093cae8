"""Checkpoints: plain content, nothing executed, damage noticed and told."""

import random

import pytest
import torch
from fixtures import LATENT_CASES, build, data_for, dataset, tiny_model, training
from torch import Tensor

from vaebench.errors import UserError
from vaebench.training import checkpoints
from vaebench.training.loop import train

CPU = torch.device("cpu")
DATA = dataset()
IWAE = next(case for case in LATENT_CASES if case.name == "igp.iwae")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a real checkpoint."""
    path = tmp_path_factory.mktemp("run") / "checkpoint.pt"
    recipe = build(IWAE, DATA)
    train(recipe, DATA, training(1), seed=0, device=CPU, checkpoint=path)
    return path.read_bytes()


def assert_refused(checkpoint, content):
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_bytes(content)
    with pytest.raises(UserError, match="checkpoint") as caught:
        checkpoints.load(checkpoint)
    assert str(checkpoint) in str(caught.value) and "\n" not in str(caught.value)


def assert_plain(value, where="checkpoint"):
    """Tensors, numbers, texts and their lists and mappings; nothing that a class makes."""
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) in (str, int), where
            assert_plain(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            assert_plain(item, f"{where}[{index}]")
    else:
        assert value is None or type(value) in (bool, int, float, str, Tensor), where


@pytest.mark.parametrize("case", LATENT_CASES, ids=str)
def test_a_checkpoint_holds_plain_values_and_all_that_training_needs(case, checkpoint):
    data = data_for(case)
    recipe = build(case, data)
    trained = train(recipe, data, training(2), seed=0, device=CPU, checkpoint=checkpoint)
    state = torch.load(checkpoint, weights_only=True)
    assert_plain(state)
    assert set(state) == {*("model", "procedure", "random", "history", "seconds", "best", "format")}
    assert state["history"] == trained.history
    assert torch.equal(state["random"]["cpu"], torch.get_rng_state())
    for name, tensor in recipe.model.state_dict().items():
        assert torch.equal(state["model"][name], tensor)
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_a_truncated_checkpoint_is_refused(share, content, checkpoint):
    assert_refused(checkpoint, content[: int(share * len(content))])


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_refused(seed, checkpoint):
    rng = random.Random(seed)
    for size in (1, 2, 5, 20, 60, 1000):
        for _ in range(20):
            assert_refused(checkpoint, rng.randbytes(size))


@pytest.mark.parametrize("place", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_block_of_zeros_is_refused(place, content, checkpoint):
    start = int(place * len(content))
    end = min(start + 512, len(content))
    assert any(content[start:end])
    assert_refused(checkpoint, content[:start] + bytes(end - start) + content[end:])


def test_a_flipped_bit_in_the_weights_is_noticed(content, checkpoint):
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(content)
    tensor = checkpoints.load(checkpoint)["model"]["encoder.layers.0.weight"]
    raw = tensor.numpy().tobytes()
    assert content.count(raw) == 1
    place = content.index(raw) + len(raw) // 2
    changed = content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :]
    assert_refused(checkpoint, changed)


def test_a_pickled_function_is_refused(checkpoint):
    checkpoint.parent.mkdir(parents=True)
    torch.save({"model": {}, "hook": print}, checkpoint)
    assert_refused(checkpoint, checkpoint.read_bytes())


def test_nothing_in_a_checkpoint_is_executed(checkpoint, tmp_path):
    trace = tmp_path / "executed"

    class Malicious:
        def __reduce__(self):
            return trace.write_text, ("executed",)

    for old_format in (False, True):
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        zipped = not old_format
        torch.save({"model": Malicious()}, checkpoint, _use_new_zipfile_serialization=zipped)
        assert_refused(checkpoint, checkpoint.read_bytes())
        assert not trace.exists()
    torch.load(checkpoint, weights_only=False)  # so the trap does work
    assert trace.exists()


@pytest.mark.parametrize(
    "state", [{"model": tiny_model(latent=3).state_dict()}, {"weights": {}}], ids=["size", "key"]
)
def test_the_weights_of_another_model_are_refused(state, checkpoint):
    checkpoints.save(state, checkpoint)
    model = tiny_model(latent=2)
    with pytest.raises(UserError, match="another model") as caught:
        checkpoints.load_weights(model, checkpoint)
    assert str(checkpoint) in str(caught.value)


def test_training_refuses_a_damaged_checkpoint_and_leaves_it(content, checkpoint):
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(content[:100])
    recipe = build(IWAE, DATA)
    with pytest.raises(UserError, match=r"checkpoint\.pt"):
        train(recipe, DATA, training(2), seed=0, device=CPU, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == content[:100]


def test_a_failed_write_leaves_the_old_checkpoint(checkpoint):
    checkpoints.save({"history": [1.0]}, checkpoint)
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        checkpoints.save({"history": (number for number in [2.0])}, checkpoint)
    assert checkpoints.load(checkpoint) == {"history": [1.0]}
    assert [path.name for path in checkpoint.parent.iterdir()] == [checkpoint.name]


def test_the_random_state_goes_back():
    torch.manual_seed(0)
    state = checkpoints.random_state(CPU)
    drawn = torch.randn(5)
    torch.manual_seed(1)
    checkpoints.restore_random_state(state, CPU)
    assert torch.equal(torch.randn(5), drawn)


def test_a_checkpoint_of_another_version_is_told(content, checkpoint):
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(content)
    state = checkpoints.load(checkpoint)
    del state["format"]
    checkpoints.save(state, checkpoint)
    recipe = build(IWAE, DATA)
    with pytest.raises(UserError, match=r"another version of vaebench.*\n?.*delete it"):
        train(recipe, DATA, training(2), seed=0, device=CPU, checkpoint=checkpoint)
