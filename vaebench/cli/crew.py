"""`--jobs --gpus --device`: who does the runs of a command."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaebench.errors import UserError

if TYPE_CHECKING:
    from vaebench.execution.session import Outcome
    from vaebench.training.numerics import Numerics


@dataclass(frozen=True)
class Crew:
    """What the user said: how many runs at once, on which GPUs or which kind of device, and how."""

    jobs: int | None = None
    gpus: tuple[int, ...] = ()
    device: str | None = None
    compile: bool = False
    precision: str = "float32"

    def numerics(self) -> "Numerics":
        """The numerics of runs that start now."""
        from vaebench.training.numerics import resolve

        if self.gpus and self.device not in (None, "cuda"):
            raise UserError(f"--gpus and --device {self.device} exclude each other")
        if self.device is not None:
            _check_device(self.device)
        return resolve(
            "cuda" if self.gpus else self.device, compile=self.compile, precision=self.precision
        )

    def backend(self, runs: int, device: str) -> "Callable[..., Outcome]":
        """What does a plan with so many open runs on this kind of device.

        One run at a time goes in this process; more of them, and GPUs by number, have workers. On
        CPUs there is one worker a core unless the user says otherwise.
        """
        from vaebench.execution import local, workers
        from vaebench.execution.slots import Slot, cores, cpu_slots, gpu_names, gpu_slots

        if self.gpus:
            slots = gpu_slots(self.gpus, self.jobs, gpu_names())
        elif device == "cpu":
            slots = cpu_slots(self.jobs or cores())
        else:
            slots = [Slot()] * (self.jobs or 1)
        if len(slots[:runs]) <= 1 and not self.gpus:
            return local.run_plan
        return functools.partial(workers.run_plan, slots=slots[:runs])


def _check_device(device: str) -> None:
    """UserError for a device that every run would fail on."""
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
        raise UserError(f"--device {device}: expected cpu or cuda")
    if device != "cpu" and not torch.cuda.is_available():
        raise UserError(f"--device {device}: no CUDA device here; use --device cpu")


def read_gpus(text: str | None) -> tuple[int, ...]:
    """`0,1` as numbers."""
    try:
        return tuple(int(number) for number in text.split(",")) if text else ()
    except ValueError as error:
        raise UserError(f"--gpus {text}: expected numbers such as 0,1") from error
