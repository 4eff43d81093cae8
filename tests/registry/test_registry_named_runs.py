"""Runs that are no rows: second stages of a row, judges that columns look through."""

import pytest
from specs import column, tiny_spec, write_spec

from vaebench.errors import UserError
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.selection import Selection


def named_spec(**change):
    """Rows A and B in two groups, a second stage of each, and a judge a group."""
    spec = tiny_spec(**change)
    spec["groups"]["H"] = {"data": {"dataset": "mnist", "limit": 1000}}
    spec["runs"] = {
        "stage": {
            "method": "two_stage.second",
            "arguments": {"latent": 2, "hidden": [4]},
            "training": {"batch_size": 8, "epochs": 3, "optimizer": {"name": "adam", "lr": 0.01}},
            "inputs": {"base": {"row": "this"}},
            "step_ms": 7,
        },
        "judge": {
            "method": "judges.lenet",
            "data": {"limit": None},
            "training": {"batch_size": 64, "epochs": 2, "optimizer": {"name": "adam", "lr": 0.01}},
            "groups": {"H": {"arguments": {"classes": "all"}}},
        },
    }
    spec["columns"]["Judged"] = column(
        "judged", "score", run="stage", inputs={"judge": {"run": "judge", "seed": 0}}
    )
    spec["layout"]["panels"][0]["columns"].append({"header": "Judged", "column": "Judged"})
    return spec


def expanded(folder, spec, **selection):
    return expand(load_table(write_spec(folder, spec)), Selection(**selection))


def cell(expansion, row, group, name):
    (found,) = (m for m in expansion.measurements if m.key == (row, group, name))
    return found


def test_a_column_may_be_of_a_run_made_from_the_rows_own(tmp_path):
    expansion = expanded(tmp_path, named_spec())
    for row in "AB":
        for group in "GH":
            own = cell(expansion, row, group, "Rec.").runs
            stages = cell(expansion, row, group, "Judged").runs
            assert [stage.inputs for stage in stages] == [{"base": run} for run in own]
            assert [stage.seed for stage in stages] == [0, 1]
            assert {stage.method for stage in stages} == {"two_stage.second"}
            assert {stage.data for stage in stages} == {run.data for run in own}
    stages = {r.id for m in expansion.measurements for r in m.runs if m.key.column == "Judged"}
    assert len(stages) == 8 and all(expansion.origins[i].step_ms == 7 for i in stages)


def test_a_judge_is_one_run_for_all_rows_and_seeds_of_a_group(tmp_path):
    expansion = expanded(tmp_path, named_spec())
    judges = {
        group: {cell(expansion, row, group, "Judged").evaluation.inputs["judge"].id for row in "AB"}
        for group in "GH"
    }
    assert [len(ids) for ids in judges.values()] == [1, 1] and judges["G"] != judges["H"]
    judge = cell(expansion, "A", "H", "Judged").evaluation.inputs["judge"]
    assert judge.seed == 0 and judge.arguments == {"classes": "all"}
    assert judge.data.dataset == "mnist" and judge.data.limit is None  # not the group's
    assert judge.training.epochs == 2  # and nothing of the rows' defaults
    assert judge.id not in expansion.runs and "runs.judge" in expansion.origins[judge.id].place


def test_an_evaluation_is_known_by_the_models_and_files_that_it_takes(tmp_path):
    spec = named_spec()
    plain = cell(expanded(tmp_path, spec), "A", "G", "Judged").evaluation
    spec["runs"]["judge"]["training"]["epochs"] = 3
    other = cell(expanded(tmp_path, spec), "A", "G", "Judged").evaluation
    spec["columns"]["Judged"]["files"] = {"weights": "inception"}
    filed = cell(expanded(tmp_path, spec), "A", "G", "Judged").evaluation
    assert len({plain.key, other.key, filed.key}) == 3
    assert plain.arguments == ["judge"] and filed.arguments == ["judge", "weights"]


def test_the_rows_own_runs_are_as_without_named_runs(tmp_path):
    plain, named = expanded(tmp_path, tiny_spec()), expanded(tmp_path, named_spec())
    assert set(plain.runs) < set(named.runs)


