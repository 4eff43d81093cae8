"""Aggressive training of the encoder: Agg-VAE (He et al., ICLR 2019, Algorithm 1)."""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vaebench.data.dataset import Batch
from vaebench.estimators import mutual_information
from vaebench.models.posteriors import GaussianPosterior
from vaebench.objectives.clock import Clock
from vaebench.training.batching import Batching
from vaebench.training.examples import Examples
from vaebench.training.procedures import (
    Objective,
    Setting,
    Terms,
    make_optimizer,
    scale,
    update,
)


@dataclass(frozen=True)
class InnerLoop:
    """At most `steps` steps of the encoder before one of the decoder, fewer if the mean loss of an
    image or a word has risen from one `window` of steps to the next; and for how many epochs of a
    mutual information below the best (`patience`) training stays so."""

    steps: int
    window: int
    patience: int

    def __post_init__(self) -> None:
        for name in ("steps", "window", "patience"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} is {value!r}; expected a number from 1")


class Aggressive:
    """The encoder is trained on random batches until its loss stops falling, and then the decoder
    for one step; as soon as the mutual information stops rising, both together.

    The first inner step is on the batch itself. The mutual information is the mean over batches of
    the validation split, as in the official code.
    """

    def __init__(self, inner: InnerLoop) -> None:
        self._inner = inner
        self._best, self._waited, self._aggressive = -math.inf, 0, True
        self._prepared: tuple[Setting, Examples] | None = None
        self._encoder: torch.optim.Optimizer | None = None
        self._decoder: torch.optim.Optimizer | None = None

    def prepare(self, setting: Setting) -> None:
        if setting.validation is None:
            raise ValueError(
                "aggressive training watches the mutual information of a validation split; "
                "this view has none: data.held_out"
            )
        self._prepared = setting, setting.validation
        self.restart()

    def restart(self) -> None:
        setting, _ = self._ready
        model, optimizer = setting.model, setting.training.optimizer
        self._encoder = make_optimizer(model.inference_parameters(), optimizer)  # type: ignore[operator]
        self._decoder = make_optimizer(model.generative_parameters(), optimizer)  # type: ignore[operator]

    @property
    def _ready(self) -> tuple[Setting, Examples]:
        if self._prepared is None:
            raise RuntimeError("prepare() comes before the first step")
        return self._prepared

    @property
    def _optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        if self._encoder is None or self._decoder is None:
            raise RuntimeError("prepare() comes before the first step")
        return self._encoder, self._decoder

    def step(self, objective: Objective, batch: Batch, clock: Clock) -> Terms:
        encoder, decoder = self._optimizers
        inner = 0
        if self._aggressive:
            inner = self._train_encoder(objective, batch, clock)
        terms = self._gradients(objective, batch, clock)
        update(self._ready[0], *((decoder,) if self._aggressive else (encoder, decoder)))
        return {**terms, "inner_steps": torch.tensor(float(inner))}

    def _train_encoder(self, objective: Objective, batch: Batch, clock: Clock) -> int:
        """Train the encoder alone; how many steps that took."""
        encoder, _ = self._optimizers
        before = math.inf
        total: Tensor | float = 0.0
        seen: Tensor | int = 0
        batches = itertools.chain([batch], self._random_batches())
        for step, some in enumerate(itertools.islice(batches, self._inner.steps), start=1):
            loss = self._gradients(objective, some, clock)["loss"].detach()
            update(self._ready[0], encoder)
            total, seen = total + loss * len(some.y), seen + some.terms
            if step % self._inner.window == 0:  # reading a loss waits for it: once a window
                now = float(total / seen)
                if now > before:
                    return step
                before, total, seen = now, 0.0, 0
        return self._inner.steps

    def _random_batches(self) -> Iterator[Batch]:
        setting, _ = self._ready
        for index in setting.batching.at_random():
            yield setting.examples.take(index)

    def _gradients(self, objective: Objective, batch: Batch, clock: Clock) -> Terms:
        setting, _ = self._ready
        terms = objective(setting.model, batch, clock)
        setting.model.zero_grad(set_to_none=True)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        return terms

    @torch.no_grad()
    def epoch_done(self) -> Mapping[str, float]:
        setting, validation = self._ready
        posteriors = []
        batches = Batching(validation, setting.training, setting.device).everything()
        for part in batches:
            posterior = setting.model.infer(validation.take(part).x)  # type: ignore[operator]
            if not isinstance(posterior, GaussianPosterior):
                raise TypeError("aggressive training needs Gaussian posteriors")
            posteriors.append((posterior.mean, posterior.log_variance.expand_as(posterior.mean)))
        means, log_variances = (torch.cat(part) for part in zip(*posteriors, strict=True))
        z = GaussianPosterior(means, log_variances).rsample(1)[0]
        information = mutual_information.minibatch_latent_form(
            z, means, log_variances, [len(part) for part in batches]
        )
        logged = {"mutual_information": information, "aggressive": float(self._aggressive)}
        if self._aggressive:
            if information < self._best:
                self._waited += 1
                self._aggressive = self._waited < self._inner.patience
            else:
                self._best = information
        return logged

    def scale_rate(self, factor: float) -> None:
        setting, _ = self._ready
        for optimizer in self._optimizers:
            scale(optimizer, setting.training.optimizer.lr * factor)

    def state_dict(self) -> dict[str, Any]:
        encoder, decoder = self._optimizers
        return {
            "encoder": encoder.state_dict(),
            "decoder": decoder.state_dict(),
            "best": self._best,
            "waited": self._waited,
            "aggressive": self._aggressive,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for optimizer, name in zip(self._optimizers, ("encoder", "decoder"), strict=True):
            optimizer.load_state_dict(state[name])
        self._best, self._waited = state["best"], state["waited"]
        self._aggressive = state["aggressive"]
