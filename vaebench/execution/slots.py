"""Where workers run: how many, on which device each."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from vaebench.errors import UserError


@dataclass(frozen=True)
class Slot:
    """The place of one worker: what is set in its environment before Python starts there."""

    environment: dict[str, str] = field(default_factory=dict)


def cpu_slots(jobs: int) -> list[Slot]:
    """`jobs` workers on the CPU, whose libraries start with one thread each."""
    return [Slot({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}) for _ in range(jobs)]


def gpu_slots(gpus: Sequence[int], jobs: int | None, devices: Sequence[str]) -> list[Slot]:
    """One worker a GPU, or `jobs` spread evenly over them; each sees its own GPU alone.

    `devices` are the names of the GPUs here. UserError for a number that none of them has.
    """
    for gpu in gpus:
        if not 0 <= gpu < len(devices):
            here = ", ".join(f"{number} ({name})" for number, name in enumerate(devices))
            raise UserError(
                f"--gpus {gpu}: there is no such device; "
                + (f"here are {here}" if devices else "no GPU is here: leave --gpus out")
            )
    visible = _visible(len(devices))
    chosen = list(dict.fromkeys(gpus))
    return [
        Slot({"CUDA_VISIBLE_DEVICES": visible[chosen[number % len(chosen)]]})
        for number in range(jobs or len(chosen))
    ]


def gpu_names() -> list[str]:
    """The names of the GPUs that this process may use."""
    import torch

    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _visible(count: int) -> list[str]:
    """What CUDA calls the devices that are visible here, whose numbers here start from 0."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (
        [name.strip() for name in named.split(",")]
        if named
        else [str(number) for number in range(count)]
    )
