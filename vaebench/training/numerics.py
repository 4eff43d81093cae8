"""What can move a result's last bits: device, threads, the matmul route and compilation.

Resolved once a run, stored with it and used again when it resumes.
"""

import importlib.util
import os
import shutil
from dataclasses import asdict, dataclass
from typing import Any

import torch

from vaebench.errors import UserError

_PROBE_SIZE = 256
_PROBE_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Numerics:
    """`matmul` is `onednn` where float32 products go to oneDNN, else `default`; `precision` is that
    of training, `float32` or `bf16`; `compile` says that training goes through torch.compile."""

    device: str
    threads: int
    matmul: str
    precision: str = "float32"
    compile: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def apply(self) -> torch.device:
        """Set up this process accordingly and return the device."""
        torch.set_num_threads(self.threads)
        _route(self.matmul)
        _round_no_convolutions()
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise UserError(f"device {self.device}: no CUDA device here; use --device cpu")
        return torch.device(self.device)


def resolve(
    device: str | None = None,
    threads: int = 1,
    *,
    compile: bool = False,
    precision: str = "float32",
) -> Numerics:
    """The numerics of a new run here: the GPU where there is one, else the CPU's best route.

    UserError if `compile` is wanted where no compiler is.
    """
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if compile and not _has_compiler(chosen):
        what = "triton" if chosen.startswith("cuda") else "C++ compiler (g++, clang++ or $CXX)"
        raise UserError(f"--compile: there is no {what} here; without it runs are slower, no more")
    route = _best_route() if chosen == "cpu" else "default"
    return Numerics(chosen, threads, route, precision, compile)


def _has_compiler(device: str) -> bool:
    """Whether torch.compile finds what it needs to make code for a device."""
    if device.startswith("cuda"):
        return importlib.util.find_spec("triton") is not None
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++"))


def _best_route() -> str:
    """`onednn` if its float32 product here is exact to float32 rounding, else `default`.

    MKL takes a slow path on CPUs of other makers, where oneDNN is up to twice as fast. The same
    switch lets CPUs with bfloat16 matrix units round to bfloat16, so a product is measured first.
    """
    if _switch() is None:
        return "default"
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randn(2, _PROBE_SIZE, _PROBE_SIZE, generator=generator)
    exact = left.double() @ right.double()
    _route("onednn")
    error = float((left @ right - exact).norm() / exact.norm())
    _route("default")
    return "onednn" if error < _PROBE_TOLERANCE else "default"


def _round_no_convolutions() -> None:
    """Float32 is float32 on GPUs too, where torch rounds convolutions to TF32 if it is not told."""
    cudnn: Any = torch.backends.cudnn
    if hasattr(cudnn, "conv") and hasattr(cudnn, "rnn"):
        cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "ieee"
    else:
        cudnn.allow_tf32 = False


def _switch() -> Any:
    """What chooses the route of float32 products on CPUs; None where this torch has no choice."""
    switch = getattr(torch.backends.mkldnn, "matmul", None)
    return switch if hasattr(switch, "fp32_precision") else None


def _route(matmul: str) -> None:
    switch = _switch()
    if switch is not None:
        switch.fp32_precision = "bf16" if matmul == "onednn" else "ieee"
