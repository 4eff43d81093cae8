"""Small synthetic data and models, and the values that stand for every declared argument."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from vaebench import evaluation, methods
from vaebench.data.dataset import Batch, DataInfo, Dataset, ImageSplit, Split, TextSplit
from vaebench.data.tokenizers import BOS, EOS, SPECIALS, Words
from vaebench.estimators.variance_models import FORMS
from vaebench.evaluation.codes import SOURCES
from vaebench.models.classifiers import Classifier
from vaebench.models.decoders import BernoulliMlpDecoder
from vaebench.models.encoders import MlpEncoder
from vaebench.models.heads import (
    DeltaHead,
    DeterministicHead,
    GaussianHead,
    GlobalGaussianHead,
    LinearGaussianHead,
)
from vaebench.models.keras_lstm import LanguageModel, sentence_classifier
from vaebench.models.latent import LatentModel, glorot_uniform
from vaebench.models.priors import StandardGaussian
from vaebench.objectives.clock import Clock
from vaebench.registry.runs import Adam, Training
from vaebench.registry.spec import DATA
from vaebench.training.procedures import Setting
from vaebench.training.recipe import Recipe

SHAPE = (1, 4, 4)
CLASSES = 3


def random_judge(shape: Sequence[int], outputs: int, features: int = 6) -> nn.Module:
    """A judge that was never trained, as an evaluator gets it."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), features), nn.ReLU())
    return Classifier(body, features, outputs).eval().requires_grad_(False)


def random_language_model() -> nn.Module:
    """The same for the sentences of `text_dataset`."""
    torch.manual_seed(0)
    return LanguageModel(len(SPECIALS) + 9, 4, 5, 8).eval().requires_grad_(False)


def random_sentence_classifier() -> nn.Module:
    """The same, for their classes."""
    torch.manual_seed(0)
    classifier = sentence_classifier(len(SPECIALS) + 9, 4, 5, CLASSES)
    return classifier.eval().requires_grad_(False)


