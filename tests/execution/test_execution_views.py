"""Evaluations that see another view of the data than the run."""

import pytest
from benches import Bench
from specs import column, tiny_spec

from vaebench import evaluation
from vaebench.errors import UserError


@pytest.fixture
def seen(monkeypatch):
    """The sizes of the data that an evaluator met, by call."""
    met = []

    def sizes(model, data):
        met.append((len(data.train), len(data.test)))
        return {"train": len(data.train), "test": len(data.test)}

    monkeypatch.setitem(evaluation._EVALUATORS, "sizes", sizes)
    return met


def viewed_spec(**view):
    spec = tiny_spec(seeds=1)
    spec["groups"]["G"]["data"]["limit"] = 100
    spec["columns"]["Own"] = column("sizes", "train")
    spec["columns"]["Whole"] = column("sizes", "train", data=view or {"limit": None})
    headers = [{"header": name, "column": name} for name in ("Own", "Whole")]
    spec["layout"]["panels"][0]["columns"] += headers
    return spec


def test_an_evaluation_sees_its_columns_view_and_others_the_runs(tmp_path, seen):
    bench = Bench(tmp_path, viewed_spec())
    assert bench.run()[0].counts == {"done": 2}
    assert sorted(seen) == 2 * [(100, 20)] + 2 * [(1_500, 297)]
    record = bench.store.record(bench.runs("A")[0].id)
    entries = [e for e in record["evaluations"].values() if e["name"] == "sizes"]
    views = {e["values"]["train"]: e.get("data") for e in entries}
    assert views == {100: None, 1_500: {"dataset": "digits-28x28"}}
    assert bench.run()[0].counts == {}


def test_without_weights_all_evaluations_are_made_again_on_their_views(tmp_path, seen):
    bench = Bench(tmp_path, viewed_spec())
    bench.run()
    run = bench.runs("A")[0]
    before = bench.store.record(run.id)["evaluations"]
    bench.store.weights(run.id).unlink()
    wider = viewed_spec()
    wider["columns"]["AU"] = column(
        "active_units", "au", parameters={"split": "test", "threshold": 0.01}
    )
    wider["layout"]["panels"][0]["columns"].append({"header": "AU", "column": "AU"})
    again = Bench(tmp_path, wider)
    again.run()
    after = again.store.record(run.id)["evaluations"]
    assert {key: after[key] for key in before} == before and len(after) == len(before) + 1


def test_a_view_that_the_data_cannot_give_is_told_before_anything_runs(tmp_path):
    with pytest.raises(UserError, match="held_out"):
        Bench(tmp_path, viewed_spec(held_out=5_000)).plan()


def test_a_model_is_not_evaluated_on_other_data_than_it_learnt_from(tmp_path):
    bench = Bench(tmp_path, tiny_spec(seeds=1))
    bench.run()
    run = bench.runs("A")[0]
    record = bench.store.record(run.id)
    evaluations = dict(record["evaluations"])
    taken = evaluations.popitem()[0]
    sha256 = record["provenance"]["data_sha256"]
    record["provenance"]["data_sha256"] = "ab" * 32
    bench.store.write_record({**record, "evaluations": evaluations})
    assert bench.run()[0].counts == {"failed": 1}
    reason = bench.store.failure(run.id)["message"]
    assert f"is not what this run was trained on (sha256 {'ab' * 32} then, {sha256} now)" in reason
    assert bench.store.record(run.id)["evaluations"] == evaluations
    record["provenance"]["data_sha256"] = sha256
    bench.store.write_record({**record, "evaluations": evaluations})
    assert bench.run()[0].counts == {"done": 1}
    assert taken in bench.store.record(run.id)["evaluations"]
