"""Specs written for a test."""

import copy
from pathlib import Path
from typing import Any

import yaml

# A table of two rows with every part that a run is merged from. Its names are no published ones.
_TINY = {
    "table": "tiny",
    "paper": "igp",
    "caption": "A table for tests.",
    "layout": {
        "panels": [
            {
                "group": "G",
                "columns": [{"header": "Rec.", "column": "Rec."}],
                "blocks": [{"lines": ["A", "B"]}],
            }
        ]
    },
    "seeds": 2,
    "defaults": {
        "arguments": {"latent": 2, "hidden": [8]},
        "training": {"batch_size": 32, "epochs": 4, "optimizer": {"name": "adam", "lr": 1e-3}},
    },
    "groups": {"G": {"data": {"dataset": "digits-28x28"}}},
    "columns": {
        "Rec.": {
            "evaluation": "reconstruction",
            "value": "rec",
            "dialect": "rec@test-one-sample",
            "unit": "nats an image",
            "aggregation": "mean",
        }
    },
    "rows": {
        "A": {"method": "igp.vae", "arguments": {"posterior": "diagonal"}},
        "B": {"method": "igp.vae", "arguments": {"posterior": "isotropic"}},
    },
}


def tiny_spec(**change: Any) -> dict[str, Any]:
    """The tiny table as a mapping, to be changed."""
    return copy.deepcopy(_TINY) | change


def without_rows(folder: Path) -> str:
    """The tiny table with published numbers and no row of its own."""
    printed = {"published": "mae-table3", "groups": {}, "columns": {}, "rows": {}}
    return write_spec(folder, tiny_spec(**printed), "bare.yaml")


def column(evaluation: str, value: str, **rest: Any) -> dict[str, Any]:
    """A column over all seeds."""
    told = {"dialect": f"{value}@test", "unit": "nats", "aggregation": "mean"}
    return {"evaluation": evaluation, "value": value, **told, **rest}


def write_spec(folder: Path, content: dict[str, Any] | str, name: str = "mine.yaml") -> str:
    """Write a mapping, or text, to a spec file; its path."""
    path = folder / name
    text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    return str(path)