# A value or two for each argument of a method, by its name: a new method is tested by being
# registered, and only an argument of a new name needs a line here.
ARGUMENTS: dict[str, list[Any]] = {
    "latent": [3],
    "hidden": [[8, 6]],
    "posterior": ["diagonal", "isotropic"],
    "samples": [1, 4],
    "network": ["plain"],
    "width": [0.1],
    "output": ["sigmoid"],
    "log10_sigma_x2": [-0.3],
    "log10_sigma_z2": [0.5],
    "form": ["Iso-I", "Diag-I", "Iso-D", "Diag-D"],
    "eps": [1e-6],
    "beta": [0.01],
    "weight": [0.02],
    "gradient": ["outputs", "jacobian"],
    "filters": [[4, 6]],
    "features": [5],
    "igp_text.network": [{"embedding": 6, "hidden": 10, "latent": 3}],
    "igp_text.beta": [0.5],
    "embedding": [6],
    "judges.hidden": [10],
    "prior": ["gaussian", "mog", "moig"],
    "target": [0.1],
    "ramp": [0, 4],
    "du_vae.network": [
        {"kind": "resnet-pixelcnn", "width": 0.03, "latent": 3},
        {"kind": "lstm", "width": 0.5, "latent": 3, "embedding": 10, "hidden": 14},
    ],
    "du_vae.beta": [0.5],
    "mae.network": [
        {"kind": "resnet-pixelcnn", "width": 0.1, "latent": 3},
        {"kind": "resnet", "width": 0.1, "latent": 3},
        {"kind": "densenet-pixelcnn++", "width": 0.05, "latent": 8},
    ],
    "free_bits": [0.0],
    "eta": [0.5],
    "mae.gamma": [0.5],
    "diverse": ["code"],
    "annealing": [{"start": 0.1, "epochs": 1.5}],
    "inner": [{"steps": 3, "window": 2, "patience": 1}],
    "refinements": [2],
    "bits": [0.1],
    "delta": [0.1],
    "gamma": [0.5],
    "keep": [0.8],
    "diversity": [0.5],
    "smoothness": [0.2],
    "shift": [0.3],
}
WRONG_ARGUMENTS: dict[str, list[Any]] = {
    "latent": [0, -1, 2.5, "three", None],
    "hidden": [[], [0], [8, -1], ["8"], 8, None],
    "posterior": ["diag", "", None],
    "samples": [0, -1, 2.5, "four", None],
    "network": ["large", "", None, 3],
    "width": [0, -1, 17, "1", True, None],
    "output": ["tanh", "", None],
    "log10_sigma_x2": ["0", None, 11, True],
    "log10_sigma_z2": ["0", None, -11, True],
    "form": ["Iso", "iso-i", "", None],
    "eps": [0, -1, "1e-6", True, None],
    "beta": [0, -1, "1", True, None],
    "weight": [0, -1, "1", True, None],
    "gradient": ["code", "", None],
    "filters": [[], [0], [4, -1], ["4"], 4, None, [4] * 9],
    "features": [0, -1, 2.5, "five", None],
    "igp_text.network": [
        None,
        {"embedding": 6, "hidden": 10},
        {"embedding": 0, "hidden": 10, "latent": 3},
        {"embedding": 6, "hidden": 10, "latent": True},
    ],
    "igp_text.beta": [-1, "1", None],
    "embedding": [0, -1, 2.5, "six", True, None],
    "judges.hidden": [0, -1, 2.5, "ten", True, None],
    "prior": ["mixture", "", None],
    "target": [-1, "1", None],
    "ramp": [-1, "1", 0.5],
    "du_vae.network": [
        "resnet-pixelcnn",
        None,
        {"kind": "resnet-pixelcnn", "width": 1},
        {"kind": "resnet", "width": 1, "latent": 3},
        {"kind": "resnet-pixelcnn", "width": 0, "latent": 3},
        {"kind": "resnet-pixelcnn", "width": 1, "latent": 0},
        {"kind": "lstm", "width": 1, "latent": 3, "embedding": 10, "hidden": 14},  # of images
    ],
    "du_vae.beta": [-1, "1", None],
    "mae.network": [
        "resnet",
        None,
        {"kind": "resnet", "width": 1},
        {"kind": "lstm", "width": 1, "latent": 3},
        {"kind": "resnet", "width": 0, "latent": 3},
        {"kind": "resnet", "width": 1, "latent": 1},
        {"kind": "densenet-pixelcnn++", "width": 1, "latent": 4},  # of images of one channel
    ],
    "free_bits": [-1, "1", None],
    "eta": [-1, "1", None],
    "mae.gamma": [-1, "1", None],
    "diverse": ["printed", "", None],
    "annealing": [
        None,
        {"start": 0.0},
        {"start": -1, "epochs": 1},
        {"start": 0, "epochs": 0},
        {"start": "0", "epochs": 1},
    ],
    "inner": [None, {"steps": 3}, {"steps": 3, "window": 0, "patience": 1}],
    "refinements": [0, -1, 2.5, "two", True, None],
    "bits": [-1, "1", None],
    "delta": [0, -1, "1", None],
    "gamma": [0, -1, "1", True, None],
    "keep": [0, 1.5, "1", None],
    "diversity": [-1, "1", None],
    "smoothness": [-1, "1", None],
    "shift": ["1", True, None],
}
# The same for the parameters of evaluators.
PARAMETERS: dict[str, list[Any]] = {
    "split": ["train", "test", "both"],
    "oversmoothing.split": ["train", "test"],
    "threshold": [0.01],
    "dense_probes.count": [2],
    "dense_probes.hidden": [[5, 4]],
    "few_shot_probes.split": ["train", "test"],
    "few_shot_probes.count": [2],
    "few_shot_probes.hidden": [[5, 4]],
    "keep": [1, 0.7],
    "repeats": [2],
    "example": [1],
    "share": [0.5],
    "show": ["original", "beginning", "completed"],
    "language_model": [random_language_model()],
    "classifier": [random_sentence_classifier()],
    "labels": [4, 20],
    "epochs": [3],
    "batch_size": [16],
    "lr": [0.01],
    "held_out": [0.1],
    "count": [5],
    "jacobians": [6],
    "batch": [10],
    "judge": [random_judge(SHAPE, CLASSES)],
    "weights": [Path("inception.pth")],
    "latents": list(SOURCES),
    "latent_map.latents": [12],
    "components": [0, 2],
    "perturbation": [0.01],
    "draws": [2],
    "pairs": [3],
    "steps": [4],
    "latent_map.samples": [7],
    "importance_weighted.samples": [1, 6],
    "perplexity": [3.0],
    "iterations": [250],
    "exaggeration": [12.0],
    "learning_rate": [200.0],
    "sentence_classifiers.labels": [[4, 20]],
    "mutual_divergence.batch_size": [8],
    "clusters": [4],
    "restarts": [2],
    "kmeans.draws": [0, 2],
    "nearest_neighbours.labels": [12, None],
    "support_vectors.labels": [12, None],
    "linear_classifier.labels": [12, None],
    "runs": [2],
    "neighbours": [3],
    "kernel": ["linear", "rbf"],
    "validation": [20],
    "interval": [3],
    "decode": ["greedy", "beam", "sample"],
    "width": [0, 3],
    "points": [9],
    "extent": [2.5],
    "form": list(FORMS),
}


