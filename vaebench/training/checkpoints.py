"""Checkpoints: all that a run needs to go on bit for bit, and nothing that executes code."""

import io
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vaebench.errors import UserError
from vaebench.store.atomic import write_bytes

# Raised when what a checkpoint of the loop holds, or what stands behind it, changes.
_FORMAT = 2


def save(state: dict[str, Any], path: Path) -> None:
    """Write tensors and plain values atomically."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getbuffer())


def load(path: Path) -> dict[str, Any]:
    """Read a file of `save` without executing anything in it."""
    damaged = UserError(f"{path}: not a checkpoint of vaebench or damaged; delete it and run again")
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.testzip() is not None:  # torch writes checksums and does not read them
                raise damaged
        state: dict[str, Any] = torch.load(
            io.BytesIO(content), map_location="cpu", weights_only=True
        )
    except UserError:
        raise
    except Exception as error:  # a damaged file may raise almost anything
        raise damaged from error
    return state


def save_state(state: dict[str, Any], path: Path) -> None:
    """Write what training needs to go on."""
    save({**state, "format": _FORMAT}, path)


def load_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote; UserError if another version of vaebench did."""
    state = load(path)
    if state.pop("format", None) != _FORMAT:
        raise UserError(
            f"{path}: left by another version of vaebench, which trained otherwise; "
            "delete it, and the run begins anew"
        )
    return state


def load_weights(model: nn.Module, path: Path) -> None:
    """Put the stored weights into `model`."""
    try:
        model.load_state_dict(load(path)["model"])
    except (RuntimeError, KeyError) as error:
        raise UserError(f"{path}: holds the weights of another model: {error}") from error


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """The generators that training draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Set the generators back to a state of `random_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
