"""The plan: what several tables and figures need together, against what the store holds."""

from dataclasses import replace

import pytest
from specs import column, without_rows, write_spec

from vaebench.cli.targets import find_targets
from vaebench.errors import UserError
from vaebench.execution.plan import Costs, check_plan, make_plan, step_count
from vaebench.registry.expansion import Expansion, expand
from vaebench.registry.loading import load_table
from vaebench.registry.names import table_paths
from vaebench.registry.runs import Evaluation
from vaebench.registry.selection import Selection
from vaebench.registry.yaml import read_file
from vaebench.store.store import plain

SMOKE = Selection()


def smoke(*names, **selection):
    return find_targets(names, "smoke", Selection(**selection)).plan


def record(run, evaluations=(), **rest):
    return {
        "id": run.id,
        "status": "done",
        "configuration": plain(run.configuration),
        "evaluations": {evaluation.key: {"values": {"rec": 1.0}} for evaluation in evaluations},
        **rest,
    }


def test_only_picks_from_the_tables_that_have_it():
    both = smoke("du-vae-table1", "du-vae-tableS1", only=("Yahoo", "IAF*"))
    first = smoke("du-vae-table1", only=("Yahoo", "IAF*"))
    second = smoke("du-vae-tableS1", only=("Yahoo",))
    assert len(first.work) == 2 and len(second.work) == 5
    assert both.work.keys() == first.work.keys() | second.work.keys()
    one = smoke("du-vae-table1", "du-vae-tableS1", only=("Yelp",))
    assert one.work.keys() == smoke("du-vae-table1", only=("Yelp",)).work.keys()
    with pytest.raises(UserError, match=r"--only 'Yelt': unknown row or group 'Yelt'.*Yelp"):
        smoke("du-vae-table1", "du-vae-tableS1", only=("Yelt", "Yahoo"))


def test_a_table_needs_its_runs_each_with_its_evaluations():
    plan = smoke("igp-table12")
    expansion = expand(load_table("igp-table12", "smoke"))
    assert plan.work.keys() == expansion.runs.keys()
    for work in plan.work.values():
        names = {evaluation.name for evaluation in work.evaluations.values()}
        assert names == {"reconstruction", "active_units", "linear_probe"}
        assert work.tables == ["igp-table12"]


def test_a_figure_adds_its_pictures_to_the_runs_of_its_table():
    table, figure = smoke("igp-table12"), smoke("igp-figure6")
    both = smoke("igp-table12", "igp-figure6")
    assert figure.work.keys() < table.work.keys() == both.work.keys()
    pictured = [
        run_id
        for run_id, work in both.work.items()
        if "prior_means" in {evaluation.name for evaluation in work.evaluations.values()}
    ]
    assert set(pictured) == set(figure.work)
    for run_id, work in both.work.items():
        assert work.evaluations.keys() >= table.work[run_id].evaluations.keys()


def test_a_run_that_two_tables_need_is_there_once(tmp_path):
    raw = read_file(table_paths()["igp-table12"]) | {"table": "mine", "published": "igp-table12"}
    raw["columns"]["MI"] = column("reconstruction", "rec", parameters={"x": 1}, extra=True)
    mine = write_spec(tmp_path, raw)
    alone, both = smoke("igp-table12"), smoke("igp-table12", mine)
    assert both.work.keys() == alone.work.keys()
    for run_id, work in both.work.items():
        assert work.tables == ["igp-table12", "mine"]
        added = work.evaluations.keys() - alone.work[run_id].evaluations.keys()
        assert added == {Evaluation("reconstruction", {"x": 1}).key}


def test_inputs_come_before_the_runs_that_need_them(bench):
    expansion = bench.expansion()
    first, *rest = expansion.measurements
    base, stage = replace(first.runs[0], seed=70), replace(first.runs[0], seed=71)
    stage = replace(stage, inputs={"base": base})
    needing = tuple(replace(run, inputs={"stage": stage, "base": base}) for run in first.runs)
    changed = Expansion(expansion.spec, (replace(first, runs=needing), *rest))
    order = list(make_plan([changed]).work)
    assert order.index(base.id) < order.index(stage.id) < order.index(needing[0].id)
    assert len(order) == 2 + len(bench.runs())
    assert make_plan([changed]).work[base.id].evaluations == {}


