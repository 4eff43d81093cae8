"""Runs that start from the trained model of another run, whoever does them."""

import copy
import signal

import pytest
from benches import Bench, load_plugins, name_plugins, shuffled
from commands import finish, invoke, leftovers, start, wait_until, with_plugins
from specs import column, tiny_spec

from vaebench.errors import UserError
from vaebench.execution import local, session, workers
from vaebench.execution.plan import check_plan
from vaebench.execution.slots import cpu_slots
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.selection import Selection
from vaebench.results.cells import measure

FIRST = {"method": "igp.vae", "arguments": {"posterior": "diagonal", "latent": 2, "hidden": [8]}}
SECOND = {"method": "two_stage.second", "arguments": {"latent": 2, "hidden": [8]}}
CONTINUED = {"method": "two_stage.continued"}


def chain_spec(**change):
    """Four rows: `first`; `second` and `continued` from it; `third`, continued from `second`."""
    spec = tiny_spec(seeds=2, **change)
    spec["defaults"]["arguments"] = {}
    spec["groups"]["G"]["data"]["limit"] = 100
    rows = {
        "third": {**CONTINUED, "inputs": {"base": {"row": "second"}}},
        "second": {**SECOND, "inputs": {"base": {"row": "first"}}},
        "continued": {**CONTINUED, "inputs": {"base": {"row": "first"}}},
        "first": FIRST,
    }
    spec["rows"] = copy.deepcopy(rows)
    spec["layout"]["panels"][0]["blocks"] = [{"lines": list(spec["rows"])}]
    return spec


@pytest.fixture
def chain(tmp_path, monkeypatch):
    load_plugins(monkeypatch, "two_stage")
    return Bench(tmp_path, chain_spec())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The chain done here, one run after the other, undisturbed; only to be read."""
    from vaebench import methods

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "_METHODS", dict(methods.methods()))
        load_plugins(patch, "two_stage")
        bench = Bench(tmp_path_factory.mktemp("whole"), chain_spec())
        outcome, log = bench.run()
        assert outcome.counts == {"done": 8}
        write_csv(bench)
    return bench, log


def write_csv(bench):
    from vaebench.results import summary

    expansion = bench.expansion()
    summary.write_summary(bench.store, expansion, measure(expansion, bench.store), "paper", None)


def same(bench, other):
    for one in (bench, other):
        if not list(one.store.root.glob("*.csv")):
            write_csv(one)
    return bench.all_bits() == other.all_bits() and bench.cells() == other.cells()


def test_inputs_are_planned_first_and_trained_once(whole):
    bench, log = whole
    started = [run_id for run_id, *_ in log.of("started")]
    assert len(started) == len(set(started)) == 8
    for work in bench.plan().work.values():
        for needed in work.run.inputs.values():
            assert started.index(needed.id) < started.index(work.run.id)
    for seed, run in enumerate(bench.runs("third")):
        (stage,) = run.inputs.values()
        (first,) = stage.inputs.values()
        assert stage == bench.runs("second")[seed] and first == bench.runs("first")[seed]
    assert {cell["state"] for cell in bench.cells()} == {"measured"}


def test_a_stage_starts_from_what_its_input_learned(whole):
    """`second` keeps the first model's weights bit for bit; `continued` moves all of them."""
    bench, _ = whole
    for first, second, continued in zip(
        *map(bench.runs, ("first", "second", "continued")), strict=True
    ):
        before, after, moved = (bench.bits(run)[0] for run in (first, second, continued))
        assert all(after[f"encoder.base.{name}"] == value for name, value in before.items())
        assert before.keys() == moved.keys()
        assert all(moved[name] != value for name, value in before.items())
        losses = [bench.store.record(run.id)["history"]["loss"] for run in (first, continued)]
        assert losses[1][0] < losses[0][-1]  # it goes on where the first one ended


