"""Evaluations that take the trained model of another run, whoever does them."""

import shutil

import pytest
import torch
from benches import Bench, load_plugins, name_plugins
from specs import column, tiny_spec

from vaebench.errors import UserError
from vaebench.execution import workers
from vaebench.execution.plan import check_plan, make_plan
from vaebench.execution.slots import cpu_slots


def judged_spec():
    spec = tiny_spec(seeds=2)
    spec["groups"]["G"]["data"]["limit"] = 100
    training = {"batch_size": 20, "epochs": 5, "optimizer": {"name": "adam", "lr": 0.01}}
    spec["runs"] = {"judge": {"method": "judged.classifier", "training": training}}
    takes = {"judge": {"run": "judge", "seed": 0}}
    spec["columns"]["Judged"] = column("judged", "agreement", inputs=takes)
    spec["layout"]["panels"][0]["columns"].append({"header": "Judged", "column": "Judged"})
    return spec


@pytest.fixture
def bench(tmp_path, monkeypatch):
    load_plugins(monkeypatch, "judged")
    return Bench(tmp_path, judged_spec())


def judge_of(bench):
    (judge,) = (w.run for w in bench.plan().work.values() if w.run.method == "judged.classifier")
    return judge


def entry_of(bench, run):
    evaluations = bench.store.record(run.id)["evaluations"].values()
    (entry,) = (entry for entry in evaluations if entry["name"] == "judged")
    return entry


def test_the_judge_is_trained_once_and_before_all_that_it_judges(bench):
    outcome, log = bench.run()
    assert outcome.counts == {"done": 5}
    judge = judge_of(bench)
    assert log.of("started")[0][0] == judge.id
    weights = torch.load(bench.store.weights(judge.id), weights_only=True)["model"]
    expected = sum(float(w.double().sum()) for w in weights.values())
    for run in bench.runs("A") + bench.runs("B"):
        entry = entry_of(bench, run)
        assert entry["inputs"] == {"judge": judge.id}
        assert entry["values"]["weights"] == expected  # its own trained weights, no others
        assert 0 < entry["values"]["agreement"] <= 1
    assert bench.run()[0].counts == {}


def test_workers_end_in_the_same_bits(bench, tmp_path, monkeypatch):
    bench.run()
    name_plugins(monkeypatch, "judged")
    (tmp_path / "other").mkdir()
    other = Bench(tmp_path / "other", judged_spec())
    outcome, _ = other.run(workers.run_plan, slots=cpu_slots(2))
    assert outcome.counts == {"done": 5} and other.all_bits() == bench.all_bits()


def test_another_judge_is_another_evaluation(bench):
    bench.run()
    before = bench.bits(bench.runs("A")[0])
    bench.spec["runs"]["judge"]["training"]["epochs"] = 6
    assert [len(w.missing(bench.store)) for w in bench.plan().open(bench.store)] == [0, 1, 1, 1, 1]
    bench.run()
    after = bench.bits(bench.runs("A")[0])
    assert after[0] == before[0]  # nothing was trained again
    assert set(after[2]) > set(before[2])


def test_on_a_fresh_clone_the_judge_is_trained_again_only_for_what_is_missing(bench):
    bench.run()
    shutil.rmtree(bench.store.root / "runs")
    assert bench.plan().open(bench.store) == []
    bench.spec["rows"]["C"] = {"method": "igp.vae", "arguments": {"posterior": "diagonal"}}
    bench.spec["rows"]["C"]["training"] = {"epochs": 2}
    bench.spec["layout"]["panels"][0]["blocks"][0]["lines"].append("C")
    ids = {work.run.id for work in bench.plan().open(bench.store)}
    assert ids == {judge_of(bench).id, *(run.id for run in bench.runs("C"))}
    assert bench.run()[0].counts == {"done": 3}


def test_a_run_that_is_trained_again_keeps_no_judgement_of_its_old_model(bench):
    bench.run()
    run = bench.runs("A")[0]
    shutil.rmtree(bench.store.run_dir(run.id))
    bench.spec["columns"]["AU"] = column(
        "active_units", "au", parameters={"split": "test", "threshold": 0.01}
    )
    del bench.spec["columns"]["Judged"]
    bench.spec["layout"]["panels"][0]["columns"][1] = {"header": "AU", "column": "AU"}
    bench.run()
    kept = {e["name"] for e in bench.store.record(run.id)["evaluations"].values()}
    assert kept == {"reconstruction", "active_units"}