def test_a_limit_and_a_setting_reach_them(tmp_path):
    expansion = expanded(tmp_path, named_spec(), limit=200, settings=("training.epochs=9",))
    found = cell(expansion, "B", "G", "Judged")
    for run in (*found.runs, found.evaluation.inputs["judge"], found.runs[0].inputs["base"]):
        assert run.data.limit == 200 and run.training.epochs == 9


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"columns.Judged.run": "stages"}, "columns.Judged: unknown run 'stages'; did you mean"),
        ({"columns.Judged.inputs": {"judge": {"run": "juge"}}}, "unknown run 'juge'"),
        ({"columns.Judged.inputs": {"judge": {"row": "C"}}}, "unknown row 'C'"),
        ({"columns.Judged.inputs": {"judge": {}}}, "expected either 'row' or 'run'"),
        ({"columns.Judged.inputs": {"judge": {"row": "A", "run": "b"}}}, "either 'row' or 'run'"),
        ({"columns.Judged.inputs": {"judge": {"run": "judge", "group": "K"}}}, "unknown group 'K'"),
        ({"runs.judge.method": None}, "runs.judge: the key 'method' is missing"),
        ({"runs.judge.inputs": {"base": {"run": "judge"}}}, "a circle: judge needs judge"),
        ({"rows.A.inputs": {"base": {"row": "this"}}}, "rows.A: inputs.base: no row is meant"),
        ({"columns.Judged.aggregation": "best"}, "`select` must say by what"),
    ],
)
def test_a_wrong_name_is_told(change, told, tmp_path):
    spec = named_spec()
    for path, value in change.items():
        at = spec
        *way, last = path.split(".")
        for part in way:
            at = at[part]
        at[last] = value
    with pytest.raises(UserError) as caught:
        expanded(tmp_path, spec)
    assert told in str(caught.value)


def test_best_cannot_be_of_another_run(tmp_path):
    spec = named_spec()
    spec["columns"]["Judged"]["aggregation"] = "best"
    spec["select"] = {"evaluation": "e", "value": "v", "better": "lower", "says": "so"}
    with pytest.raises(UserError, match="cannot take the `best`"):
        expanded(tmp_path, spec)


def test_an_extra_column_may_be_kept_to_groups(tmp_path):
    spec = named_spec()
    spec["columns"]["Judged"] |= {"groups": ["H"], "extra": True}
    keys = {m.key for m in expanded(tmp_path, spec).measurements}
    assert {key.group for key in keys if key.column == "Judged"} == {"H"}
    assert {key.group for key in keys if key.column == "Rec."} == {"G", "H"}


def test_an_extra_column_may_stand_beside_a_published_one(tmp_path):
    """AR-ELBO, Table 3 prints a dash for samples from the prior of autoencoders."""
    spec = tiny_spec(paper="ar-elbo", published="ar-elbo-table3")
    method = {"method": "igp.autoencoder", "arguments": {"latent": 2, "hidden": [8]}}
    spec["rows"] = {"AE": method, "WAE-MMD": method, "ours": {**method, "extra": True}}
    spec["groups"] = {"MNIST": {"data": {"dataset": "mnist"}}}
    beside = column("reconstruction", "rec", extra=True, beside="FID Prior")
    spec["columns"] = {"FD": beside, "MSE": column("reconstruction", "rec")}
    spec["layout"]["panels"][0]["blocks"] = [{"lines": ["AE", "WAE-MMD"]}]
    keys = {m.key for m in expanded(tmp_path, spec).measurements}
    assert {key.row for key in keys if key.column == "FD"} == {"WAE-MMD", "ours"}
    assert {key.row for key in keys if key.column == "MSE"} == {"AE", "WAE-MMD", "ours"}


def test_a_row_may_stand_for_a_named_run(tmp_path):
    """A column of that run is then measured on the row's own run, in that row alone."""
    spec = named_spec()
    spec["rows"]["B"]["stands_for"] = ["stage"]
    found = {tuple(m.key): m for m in expanded(tmp_path, spec).measurements}
    own = found["B", "G", "Judged"]
    assert own.runs == found["B", "G", "Rec."].runs and len(own.runs) == 2
    other = found["A", "G", "Judged"]
    assert {run.method for run in other.runs} == {"two_stage.second"}
    assert [run.inputs["base"] for run in other.runs] == [*found["A", "G", "Rec."].runs]
    assert own.evaluation.key == other.evaluation.key


def test_a_row_may_have_fewer_seeds_than_its_table(tmp_path):
    spec = named_spec()
    spec["rows"]["B"]["seeds"] = 1
    found = {tuple(m.key): m for m in expanded(tmp_path, spec).measurements}
    assert [run.seed for run in found["A", "G", "Rec."].runs] == [0, 1]
    assert [run.seed for run in found["B", "G", "Rec."].runs] == [0]
    assert found["B", "G", "Rec."].wanted == 1 and found["A", "G", "Rec."].wanted == 2
    spec["rows"]["B"]["seeds"] = 9
    assert {m.wanted for m in expanded(tmp_path, spec).measurements} == {2}


def test_a_row_stands_for_what_it_names_alone(tmp_path):
    spec = named_spec()
    spec["rows"]["B"]["stands_for"] = ["judge"]
    found = {tuple(m.key): m for m in expanded(tmp_path, spec).measurements}
    assert {run.method for run in found["B", "G", "Judged"].runs} == {"two_stage.second"}


def test_a_run_that_a_row_cannot_stand_for_is_told(tmp_path):
    spec = named_spec()
    spec["rows"]["B"]["stands_for"] = ["stag"]
    with pytest.raises(UserError, match=r"rows\.B\.stands_for: no run is called 'stag'") as caught:
        expanded(tmp_path, spec)
    assert "did you mean stage?" in str(caught.value)