@pytest.mark.parametrize("jobs", [1, 3])
def test_workers_in_any_order_end_in_the_same_cells(jobs, whole, tmp_path, monkeypatch):
    name_plugins(monkeypatch, "two_stage")
    bench = Bench(tmp_path, chain_spec())
    plan = shuffled(bench.plan(), seed=jobs)
    assert list(plan.work) != list(bench.plan().work)
    outcome, log = bench.run(workers.run_plan, plan, slots=cpu_slots(jobs))
    assert outcome.counts == {"done": 8}
    assert log.of("again") == [] and len(log.of("started")) == 8
    assert same(bench, whole[0])


def test_the_order_here_changes_nothing(whole, chain):
    outcome, _ = chain.run(local.run_plan, shuffled(chain.plan(), seed=9))
    assert outcome.counts == {"done": 8}
    assert same(chain, whole[0])


class Stop(BaseException):
    """As a kill: not answered by anything."""


@pytest.mark.parametrize("method", ["second", "continued"])
def test_stopped_in_a_later_stage_it_goes_on(method, whole, chain, monkeypatch):
    """In this process, with the input's weights read anew."""
    chosen = chain.runs(method)[0]
    epochs = []

    def stop(log, work, epoch, terms):
        epochs.append(epoch)
        if work.run.id == chosen.id and epoch == 3:
            raise Stop

    with monkeypatch.context() as patch:
        patch.setattr("benches.Log.epoch_done", stop)
        with pytest.raises(Stop):
            chain.run()
    assert chain.store.checkpoint(chosen.id).exists()
    outcome, log = chain.run()
    assert set(outcome.counts) == {"done"}
    assert [epoch for run_id, epoch in log.of("epoch") if run_id == chosen.id] == [3, 4]
    assert same(chain, whole[0])


def test_killed_in_the_second_stage_a_command_goes_on_bit_for_bit(tmp_path, monkeypatch):
    """SIGKILL of a command with two workers while second stages train."""
    load_plugins(monkeypatch, "two_stage")
    spec = chain_spec() | {"seeds": 1}
    del spec["rows"]["third"]
    spec["layout"]["panels"][0]["blocks"] = [{"lines": list(spec["rows"])}]
    for row in ("second", "continued"):
        spec["rows"][row]["training"] = {"epochs": 40}
    bench = Bench(tmp_path, spec)
    command = ["run", bench.path, "--jobs", "2", "--device", "cpu", "--plugin", "two_stage"]
    options = {"cwd": tmp_path, **with_plugins()}
    process = start(*command, "--results-dir", "results", **options)
    stages = [*bench.runs("second"), *bench.runs("continued")]

    def in_a_stage():
        return any(3 <= bench.store.epochs_done(run.id) < 35 for run in stages)

    assert wait_until(in_a_stage, process), process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    code, _, err = finish(start(*command, "--results-dir", "results", **options))
    assert code == 0, err
    undisturbed = Bench(tmp_path, spec, "undisturbed")
    undisturbed.run()
    assert same(bench, undisturbed)
    assert list(leftovers(bench.store.root)) == []


def without_weights(bench):
    for work in bench.plan().work.values():
        bench.store.weights(work.run.id).unlink()


def test_on_a_fresh_clone_an_input_is_trained_again_only_for_a_run_that_is_open(whole, chain):
    chain.run()
    expected = chain.all_bits()
    without_weights(chain)
    outcome, log = chain.run()
    assert not outcome.counts and log.events == []  # records suffice
    lost = chain.runs("continued")[0]
    (chain.store.root / "records" / f"{lost.id}.json").unlink()
    outcome, log = chain.run()
    first = chain.runs("first")[0]
    notes = {run_id: note for run_id, _, _, note in log.of("started")}
    assert notes == {first.id: session.RETRAIN_NOTE, lost.id: None}
    assert chain.bits(first) == expected[first.id] and chain.bits(lost) == expected[lost.id]