def test_only_what_the_store_lacks_is_open(bench):
    plan = make_plan([bench.expansion()])
    works = list(plan.work.values())
    assert plan.open(bench.store) == works
    (evaluation,) = works[0].evaluations.values()
    bench.store.write_record(record(works[0].run, [evaluation]))
    bench.store.write_record(record(works[1].run))
    bench.store.write_record(record(works[2].run, status="diverged"))
    assert plan.open(bench.store) == [works[1], works[3]]
    assert works[1].missing(bench.store) == [evaluation]
    assert works[2].missing(bench.store) == []


def test_a_picture_whose_file_is_gone_is_open(bench):
    """As on a fresh clone: records are committed, pictures are not."""
    (work, *_) = make_plan([bench.expansion()]).work.values()
    picture = Evaluation("prior_means", {"count": 4})
    content = record(work.run, work.evaluations.values())
    content["evaluations"][picture.key] = {"values": {}}
    bench.store.write_record(content)
    plan = make_plan([bench.expansion()], {work.run.id: [picture]})
    assert plan.work[work.run.id].missing(bench.store) == [picture]
    bench.store.array(work.run.id, picture).parent.mkdir(parents=True)
    bench.store.array(work.run.id, picture).touch()
    assert plan.work[work.run.id].missing(bench.store) == []


def test_steps_are_counted_to_the_last_batch(bench):
    (run, *_) = bench.runs()
    assert step_count(run) == 4 * 4  # 100 examples in batches of 32
    whole = replace(run, data=run.data.model_copy(update={"limit": None}))
    assert step_count(whole) == 47 * 4  # 1,500 examples
    large = replace(run, data=run.data.model_copy(update={"limit": 10_000}))
    assert step_count(large) == step_count(whole)
    held_out = replace(run, data=run.data.model_copy(update={"limit": None, "held_out": 100}))
    assert step_count(held_out) == 44 * 4  # 1,400 examples


def test_cost_is_estimated_from_the_spec_until_an_equal_run_is_measured(bench):
    bench.spec["rows"]["A"]["step_ms"] = 500
    works = list(make_plan([bench.expansion()]).work.values())
    first, second, other = works[0], works[1], works[2]
    guess = Costs([]).of(first)
    assert (guess.seconds, guess.measured) == (8.0, False)
    assert Costs([]).of(other).seconds is None  # its row says nothing
    provenance = {"training_seconds": 3.0, "evaluation_seconds": 1.0, "peak_mb": 5, "disk_mb": 2}
    measured = [record(first.run, provenance=provenance)]
    known = Costs(measured).of(second)  # it differs in its seed alone
    assert (known.seconds, known.measured, known.peak_mb, known.disk_mb) == (4.0, True, 5, 2)
    assert not Costs(measured).of(other).measured
    measured[0]["status"] = "diverged"
    assert not Costs(measured).of(second).measured


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s["rows"]["A"].update(method="igp.vea"), "rows.A: unknown method 'igp.vea'"),
        (lambda s: s["rows"]["A"]["arguments"].update(beta=1), "unknown argument 'beta'"),
        (lambda s: s["rows"]["A"]["arguments"].pop("posterior"), "'posterior' is missing"),
        (
            lambda s: s["columns"]["Rec."].update(evaluation="reconstructoin"),
            "columns.Rec.: unknown evaluation 'reconstructoin'; did you mean reconstruction",
        ),
        (lambda s: s["columns"]["Rec."].update(parameters={"k": 1}), "unknown parameter 'k'"),
    ],
)
def test_methods_and_evaluations_are_checked_before_anything_runs(change, told, bench):
    change(bench.spec)
    plan = make_plan([bench.expansion()])
    with pytest.raises(UserError) as caught:
        check_plan(plan)
    assert told in str(caught.value)
    assert bench.path in str(caught.value)


def test_an_unknown_data_set_is_told_when_the_plan_is_made(bench):
    bench.spec["groups"]["G"]["data"]["dataset"] = "digits-28x29"
    with pytest.raises(UserError, match=r"unknown data set .* did you mean digits-28x28"):
        make_plan([bench.expansion()])


def test_a_figure_that_cannot_be_drawn_is_told():
    with pytest.raises(UserError, match="unknown table 'mae-figure1'"):
        smoke("mae-figure1")


def test_a_table_without_methods_cannot_be_planned(tmp_path):
    with pytest.raises(UserError, match="none of its rows has a method; `vaebench table "):
        smoke(without_rows(tmp_path))
