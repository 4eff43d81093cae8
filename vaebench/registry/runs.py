"""A run: one training, fully resolved, and the identity that follows from it alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vaebench.registry.canonical import digest
from vaebench.registry.strict import Strict


class TokenizerSettings(Strict):
    """How sentences become ids. `words`: what stands between blanks, every word of the training
    sentences by first appearance, or, with a `size`, `<unk>` and their most frequent words, so many
    in all, or those of a `vocabulary` file; `bpe` and `unigram`: `size` pieces of a SentencePiece
    model that is learnt from the training sentences."""

    kind: Literal["words", "bpe", "unigram"]
    size: int | None = Field(default=None, ge=8)
    vocabulary: str | None = None

    @model_validator(mode="after")
    def _what_a_kind_has(self) -> "TokenizerSettings":
        if self.kind == "words" and None not in (self.size, self.vocabulary):
            raise ValueError("a vocabulary has as many words as it has: leave size out")
        if self.kind != "words" and self.size is None:
            raise ValueError(f"{self.kind} needs a size, such as 8000")
        if self.kind != "words" and self.vocabulary is not None:
            raise ValueError(f"{self.kind} learns its pieces: leave vocabulary out")
        return self


class DataView(Strict):
    """A data set and the view of it that a run sees.

    `pixels` are `real` values from 0 to 1 (unset too), `symmetric` ones from -1 to 1, `thresholded`
    at 1/2, or `binary`: training images drawn anew at every use, with the grey values as
    probabilities, validation and test images drawn once and for all, each of them `binarisations`
    times (once if unset). `orientation: transposed` swaps rows and columns of images. `held_out`
    takes the last training examples for validation, a seeded draw of them if they lie in order of
    their classes; `limit` then keeps a draw of each split, class-balanced where there are classes.
    Text has a `tokenizer`, whole words if unset, whose words do not depend on the limit.
    """

    dataset: str
    pixels: Literal["real", "symmetric", "thresholded", "binary"] | None = None
    binarisations: int | None = Field(default=None, ge=1)
    orientation: Literal["transposed"] | None = None
    held_out: int | None = Field(default=None, ge=10)
    limit: int | None = Field(default=None, ge=10)
    tokenizer: TokenizerSettings | None = None


class Adam(Strict):
    """Adam; `eps` is added to the root of the second moment."""

    name: Literal["adam"]
    lr: float = Field(gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = Field(default=1e-8, gt=0)


class Sgd(Strict):
    """Stochastic gradient descent without momentum."""

    name: Literal["sgd"]
    lr: float = Field(gt=0)


Optimizer = Adam | Sgd


class Plateau(Strict):
    """The learning rate times `factor` whenever the monitored value has not fallen below its best
    by the share `threshold` of the best's size for more than `patience` epochs.

    That is torch's ReduceLROnPlateau, which for negative values takes a rise for a fall.
    """

    name: Literal["plateau"]
    factor: float = Field(gt=0, lt=1)
    patience: int = Field(ge=0)
    threshold: float = Field(ge=0, lt=1)


class Steps(Strict):
    """The learning rate times `factor` after every `every` epochs."""

    name: Literal["steps"]
    factor: float = Field(gt=0, lt=1)
    every: int = Field(ge=1)


class Reload(Strict):
    """After `patience` epochs in a row above the reference: back to the weights of the best epoch,
    with fresh optimisers and the learning rate times `factor`; the `most`-th time ends training.

    The reference is the lowest monitored value, or, with `reference: last`, the lowest since the
    last decay, that of the decay included. `earliest` is the first epoch after which the rate may
    decay. The decays of He et al. (2019) for images and for text.
    """

    name: Literal["reload"]
    factor: float = Field(gt=0, lt=1)
    patience: int = Field(ge=1)
    most: int = Field(ge=1)
    earliest: int | None = Field(default=None, ge=1)
    reference: Literal["last"] | None = None


class Fall(Strict):
    """From the first epoch on, but not before `earliest`, that is no better than the best: the
    learning rate times `factor` after every epoch; below `least` of the first rate training ends.

    The decay of Kim et al. (2018) for text.
    """

    name: Literal["fall"]
    factor: float = Field(gt=0, lt=1)
    earliest: int = Field(ge=1)
    least: float = Field(gt=0, lt=1)


class Renew(Strict):
    """After more than `patience` epochs in a row that are no better than the best: fresh optimisers
    and the learning rate times `factor`; the weights stay as they are. Besides, after every step,
    the rate times `step_factor`. Training ends with the `most`-th decay, or when after an epoch the
    rate is below `least` of the first.

    The decay of MAE's code for images.
    """

    name: Literal["renew"]
    factor: float = Field(gt=0, lt=1)
    patience: int = Field(ge=0)
    most: int = Field(ge=1)
    least: float = Field(gt=0, lt=1)
    step_factor: float = Field(gt=0, le=1)


Schedule = Plateau | Steps | Reload | Fall | Renew


class Buckets(Strict):
    """Batches of sentences of equal length, so without padding; they are made once, and every epoch
    has them in another order. Those with fewer than `least` sentences are not trained on."""

    least: int = Field(ge=1)


class Training(Strict):
    """How long and how a run trains.

    `clip` is the largest norm of the gradient of all parameters together. `monitor` is measured
    after every epoch, in evaluation mode: on the validation split the loss, or the negative ELBO
    with the whole KL; or the squared error on the test set (a criterion that looks at test data: a
    paper must have said so). The negative ELBO has `monitor_draws` of z a datum, one if unset.
    `keep: best` ends with the weights of the epoch where it was lowest, else the last count.
    `average` is the decay of Polyak averaging: what is monitored, kept and evaluated are the
    average's weights, while training goes on from its own. `drop_last` leaves out the last batch of
    an epoch if it is smaller than the others. Text may come in `buckets`.
    """

    batch_size: int = Field(ge=1)
    epochs: int = Field(ge=1)
    optimizer: Annotated[Optimizer, Field(discriminator="name")]
    clip: float | None = Field(default=None, gt=0)
    monitor: Literal["validation-loss", "validation-negative-elbo", "test-squared-error"] | None = (
        None
    )
    monitor_draws: int | None = Field(default=None, ge=1)
    schedule: Annotated[Schedule, Field(discriminator="name")] | None = None
    keep: Literal["best"] | None = None
    average: float | None = Field(default=None, gt=0, lt=1)
    drop_last: bool | None = None
    buckets: Buckets | None = None

    @model_validator(mode="after")
    def _what_needs_a_monitor(self) -> "Training":
        watching = self.keep is not None or isinstance(
            self.schedule, Plateau | Reload | Fall | Renew
        )
        if self.monitor is None and watching:
            name = "`keep: best`" if self.schedule is None else f"a {self.schedule.name} schedule"
            raise ValueError(f"{name} needs a `monitor`")
        if isinstance(self.schedule, Reload) and self.keep is None:
            raise ValueError("a reload schedule goes back to the best epoch: say `keep: best`")
        return self

    @model_validator(mode="after")
    def _what_goes_together(self) -> "Training":
        if isinstance(self.schedule, Reload) and self.average is not None:
            raise ValueError(
                "a reload schedule trains on from the best epoch, and with `average` only the "
                "average of that epoch is kept: leave one of them out"
            )
        if self.monitor_draws is not None and self.monitor != "validation-negative-elbo":
            raise ValueError("monitor_draws is for `monitor: validation-negative-elbo`")
        return self


@dataclass(frozen=True)
class Run:
    """One training. Two runs with equal `configuration` are the same run, wherever they stand. That
    of the data themselves has no `training`.

    `version` is the paper's protocol version, raised with a reason in the changelog when a change
    of the code moves numbers. `inputs` are runs that must be finished before this one starts, by
    the name of the method's argument that takes the trained model.
    """

    method: str
    arguments: dict[str, Any]
    data: DataView
    training: Training | None
    seed: int
    paper: str
    version: int
    inputs: Mapping[str, "Run"] = field(default_factory=dict)

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides the result, as plain values; unset options leave no trace."""
        training = self.training
        told = {} if training is None else {"training": training.model_dump(exclude_none=True)}
        return {
            "paper": self.paper,
            "version": self.version,
            "method": self.method,
            "arguments": self.arguments,
            "data": self.data.model_dump(exclude_none=True),
            **told,
            "seed": self.seed,
            "inputs": [f"{name}={run.id}" for name, run in sorted(self.inputs.items())],
        }

    @property
    def epochs(self) -> int:
        """How many epochs it trains for at most."""
        return 0 if self.training is None else self.training.epochs

    @cached_property
    def id(self) -> str:
        """A readable prefix and a hash of the configuration and of the inputs' ids."""
        name = "-".join([self.method, self.data.dataset, f"seed{self.seed}"])
        prefix = re.sub(r"[^A-Za-z0-9.]+", "-", name)
        return f"{prefix}-{digest(self.configuration)}"

    @property
    def sentence(self) -> str:
        """The identity for people: `igp.vae(posterior=diagonal)/mnist/seed=3`."""
        told = _flat(self.arguments) | {name: run.id for name, run in self.inputs.items()}
        arguments = ", ".join(f"{key}={value}" for key, value in sorted(told.items()))
        return f"{self.method}({arguments})/{self.data.dataset}/seed={self.seed}"


def _flat(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The values by their paths: `network.width`."""
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if isinstance(value, Mapping):
            found.update({f"{name}.{key}": inner for key, inner in _flat(value).items()})
        else:
            found[name] = value
    return found


@dataclass(frozen=True)
class Evaluation:
    """A named evaluator with its parameters, the runs whose trained models it takes, and the files
    that it takes (names in the catalogue), all by the evaluator's argument. `data` is the view that
    it sees if that is not the run's."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Run] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    data: DataView | None = None

    @property
    def arguments(self) -> list[str]:
        """All arguments of the evaluator that have a value."""
        return [*self.parameters, *self.inputs, *self.files]

    @cached_property
    def key(self) -> str:
        """Its name in the store."""
        identity = dict(self.parameters)
        if self.inputs:
            identity["inputs"] = {name: run.id for name, run in self.inputs.items()}
        if self.files:
            identity["files"] = dict(self.files)
        if self.data is not None:
            identity["data"] = self.data.model_dump(exclude_none=True)
        return f"{self.name}-{digest(identity, 8)}" if identity else self.name