def test_a_new_evaluation_of_a_last_stage_trains_all_its_inputs_again(chain):
    chain.run()
    without_weights(chain)
    chain.spec["columns"]["AU"] = column(
        "active_units", "au", parameters={"split": "test", "threshold": 0.01}
    )
    chain.spec["rows"] = {name: chain.spec["rows"][name] for name in chain.spec["rows"]}
    plan = chain.plan()
    (chosen, _) = chain.runs("third")
    only = {run_id: work for run_id, work in plan.work.items() if run_id == chosen.id}
    needed = {}
    for work in (plan.work[i.id] for i in inputs_of(chosen)):
        work.evaluations = {}
        needed[work.run.id] = work
    outcome, log = chain.run(plan=type(plan)({**needed, **only}))
    assert outcome.counts == {"done": 3}
    assert {note for *_, note in log.of("started")} == {session.RETRAIN_NOTE}


def inputs_of(run):
    """All inputs of a run, the first stage first."""
    for needed in run.inputs.values():
        yield from inputs_of(needed)
        yield needed


@pytest.mark.parametrize("jobs", [None, 2])
@pytest.mark.parametrize(("lr", "status"), [(1e30, "diverged"), (None, "failed")])
def test_what_needs_a_bad_input_fails_with_a_reason(lr, status, jobs, chain):
    if jobs and status == "failed":
        pytest.skip("what the workers tell is the same")
    chain.spec["seeds"] = 1
    chain.spec["rows"]["other"] = {**FIRST, "arguments": {**FIRST["arguments"], "latent": 3}}
    chain.spec["layout"]["panels"][0]["blocks"] = [{"lines": list(chain.spec["rows"])}]
    if lr is None:
        chain.spec["rows"]["first"] = {**FIRST, "arguments": {**FIRST["arguments"], "latent": 0}}
    else:
        chain.spec["rows"]["first"] = {**FIRST, "training": {"optimizer": {"lr": lr}}}
    backend = [workers.run_plan] if jobs else []
    options = {"slots": cpu_slots(jobs)} if jobs else {}
    outcome, log = chain.run(*backend, **options)
    expected = {"done": 1, "failed": 3 + (status == "failed")}
    assert outcome.counts == expected | ({"diverged": 1} if status == "diverged" else {})
    ends = {run_id: (end, detail) for run_id, end, detail in log.of("done")}
    assert len(ends) == len(log.of("done")) == len(log.of("started")) == 5
    first, second = chain.only_run("first"), chain.only_run("second")
    assert ends[first.id][0] == status
    for row, needed in (("second", first), ("continued", first), ("third", second)):
        run = chain.only_run(row)
        reason = f"its input {needed.id} did not end well"
        assert ends[run.id] == ("failed", reason)
        assert chain.store.failure(run.id)["message"] == reason
    states = {key.row: cell.state for key, cell in measure(chain.expansion(), chain.store).items()}
    assert states == {
        "first": status,
        "second": "failed",
        "continued": "failed",
        "third": "failed",
        "other": "measured",
    }
    again, log = chain.run()  # a diverged input is not trained again, what needs it is told again
    assert again.counts["failed"] == expected["failed"]
    # Once the input is mended, which makes it another run, all of it goes.
    chain.spec["rows"]["first"] = FIRST
    assert chain.run()[0].counts == {"done": 4}


