"""Numerics: the chosen route is exact to float32, and what is chosen is what is set."""

import pytest
import torch
from fixtures import at, random_batch, tiny_model

from vaebench.data.dataset import Batch
from vaebench.errors import UserError
from vaebench.objectives.elbo import negative_elbo
from vaebench.training import numerics
from vaebench.training.numerics import Numerics, resolve
from vaebench.training.recipe import Recipe

# Rows, inner size and columns of products in the papers' networks, and odd ones.
SHAPES = [(128, 784, 200), (128, 200, 1), (6400, 32, 200), (1, 784, 10), (7, 13, 5), (300, 1000, 3)]


def error(found, exact):
    return float((found.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_chosen_route_keeps_products_and_their_gradients_exact(shape):
    chosen = resolve("cpu", threads=1)
    assert chosen.matmul in ("onednn", "default") and chosen.precision == "float32"
    assert chosen.apply() == torch.device("cpu")
    rows, inner, columns = shape
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(rows, inner, generator=generator).requires_grad_()
    right = torch.randn(columns, inner, generator=generator).requires_grad_()
    weights = torch.randn(rows, columns, generator=generator)
    product = torch.nn.functional.linear(left, right)
    product.backward(weights)
    assert error(product.detach(), left.detach().double() @ right.detach().double().T) < 1e-5
    assert error(left.grad, weights.double() @ right.detach().double()) < 1e-5
    assert error(right.grad, weights.double().T @ left.detach().double()) < 1e-5


def test_a_route_that_rounds_is_not_taken(monkeypatch):
    monkeypatch.setattr(numerics, "_PROBE_TOLERANCE", 0.0)
    assert resolve("cpu").matmul == "default"


def test_a_torch_without_the_switch_has_the_default_route(monkeypatch):
    monkeypatch.setattr(numerics, "_switch", lambda: None)
    chosen = resolve("cpu")
    assert chosen.matmul == "default" and chosen.apply() == torch.device("cpu")


@pytest.mark.parametrize("route", ["onednn", "default"])
def test_apply_sets_the_route_and_a_probe_leaves_the_default(route):
    switch = numerics._switch()
    if switch is None:
        pytest.skip("this torch has no switch")
    settings = {"onednn": "bf16", "default": "ieee"}
    Numerics("cpu", 1, route).apply()
    assert switch.fp32_precision == settings[route]
    chosen = resolve("cpu")
    assert switch.fp32_precision == settings["default"]
    chosen.apply()
    assert switch.fp32_precision == settings[chosen.matmul]


def test_convolutions_on_gpus_are_not_rounded_to_tf32():
    switches = torch.backends.cudnn
    if hasattr(switches, "conv"):
        before = [switches.conv.fp32_precision, switches.rnn.fp32_precision]
        switches.conv.fp32_precision = switches.rnn.fp32_precision = "tf32"
        Numerics("cpu", 1, "default").apply()
        assert [switches.conv.fp32_precision, switches.rnn.fp32_precision] == ["ieee", "ieee"]
        switches.conv.fp32_precision, switches.rnn.fp32_precision = before
    else:
        switches.allow_tf32 = True
        Numerics("cpu", 1, "default").apply()
        assert switches.allow_tf32 is False


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_a_convolution_on_a_gpu_is_exact_to_float32():
    device = Numerics("cuda", 1, "default").apply()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 64, 14, 14, generator=generator)
    kernel = torch.randn(64, 64, 3, 3, generator=generator)
    found = torch.nn.functional.conv2d(images.to(device), kernel.to(device)).cpu()
    assert error(found, torch.nn.functional.conv2d(images.double(), kernel.double())) < 1e-5


@pytest.mark.parametrize("threads", [1, 2])
def test_apply_sets_the_threads(threads):
    torch.set_num_threads(3 - threads)
    resolve("cpu", threads=threads).apply()
    assert torch.get_num_threads() == threads


def test_what_is_stored_comes_back():
    chosen = resolve("cpu", threads=2)
    assert Numerics(**chosen.as_dict()) == chosen
    assert all(isinstance(value, str | int) for value in chosen.as_dict().values())


def test_the_same_machine_chooses_the_same():
    assert resolve("cpu") == resolve("cpu")


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve().device == "cpu"
    with pytest.raises(UserError, match=r"device cuda:1: .* --device cpu"):
        resolve("cuda:1").apply()


def test_a_gpu_is_taken_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve().device == "cuda" and resolve("cpu").device == "cpu"
    assert resolve().matmul == "default"  # the route is a matter of CPUs


def test_compiling_needs_a_compiler(monkeypatch):
    monkeypatch.setattr(numerics.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"--compile: there is no C\+\+ compiler"):
        resolve("cpu", compile=True)
    monkeypatch.setattr(numerics.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="there is no triton here"):
        resolve("cuda", compile=True)
    monkeypatch.setattr(numerics.shutil, "which", lambda name: f"/bin/{name}")
    assert resolve("cpu", compile=True).compile and not resolve("cpu").compile


def test_in_bf16_products_are_rounded_and_weights_are_not():
    """Half of float32's digits are left in the loss, all of them in parameters and gradients."""
    model = tiny_model(scale=2.0)
    recipe = Recipe(model, negative_elbo)
    batch = random_batch(9)
    batch = Batch(batch.x.float(), batch.y)
    losses = []
    for precision in ("float32", "bf16"):
        torch.manual_seed(0)
        losses.append(
            recipe.at(precision, torch.device("cpu")).objective(model, batch, at(1))["loss"]
        )
    exact, rounded = (float(loss.detach()) for loss in losses)
    assert exact != rounded == pytest.approx(exact, rel=0.02)
    losses[1].backward()
    assert {p.grad.dtype for p in model.parameters()} == {torch.float32}
    assert recipe.at("float32", torch.device("cpu")) is recipe


def test_the_precision_is_part_of_the_numerics():
    assert resolve("cpu").precision == "float32"
    assert resolve("cpu", precision="bf16").as_dict()["precision"] == "bf16"