@dataclass(frozen=True)
class Case:
    """A registered name with values for all that it asks for."""

    name: str
    values: Mapping[str, Any]

    def __str__(self) -> str:
        told = ",".join(f"{key}={value}" for key, value in self.values.items())
        return f"{self.name}({told})".replace(" ", "")


def key_of(name: str, argument: str, values: Mapping[str, list[Any]]) -> str:
    """Under what an argument of `module.name` has its values: its own, its module's or all's."""
    module = name.partition(".")[0]
    own = [key for key in (f"{name}.{argument}", f"{module}.{argument}") if key in values]
    return own[0] if own else argument


def cases(
    registered: Mapping[str, Callable[..., Any]], fixed: int, values: Mapping[str, list[Any]]
) -> Iterator[Case]:
    """Every registered function with every combination of the values of its arguments; the first
    `fixed` parameters are not arguments."""
    for name, function in registered.items():
        wanted = list(inspect.signature(function).parameters)[fixed:]
        keys = [key_of(name, argument, values) for argument in wanted]
        missing = [key for key in keys if key not in values]
        if missing:
            raise LookupError(f"{name}: tests/fixtures.py has no value for {missing[0]!r}")
        for chosen in product(*(values[key] for key in keys)):
            yield Case(name, dict(zip(wanted, chosen, strict=True)))


def _consistent(case: Case) -> bool:
    """Mixtures alone have components, and beams a width."""
    given = case.values
    mixture = (given.get("components", 0) > 0) == (given.get("latents") == "gmm")
    return mixture and (given.get("width", 0) > 0) == (given.get("decode") == "beam")