def test_on_a_fresh_clone_a_new_column_brings_the_judge_of_an_old_one_back(bench):
    bench.run()
    before = {run.id: entry_of(bench, run) for run in bench.runs("A") + bench.runs("B")}
    shutil.rmtree(bench.store.root / "runs")
    bench.spec["columns"]["AU"] = column(
        "active_units", "au", parameters={"split": "test", "threshold": 0.01}
    )
    bench.spec["layout"]["panels"][0]["columns"].append({"header": "AU", "column": "AU"})
    assert {work.run.id for work in bench.plan().open(bench.store)} == {judge_of(bench).id, *before}
    assert bench.run()[0].counts == {"done": 5}
    assert before == {run.id: entry_of(bench, run) for run in bench.runs("A") + bench.runs("B")}


def test_what_a_judge_that_fails_should_judge_fails_with_a_reason(bench):
    bench.spec["runs"]["judge"]["training"]["optimizer"]["lr"] = 1e38
    outcome, log = bench.run()
    assert outcome.counts == {"diverged": 1, "failed": 4}
    reasons = {detail for _, status, detail in log.of("done") if status == "failed"}
    assert reasons == {f"its input {judge_of(bench).id} did not end well"}


def test_a_circle_of_evaluations_is_told(bench):
    bench.spec["columns"]["Judged"]["inputs"] = {"judge": {"row": "B", "seed": 0}}
    bench.spec["rows"]["B"] = {"method": "two_stage.continued", "inputs": {"base": {"row": "A"}}}
    with pytest.raises(UserError, match="a circle"):
        bench.plan()


@pytest.fixture
def own_judge(bench):
    """The first run of A judges all of A, itself among them, and those of B."""
    takes = {"other": {"row": "A", "seed": 0}}
    bench.spec["columns"]["Judged"] = column("distance", "distance", inputs=takes)
    return bench


def test_a_run_may_judge_itself(own_judge):
    bench = own_judge
    judge, other = bench.runs("A")
    work = bench.plan().work
    assert next(iter(work)) == judge.id and work[judge.id].inputs == {}
    assert [*work[other.id].inputs] == [judge.id]
    outcome, log = bench.run()
    assert outcome.counts == {"done": 4} and log.of("started")[0][0] == judge.id

    def found(run):
        entries = bench.store.record(run.id)["evaluations"].values()
        (entry,) = (entry for entry in entries if entry["name"] == "distance")
        assert entry["inputs"] == {"other": judge.id}
        return entry["values"]["distance"]

    assert found(judge) == 0 < found(other)
    assert bench.run()[0].counts == {}


def test_a_judge_of_itself_without_weights_is_trained_once_more(own_judge):
    bench = own_judge
    bench.run()
    shutil.rmtree(bench.store.root / "runs")
    assert bench.plan().open(bench.store) == []
    judge = bench.runs("A")[0]
    content = bench.store.record(judge.id)
    content["evaluations"] = {k: e for k, e in content["evaluations"].items() if "inputs" not in e}
    bench.store.write_record(content)
    assert [work.run.id for work in bench.plan().open(bench.store)] == [judge.id]
    outcome, _ = bench.run()
    assert outcome.counts == {"done": 1} and bench.plan().open(bench.store) == []


def test_runs_that_judge_each_other_are_a_circle(own_judge):
    bench = own_judge
    takes = {"other": {"row": "A", "seed": 1}}
    bench.spec["columns"]["Back"] = column("distance", "distance", inputs=takes)
    bench.spec["layout"]["panels"][0]["columns"].append({"header": "Back", "column": "Back"})
    with pytest.raises(UserError, match="a circle"):
        bench.plan()


def test_a_name_that_the_evaluator_does_not_take_is_told(bench):
    column_of = bench.spec["columns"]["Judged"]
    column_of["inputs"] = {"referee": column_of["inputs"]["judge"]}
    with pytest.raises(UserError, match=r"columns.Judged: judged: unknown parameter 'referee'"):
        check_plan(bench.plan())


def test_evaluations_without_their_files_are_left_out(bench):
    bench.spec["columns"]["Judged"]["files"] = {"weights": "inception"}
    plan = make_plan([bench.expansion()])
    assert plan.files == {"inception"}
    rest = plan.without_files({"inception"})
    assert list(rest.work) == list(plan.work) and rest.files == set()
    names = {e.name for work in rest.work.values() for e in work.evaluations.values()}
    assert names == {"reconstruction"}