def test_a_row_of_stages_is_trained_by_train_and_evaluated_by_eval(chain, monkeypatch):
    """`train` trains what the run starts from too; `eval` finds the input's weights."""
    results = ["--results-dir", chain.store.root]
    result = invoke("train", chain.path, "--row", "third", *results, "--device", "cpu")
    assert result.exit_code == 0, result.output
    run = chain.runs("third")[0]
    assert result.stdout == f"{run.id}\n"
    assert "3 runs, 0 finished before" in result.stderr
    assert invoke("eval", chain.path, *results).exit_code == 0
    result = invoke("eval", chain.path, *results)
    assert result.exit_code == 0, result.output
    assert result.stderr.count(": unchanged\n") == 3
    (stage,) = run.inputs.values()
    chain.store.weights(stage.id).unlink()
    result = invoke("eval", chain.path, *results)
    assert result.exit_code == 1
    assert f"failed in 0 s: base, its input {stage.id}, has no weights here" in result.stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda rows: rows["first"].update(inputs={"base": {"row": "third"}}),
            "rows.first: inputs.base: a circle: third needs second needs first needs third",
        ),
        (
            lambda rows: rows["second"].update(inputs={"base": {"row": "second"}}),
            "rows.second: inputs.base: a circle: ",
        ),
        (
            lambda rows: rows["second"].update(inputs={"base": {"row": "frist"}}),
            "rows.second: inputs.base: unknown row 'frist'; did you mean first?",
        ),
        (
            lambda rows: rows["second"].update(inputs={"base": {"row": "first", "group": "H"}}),
            "rows.second: inputs.base: unknown group 'H'; there are: G",
        ),
        (
            lambda rows: rows["first"].update(cited=True),
            "rows.first: second takes it as an input, but it has no method",
        ),
        (
            lambda rows: rows["second"].update(inputs={}),
            "rows.second: two_stage.second: the argument 'base' is missing",
        ),
        (
            lambda rows: rows["second"].update(inputs={"bse": {"row": "first"}}),
            "rows.second: two_stage.second: unknown argument 'bse'; did you mean base?",
        ),
        (
            lambda rows: rows["second"]["arguments"].update(base=1),
            "rows.second: 'base' stands under arguments and under inputs",
        ),
        (
            lambda rows: rows["second"].update(inputs={"base": {"row": "first", "sed": 0}}),
            "did you mean seed?",
        ),
    ],
)
def test_a_mistake_in_inputs_is_told_in_a_line(change, told, chain):
    change(chain.spec["rows"])
    with pytest.raises(UserError) as caught:
        check_plan(chain.plan())
    assert told in str(caught.value)
    assert "mine.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_stage_has_another_identity_when_its_input_changes(chain):
    before = {row: chain.runs(row)[0] for row in chain.spec["rows"]}
    chain.spec["rows"]["first"]["training"] = {"epochs": 5}
    after = {row: chain.runs(row)[0] for row in chain.spec["rows"]}
    assert all(before[row].id != after[row].id for row in before)
    chain.spec["rows"]["second"]["training"] = {"epochs": 5}
    last = {row: chain.runs(row)[0] for row in chain.spec["rows"]}
    changed = {row for row in last if last[row].id != after[row].id}
    assert changed == {"second", "third"}


def test_an_input_may_be_of_one_seed_and_of_another_group(chain):
    chain.spec["groups"]["H"] = {"data": {"dataset": "digits-28x28", "limit": 60}}
    wanted = {"row": "first", "seed": 0, "group": "H"}
    chain.spec["rows"] = {
        "continued": {**CONTINUED, "inputs": {"base": wanted}},
        "first": copy.deepcopy(FIRST),
    }
    panel = chain.spec["layout"]["panels"][0]
    panel["blocks"] = [{"lines": ["continued", "first"]}]
    runs = {run.id: run for run in chain.runs("continued")}
    assert len(runs) == 4
    (base,) = {run.inputs["base"].id: run.inputs["base"] for run in runs.values()}.values()
    assert (base.seed, base.data.limit, base.id in chain.plan().work) == (0, 60, True)
    outcome, _ = chain.run()
    assert outcome.counts == {"done": 8}


def test_a_setting_reaches_the_inputs_of_what_is_picked(chain):
    """`posterior` is an argument of the first stage alone, `latent` of both."""
    settings = ("arguments.posterior=isotropic", "arguments.latent=3")
    chosen = expand(load_table(chain.path), Selection(only=("second",), settings=settings))
    for run in chosen.runs.values():
        assert run.arguments == {"latent": 3, "hidden": [8]}
        (first,) = run.inputs.values()
        assert first.arguments == {"posterior": "isotropic", "latent": 3, "hidden": [8]}
    with pytest.raises(UserError, match="unknown argument 'posterio'; did you mean posterior"):
        wrong = ("arguments.posterio=isotropic",)
        expand(load_table(chain.path), Selection(only=("second",), settings=wrong))
