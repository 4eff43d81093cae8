"""Rows that are the data themselves."""

import pytest
from benches import Bench
from specs import column, tiny_spec

from vaebench import methods
from vaebench.execution.plan import Costs
from vaebench.models.latent import DataThemselves
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.selection import Selection
from vaebench.results.cells import measure


def data_spec():
    """A row of the data and one of a model, whose arguments and training are the table's."""
    spec = tiny_spec()
    spec["groups"]["G"]["data"]["limit"] = 100
    spec["rows"] = {"Real": {"method": "data.itself"}, "A": spec["rows"]["A"]}
    spec["columns"] = {
        name: column("data_statistics", value)
        for name, value in {"Train": "train", "Words": "vocabulary"}.items()
    }
    spec["layout"]["panels"][0] = {
        "group": "G",
        "columns": [{"header": name, "column": name} for name in spec["columns"]],
        "blocks": [{"lines": ["Real", "A"]}],
    }
    return spec


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path, data_spec())


def test_the_data_are_one_run_that_trains_nothing(bench):
    real = bench.only_run("Real")
    assert (real.arguments, real.training, real.seed, real.epochs) == ({}, None, 0, 0)
    assert "training" not in real.configuration
    assert len(bench.runs("A")) == 2
    assert Costs([]).of(bench.plan().work[real.id]).seconds == 0


def test_what_is_said_of_training_makes_no_other_run_of_the_data(bench):
    real = bench.only_run("Real")
    settings = ("training.epochs=9", "arguments.latent=3")
    changed = expand(load_table(bench.path), Selection(settings=settings))
    assert real.id in changed.runs and not {r.id for r in bench.runs("A")} & changed.runs.keys()
    limited = expand(load_table(bench.path), Selection(limit=50))
    assert real.id not in limited.runs


def cells(bench):
    """State, value and seeds of the cells by row and column."""
    found = measure(bench.expansion(), bench.store)
    return {(k.row, k.column): (cell.state, cell.value, cell.seeds) for k, cell in found.items()}


def test_the_data_are_measured_like_a_model(bench):
    outcome, _ = bench.run()
    assert outcome.counts == {"done": 3}
    assert cells(bench) == {
        ("Real", "Train"): ("measured", 100, 1),
        ("Real", "Words"): ("not applicable", None, 1),
        ("A", "Train"): ("measured", 100, 2),
        ("A", "Words"): ("not applicable", None, 2),
    }
    record = bench.store.record(bench.only_run("Real").id)
    assert record["history"] == {} and record["provenance"]["parameters"] == 0
    assert bench.run()[0].counts == {}


def test_the_data_are_measured_again_on_a_fresh_clone(bench):
    bench.run()
    before = cells(bench)
    bench.store.weights(bench.only_run("Real").id).unlink()
    bench.spec["columns"]["Fewer"] = column("data_statistics", "train", data={"limit": 60})
    assert bench.run()[0].counts == {"done": 3}
    assert cells(bench) == before | {
        ("Real", "Fewer"): ("measured", 60, 1),
        ("A", "Fewer"): ("measured", 60, 2),
    }


def test_what_learns_from_models_may_learn_from_the_data(bench, monkeypatch):
    """Once, with the first seed."""
    met = []

    def learner(data, *, source):
        met.append(type(source))
        return methods.build("igp.vae", data, {"latent": 2, "hidden": [4], "posterior": "diagonal"})

    monkeypatch.setitem(methods._METHODS, "tests.learner", learner)
    spec = bench.spec
    spec["runs"] = {
        "learner": {
            "method": "tests.learner",
            "training": spec["defaults"]["training"],
            "inputs": {"source": {"row": "this"}},
        }
    }
    spec["columns"]["Learnt"] = column("reconstruction", "rec", run="learner")
    assert bench.run()[0].counts == {"done": 3 + 3}
    assert DataThemselves in met
    assert [cells(bench)[row, "Learnt"][2] for row in ("Real", "A")] == [1, 2]
