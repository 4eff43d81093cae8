"""A run: one training, fully resolved, and the identity that follows from it alone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from vaebench.registry.canonical import digest
from vaebench.registry.strict import Strict


class DataView(Strict):
    """A data set and the view of it that a run sees.

    `held_out` takes the last training images for validation; `limit` then keeps a draw of each
    split, class-balanced where there are classes.
    """

    dataset: str
    pixels: Literal["real"] | None = None
    held_out: int | None = Field(default=None, ge=10)
    limit: int | None = Field(default=None, ge=10)


class Optimizer(Strict):
    """The update rule; `eps` is added to the root of the second moment."""

    name: Literal["adam"]
    lr: float = Field(gt=0)
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = Field(default=1e-8, gt=0)


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


class Training(Strict):
    """How long and how a run trains.

    `monitor` is measured after every epoch, in evaluation mode: the loss on the validation split,
    or the squared error on the test set (a criterion that looks at test data: a paper must have
    said so). `keep: best` ends with the weights of the epoch where it was lowest, else the last
    count. `drop_last` leaves out the last batch of an epoch if it is smaller than the others.
    """

    batch_size: int = Field(ge=1)
    epochs: int = Field(ge=1)
    optimizer: Optimizer
    monitor: Literal["validation-loss", "test-squared-error"] | None = None
    schedule: Annotated[Plateau | Steps, Field(discriminator="name")] | None = None
    keep: Literal["best"] | None = None
    drop_last: bool | None = None

    @model_validator(mode="after")
    def _what_needs_a_monitor(self) -> "Training":
        if self.monitor is None and (self.keep is not None or isinstance(self.schedule, Plateau)):
            raise ValueError("`keep: best` and a plateau schedule need a `monitor`")
        return self


@dataclass(frozen=True)
class Run:
    """One training. Two runs with equal `configuration` are the same run, wherever they stand.

    `version` is the paper's protocol version, raised with a reason in the changelog when a change
    of the code moves numbers. `inputs` are runs that must be finished before this one starts, by
    the name of the method's argument that takes the trained model.
    """

    method: str
    arguments: dict[str, Any]
    data: DataView
    training: Training
    seed: int
    paper: str
    version: int
    inputs: Mapping[str, "Run"] = field(default_factory=dict)

    @property
    def configuration(self) -> dict[str, Any]:
        """All that decides the result, as plain values; unset options leave no trace."""
        return {
            "paper": self.paper,
            "version": self.version,
            "method": self.method,
            "arguments": self.arguments,
            "data": self.data.model_dump(exclude_none=True),
            "training": self.training.model_dump(exclude_none=True),
            "seed": self.seed,
            "inputs": [f"{name}={run.id}" for name, run in sorted(self.inputs.items())],
        }

    @cached_property
    def id(self) -> str:
        """A readable prefix and a hash of the configuration and of the inputs' ids."""
        name = "-".join([self.method, self.data.dataset, f"seed{self.seed}"])
        prefix = re.sub(r"[^A-Za-z0-9.]+", "-", name)
        return f"{prefix}-{digest(self.configuration)}"

    @property
    def sentence(self) -> str:
        """The identity for people: `igp.vae(posterior=diagonal)/mnist/seed=3`."""
        told = {**self.arguments, **{name: run.id for name, run in self.inputs.items()}}
        arguments = ", ".join(f"{key}={value}" for key, value in sorted(told.items()))
        return f"{self.method}({arguments})/{self.data.dataset}/seed={self.seed}"


@dataclass(frozen=True)
class Evaluation:
    """A named evaluator with its parameters, the runs whose trained models it takes, and the files
    that it takes (names in the catalogue), all by the evaluator's argument."""

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Run] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

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
        return f"{self.name}-{digest(identity, 8)}" if identity else self.name