def _takes_models(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(parameter.annotation is LatentModel for parameter in parameters)


# The methods that start from nothing: what starts from another run's model has tests of its own.
METHODS = {
    name: made
    for name, made in methods.methods().items()
    if not _takes_models(made) and name != DATA
}
METHOD_CASES = list(cases(METHODS, 1, ARGUMENTS))
# Those whose model has latents; judges have none, and want other data.
LATENT_CASES = [case for case in METHOD_CASES if not case.name.startswith("judges.")]
EVALUATOR_CASES = list(filter(_consistent, cases(evaluation.evaluators(), 2, PARAMETERS)))

HEADS: dict[str, Callable[[int, int], nn.Module]] = {
    "diagonal": lambda features, latent: GaussianHead(features, latent, isotropic=False),
    "isotropic": lambda features, latent: GaussianHead(features, latent, isotropic=True),
    "global": lambda features, latent: GlobalGaussianHead(
        features, latent, log_variance=0.4, trainable=True
    ),
    "fixed": lambda features, latent: GlobalGaussianHead(
        features, latent, log_variance=0.7, trainable=False
    ),
    "joint": lambda features, latent: LinearGaussianHead(
        features, latent, bias=True, mean=nn.Identity(), variance=nn.Identity()
    ),
    "delta": lambda features, latent: DeltaHead(features, latent, bias=True, delta=0.1),
    "deterministic": DeterministicHead,
}


def images(size: int, shape: Sequence[int] = SHAPE, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noisy images uint8 [size, *shape] of CLASSES patterns, and their labels, in mixed order."""
    generator = torch.Generator().manual_seed(1234)
    patterns = torch.rand(CLASSES, *shape, generator=generator)
    generator.manual_seed(seed)
    labels = torch.randperm(size, generator=generator) % CLASSES
    noise = torch.rand(size, *shape, generator=generator)
    return (255 * (0.7 * patterns[labels] + 0.3 * noise)).round().to(torch.uint8), labels


def split(size: int, shape: Sequence[int] = SHAPE, seed: int = 0) -> Split:
    return ImageSplit(*images(size, shape, seed))


def dataset(train: int = 45, test: int = 23, shape: Sequence[int] = SHAPE) -> Dataset:
    """A data set that no model finds hard and whose sizes no batch size divides."""
    info = DataInfo("synthetic", "stand-in", tuple(shape), CLASSES, train, test)
    groups = torch.tensor([0, 1, 0])
    return Dataset(
        train=split(train, shape, 0),
        test=split(test, shape, 1),
        info=info,
        sha256="0" * 64,
        validation=split(19, shape, 2),
        class_groups=groups,
    )


def attributes(train: int = 45, test: int = 23, shape: Sequence[int] = SHAPE) -> Dataset:
    """The same images with a yes or no for every class and for its opposite."""

    def labelled(part: Split) -> Split:
        there = torch.eye(CLASSES, dtype=torch.int64)[part.labels]
        return replace(part, labels=torch.cat([there, 1 - there], 1))

    data = dataset(train, test, shape)
    info = replace(data.info, classes=0, attributes=2 * CLASSES)
    train_part, test_part = labelled(data.train), labelled(data.test)
    return replace(data, train=train_part, test=test_part, info=info, class_groups=None)


def sentences(size: int, seed: int = 0, words: int = 9) -> TextSplit:
    """Sentences of 1 to 6 of so many words: of CLASSES kinds, each with words of its own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randperm(size, generator=generator) % CLASSES
    lengths = 3 + torch.randint(6, (size,), generator=generator)
    tokens = []
    for length, label in zip(lengths.tolist(), labels.tolist(), strict=True):
        drawn = torch.randint(words // CLASSES, (length - 2,), generator=generator)
        said = len(SPECIALS) + CLASSES * drawn + label
        tokens += [torch.tensor([BOS]), said, torch.tensor([EOS])]
    return TextSplit(torch.cat(tokens).to(torch.int32), lengths, labels)


def text_dataset(train: int = 45, test: int = 23, words: int = 9) -> Dataset:
    """A text data set that no model finds hard."""
    splits = [sentences(size, seed, words) for seed, size in enumerate((train, test, 19))]
    info = DataInfo(
        *("sentences", "stand-in", (), CLASSES, train, test, 19),
        vocabulary=len(SPECIALS) + words,
        longest=8,
    )
    tokenizer = Words((*SPECIALS, *(f"word{i}" for i in range(words))))
    return Dataset(*splits[:2], info, "1" * 64, splits[2], tokenizer=tokenizer)


def is_text(case: Case) -> bool:
    """Whether a method is to be given sentences."""
    if case.name in ("judges.language_model", "judges.sentence_classifier"):
        return True
    network = case.values.get("network")
    return isinstance(network, Mapping) and network.get("kind", "lstm") == "lstm"


def data_for(case: Case) -> Dataset:
    """Data that a method can be trained on: judges convolve larger images."""
    if is_text(case):
        return text_dataset()
    match case.name:
        case "judges.lenet":
            return dataset(shape=(1, 16, 16))
        case "judges.attributes":
            return attributes(shape=(3, 16, 16))
    network = case.values.get("network")
    if isinstance(network, Mapping) and network.get("kind") == "densenet-pixelcnn++":
        return dataset(shape=(3, 8, 8))
    return dataset()


def all_of(data: Split) -> Batch:
    return data.take(torch.arange(len(data)))


def build(case: Case, data: Dataset, seed: int = 0) -> Recipe:
    """The recipe of a method as a run makes it: seeded, then built."""
    torch.manual_seed(seed)
    return methods.build(case.name, data.info, case.values)


def tiny_model(
    head: str = "diagonal",
    latent: int = 2,
    hidden: Sequence[int] = (6, 5),
    shape: Sequence[int] = (1, 2, 2),
    seed: int = 0,
    scale: float = 1.0,
) -> LatentModel:
    """A model with a head of HEADS; `scale` multiplies the weights, for sharper densities."""
    torch.manual_seed(seed)
    model = LatentModel(
        MlpEncoder(shape, hidden),
        HEADS[head](hidden[-1], latent),
        StandardGaussian(latent),
        BernoulliMlpDecoder(latent, list(reversed(hidden)), shape),
    )
    glorot_uniform(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale).add_(0.1 * torch.randn_like(parameter))  # no bias stays zero
    return model


def random_batch(size: int, shape: Sequence[int] = (1, 2, 2), seed: int = 0) -> Batch:
    """Real pixels in [0, 1], in double precision."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(size, *shape, dtype=torch.float64, generator=generator)
    return Batch(x, torch.zeros(size, dtype=torch.int64))


def binary_images(shape: Sequence[int] = (1, 2, 2)) -> Tensor:
    """Every binary image of a shape, in double precision: [2 ** pixels, *shape]."""
    pixels = torch.Size(shape).numel()
    codes = torch.arange(2**pixels).unsqueeze(-1) >> torch.arange(pixels)
    return (codes & 1).double().unflatten(-1, tuple(shape))


def training(epochs: int = 2, batch_size: int = 16, lr: float = 1e-3) -> Training:
    return Training(
        batch_size=batch_size, epochs=epochs, optimizer=Adam(name="adam", lr=lr, eps=1e-7)
    )


def prepare(recipe: Recipe, data: Dataset, settings: Training | None = None) -> None:
    """Make a recipe's procedure ready as the loop does."""
    examples = recipe.examples(data.train)
    validation = None if data.validation is None else recipe.examples(data.validation)
    setting = Setting(recipe.model, settings or training(), examples, validation)
    recipe.procedure.prepare(setting)


def at(step: int) -> Clock:
    """A step over data that one batch holds: it is the epoch too."""
    return Clock.at(step, 1, 1)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    """A copy of every gradient by parameter name; a parameter without one is a failure."""
    found = {}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"no gradient reaches {name}"
        found[name] = parameter.grad.clone()
    return found


class Largest(TorchDispatchMode):
    """Within it, the most elements that a tensor had which an operation made."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, Tensor):
                self.numel = max(self.numel, tensor.untyped_storage().nbytes() // tensor.itemsize)
        return made


def within(values: Tensor, expected: Tensor | float, errors: float = 5.0) -> bool:
    """Whether the mean over the first axis is within `errors` standard errors of `expected`."""
    error = values.std(0) / len(values) ** 0.5
    return bool(((values.mean(0) - expected).abs() <= errors * error).all())
