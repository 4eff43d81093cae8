"""A table of our own and records as runs would leave them, with chosen values."""

import copy

import pytest
import yaml

from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.runs import Evaluation
from vaebench.registry.selection import Selection
from vaebench.store.store import Store, plain


def _column(evaluation, value, aggregation, **rest):
    return {
        "evaluation": evaluation,
        "value": value,
        "dialect": f"{value}@test",
        "unit": "nats",
        "aggregation": aggregation,
        **rest,
    }


SPEC = {
    "table": "toy",
    "paper": "igp",
    "caption": "A table for tests.",
    "layout": {
        "panels": [
            {
                "group": "G",
                "columns": [
                    {"header": name, "column": name} for name in ("Rec.", "KL", "AU", "One", "Kind")
                ],
                "blocks": [{"lines": ["A", "B"]}],
            }
        ]
    },
    "seeds": 3,
    "defaults": {
        "arguments": {"latent": 2, "hidden": [8]},
        "training": {"batch_size": 32, "epochs": 4, "optimizer": {"name": "adam", "lr": 0.001}},
    },
    "groups": {"G": {"data": {"dataset": "mnist"}}},
    "columns": {
        "Rec.": _column("fit", "rec", "best"),
        "KL": _column("fit", "kl", "best", also="mean"),
        "AU": _column("units", "au", "mean"),
        "One": _column("fit", "rec", "single"),
        "Kind": _column("units", "kind", "single"),
    },
    "select": {"evaluation": "fit", "value": "elbo", "better": "lower", "says": "the lowest ELBO"},
    "rows": {"A": {"method": "igp.vae", "arguments": {"posterior": "diagonal"}},
             "B": {"method": "igp.vae", "arguments": {"posterior": "isotropic"}}},
    "assumptions": ["We assume."],
    "misprints": ["They misprint."],
    "scales": {"small": {"groups": {"G": {"data": {"limit": 100}}}, "reduced": "100 images"}},
}  # fmt: skip


class Toy:
    """The table in a store; `done`, `diverged` and `failed` leave what runs leave."""

    def __init__(self, folder):
        self.folder, self.store = folder, Store(folder / "results")
        self.spec = copy.deepcopy(SPEC)

    @staticmethod
    def fit(rec, kl, elbo=None):
        """Values of the evaluation that the table selects by."""
        return {"rec": rec, "kl": kl, "elbo": rec + (kl or 0.0) if elbo is None else elbo}

    @property
    def path(self):
        path = self.folder / "toy.yaml"
        path.write_text(yaml.safe_dump(self.spec, sort_keys=False))
        return str(path)

    def expansion(self, scale="paper", **selection):
        return expand(load_table(self.path, scale), Selection(**selection))

    def run(self, row, seed, **how):
        runs = self.expansion(**how).measurements
        measurement = next(m for m in runs if m.key.row == row)
        return next(run for run in measurement.runs if run.seed == seed)

    def done(self, row, seed, fit=None, units=None, *, provenance=None, loss=(3.0, 2.0), **how):
        """The record of a finished run with the values of two evaluations."""
        values = {"fit": fit, "units": units}
        self._record(
            self.run(row, seed, **how), "done", None, values, provenance or {}, {"loss": list(loss)}
        )

    def diverged(self, row, seed, **how):
        run = self.run(row, seed, **how)
        self._record(run, "diverged", "the loss is nan", {}, {}, {"loss": [3.0]})

    def failed(self, row, seed, **how):
        self.store.write_failure(self.run(row, seed, **how).id, "it broke", "Traceback …")

    def _record(self, run, status, reason, values, provenance, history):
        self.store.write_record(
            {
                "id": run.id,
                "sentence": run.sentence,
                "status": status,
                "reason": reason,
                "configuration": plain(run.configuration),
                "provenance": {
                    "commit": "0123456789abcdef",
                    "modified": False,
                    "vaebench": "0.1.0",
                    "torch": "2.9.0",
                    "cpu": "some processor",
                    "gpu": None,
                    "data_sha256": "ab" * 32,
                    "data_kind": "original",
                    "numerics": {
                        "device": "cpu",
                        "threads": 1,
                        "matmul": "default",
                        "precision": "float32",
                    },
                    **provenance,
                },
                "history": history,
                "evaluations": {
                    Evaluation(name).key: {"name": name, "parameters": {}, "values": value}
                    for name, value in values.items()
                    if value is not None
                },
            }
        )


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)


@pytest.fixture(scope="session")
def toy_class():
    """For tests that need more than one."""
    return Toy
