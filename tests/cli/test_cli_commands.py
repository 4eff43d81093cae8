"""What each command shows of a store with finished runs."""

import csv
import io
import json

import pytest
from commands import invoke
from specs import tiny_spec, without_rows, write_spec

from vaebench.execution import local
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table, published_cells
from vaebench.registry.names import PAPERS, table_paths
from vaebench.store.store import Store

SMOKE = ["--scale", "smoke"]
ROWS = ("AE", "VAE, DGP", "VAE, IGP")
SEEDS = load_table("igp-table12", "smoke").seeds
ALL = len(expand(load_table("igp-table12", "smoke")).runs)
DONE = len(ROWS) * SEEDS  # what the finished store holds


def ok(*arguments):
    """The result of a command that must succeed."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result


def csv_lines(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("form", ["md", "csv", "console", "latex", "html"])
@pytest.mark.parametrize("name", table_paths())
def test_every_table_shows_what_is_published(name, form, tmp_path):
    shown = ok("table", name, "--show", "published", "--format", form, "--results-dir", tmp_path)
    printed = published_cells(load_table(name))
    assert shown.stderr == ""
    if form == "csv":
        lines = csv_lines(shown.stdout)
        keys = [(line["row"], line["column_group"], line["column"]) for line in lines]
        assert keys == [tuple(key) for key in printed]
        assert [line["published"] for line in lines] == [cell.value for cell in printed.values()]
        assert {line["ours"] for line in lines} == {""}
    else:
        numbers = [cell.value for cell in printed.values() if cell.number is not None]
        assert [number for number in numbers if number not in shown.stdout] == []
        assert name in shown.stdout.split(":")[0]
    assert list(tmp_path.iterdir()) == []


def test_a_table_shows_our_numbers_beside_the_papers(finished):
    line = ["table", "igp-table12", *SMOKE, "--results-dir", finished]
    text = ok(*line).stdout
    assert text.startswith("### igp-table12: ")
    assert f"Ours: smoke scale, data digits-28x28 (stand-in), {DONE} of {ALL} runs, reduced" in text
    assert "Rec. (paper)" in text and "Rec. (ours)" in text
    assert "78.64" in text  # the paper's
    records = [json.loads(path.read_bytes()) for path in (finished / "records").iterdir()]
    lines = csv_lines(ok(*line, "--format", "csv").stdout)
    ours = {(cell["row"], cell["column"]): cell for cell in lines if cell["ours"] not in ("", "–")}
    assert {row for row, _ in ours} == set(ROWS)
    values = {
        value
        for record in records
        for evaluation in record["evaluations"].values()
        for value in evaluation["values"].values()
    }
    for (_, column), cell in ours.items():
        if "(mean)" not in column:
            assert float(cell["ours"]) in values
    assert "Rec. (ours)" not in ok(*line, "--show", "published").stdout
    assert "78.64" not in ok(*line, "--show", "ours").stdout


def test_smoke_numbers_fill_no_cell_of_another_scale(finished):
    for scale in ("paper", "small"):
        text = ok("table", "igp-table12", "--scale", scale, "--results-dir", finished).stdout
        assert "(ours)" not in text
        assert "Published numbers; `vaebench run igp-table12" in text


def test_the_csv_is_beside_the_records(finished):
    path = finished / "igp-table12.smoke.digits-28x28.csv"
    lines = csv_lines(path.read_text())
    measured = [line for line in lines if line["state"] == "measured"]
    assert {line["row"] for line in measured} == set(ROWS)
    assert {line["data_kind"] for line in measured} == {"stand-in"}
    kl = [line for line in lines if line["row"] == "AE" and line["column"].startswith("KL")]
    assert {line["state"] for line in kl} == {"not applicable"}
    assert [path.name for path in finished.glob("*.csv")] == [path.name]


def test_a_finished_plan_has_nothing_to_do(results):
    result = ok("run", "igp-figure6", *SMOKE, "--results-dir", results)
    assert result.stderr.splitlines()[0] == f"{DONE} runs, {DONE} finished before"
    assert "[1/" not in result.stderr


def test_part_of_a_table_leaves_the_whole_in_its_csv(results):
    path = results / "igp-table12.smoke.digits-28x28.csv"
    before = path.read_bytes()
    line = ["run", "igp-table12", *SMOKE, "--only", "AE", "--seeds", "1", "--results-dir", results]
    assert "1 runs, 1 finished before" in ok(*line).stderr
    assert path.read_bytes() == before


def test_a_dry_run_shows_the_plan_and_does_nothing(finished, tmp_path):
    before = sorted(finished.rglob("*"))
    result = ok("run", "igp-table12", *SMOKE, "--dry-run", "--results-dir", finished)
    lines = result.stdout.splitlines()
    assert lines[0] == f"{ALL} runs, {DONE} of them finished"
    assert sum(line.startswith("  train igp.iwae(") for line in lines) == 6  # rows
    assert lines[-1].startswith("cost: about ")
    assert sorted(finished.rglob("*")) == before
    fresh = ok("run", "igp-table12", *SMOKE, "--dry-run", "--results-dir", tmp_path / "new")
    assert fresh.stdout.startswith(f"{ALL} runs, 0 of them finished\n")
    assert not (tmp_path / "new").exists()
    done = ok("run", "igp-figure6", *SMOKE, "--dry-run", "--results-dir", finished)
    assert done.stdout == f"{DONE} runs, {DONE} of them finished\nnothing to do\n"


def test_a_dry_run_names_what_is_only_to_be_evaluated(results):
    store = Store(results)
    for path in (results / "records").glob("igp.autoencoder-*"):
        record = store.record(path.stem)
        record["evaluations"].pop("reconstruction")
        store.write_record(record)
    line = ["run", "igp-table12", *SMOKE, "--only", "AE", "--dry-run", "--results-dir", results]
    name = next(iter(expand(load_table("igp-table12", "smoke")).runs.values())).sentence
    told = f"  evaluate reconstruction on {name.rpartition('/')[0]}, seeds 0, "
    assert told in ok(*line).stdout
    for path in (results / "runs").glob("igp.autoencoder-*/weights.pt"):
        path.unlink()  # as on a fresh clone
    assert f"  train again {name.rpartition('/')[0]}, seeds 0, " in ok(*line).stdout


def test_a_stopped_command_leaves_a_csv_of_all_that_has_ended(results, monkeypatch):
    (path,) = results.glob("igp-table12.smoke.*.csv")
    complete = path.read_bytes()
    path.unlink()

    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "run_plan", stopped)
    line = ["run", "igp-table12", *SMOKE, "--jobs", "1", "--results-dir", results]
    assert invoke(*line).exit_code == 130
    assert path.read_bytes() == complete


def test_train_prints_the_id_of_its_run(tmp_path):
    path = write_spec(tmp_path, small_spec())
    line = ["train", path, "--row", "B", "--seed", "1", "--results-dir", tmp_path / "r"]
    first = ok(*line)
    (run,) = (
        run
        for measurement in expand(load_table(path)).measurements
        if measurement.key.row == "B"
        for run in measurement.runs
        if run.seed == 1
    )
    assert first.stdout == f"{run.id}\n"
    store = Store(tmp_path / "r")
    assert store.weights(run.id).exists()
    assert store.record(run.id)["evaluations"] == {}
    again = ok(*line)
    assert again.stdout == first.stdout
    assert "1 runs, 1 finished before" in again.stderr
    # `run` evaluates what `train` trained, and trains the others.
    done = ok("run", path, "--results-dir", tmp_path / "r")
    assert "4 runs, 0 finished before" in done.stderr
    assert ok("status", path, "--results-dir", tmp_path / "r").stdout.endswith("4 of 4 runs done\n")


def small_spec():
    spec = tiny_spec()
    spec["groups"]["G"]["data"]["limit"] = 100
    return spec


def test_train_finds_a_seed_that_the_first_column_does_not_use(tmp_path):
    spec = small_spec()
    spec["columns"]["Rec."] |= {"aggregation": "single", "also": "mean"}
    path = write_spec(tmp_path, spec)
    line = ["train", path, "--row", "A", "--seed", "1", "--results-dir", tmp_path / "r"]
    assert "-seed1-" in ok(*line).stdout


def test_an_evaluation_made_again_is_unchanged(results):
    before = {path.name: record_of(path) for path in (results / "records").iterdir()}
    line = ["eval", "igp-table12", *SMOKE, "--results-dir", results]
    result = ok(*line)
    told = [line for line in result.stderr.splitlines() if line.endswith(": unchanged")]
    assert len(told) == DONE
    assert {path.name: record_of(path) for path in (results / "records").iterdir()} == before


def record_of(path):
    """A record without the time that evaluations took."""
    record = json.loads(path.read_bytes())
    del record["provenance"]["evaluation_seconds"]
    return record


def test_a_value_that_changes_is_told(results):
    store = Store(results)
    path = next((results / "records").glob("igp.autoencoder-*"))
    record = json.loads(path.read_bytes())
    values = record["evaluations"]["reconstruction"]["values"]
    right, values["rec"] = values["rec"], 1.5
    store.write_record(record)
    line = ["eval", record["id"], "--evaluation", "reconstruction", "--results-dir", results]
    result = ok(*line)
    assert f"{record['id']}: reconstruction rec 1.5 -> {right}" in result.stderr
    assert store.record(record["id"])["evaluations"]["reconstruction"]["values"]["rec"] == right
    assert f"{record['id']}: unchanged" in ok(*line).stderr


def test_one_run_may_be_evaluated_by_its_id(results):
    run_id = next((results / "records").glob("igp.vae-*")).stem
    result = ok("eval", run_id, "--evaluation", "active_units", "--results-dir", results)
    assert result.stderr.splitlines()[-1] == f"{run_id}: unchanged"
    assert result.stderr.count("unchanged") == 1
    wrong = invoke("eval", run_id[:-1] + "x", "--results-dir", results)
    assert wrong.exit_code == 2 and run_id in wrong.stderr


def test_the_list_says_what_is_there_and_measured(finished, tmp_path):
    text = ok("list", "--results-dir", tmp_path).stdout
    names = [line.split()[0] for line in text.splitlines()]
    assert names[:2] == ["id", "du-vae-table1"]
    assert len([name for name in names if "-table" in name]) == 29
    for paper in PAPERS:
        part = ok("list", "--paper", paper, "--results-dir", tmp_path).stdout.splitlines()[1:]
        assert part and all(line.startswith(f"{paper}-") for line in part)
    (line,) = (line for line in text.splitlines() if line.startswith("igp-table12 "))
    assert "0/36 cells measured" in line
    # Smoke runs measure nothing of the paper's protocol.
    assert "0/36 cells measured" in ok("list", "--results-dir", finished).stdout


def test_show_tells_rows_columns_runs_and_what_is_left(finished):
    text = ok("show", "igp-table12", *SMOKE, "--results-dir", finished).stdout
    spec = load_table("igp-table12", "smoke")
    for part in (
        spec.caption,
        *(f"  {row} · MNIST: igp." for row in spec.rows),
        "  AU: au@train-and-test, dimensions of 32, best",
        f"{ALL} runs, {SEEDS} seeds: ",
        f"{DONE} of them finished",
        "cost: about ",
        f"smoke scale, reduced: {spec.reduced}",
        "Assumption: ",
    ):
        assert part in text


def test_show_gives_the_spec_itself():
    text = ok("show", "igp-table12", "--yaml").stdout
    assert text == table_paths()["igp-table12"].read_text(encoding="utf-8")


def test_show_knows_figures_and_tables_without_methods(tmp_path):
    assert "AE: igp-table12 AE · MNIST, prior_means" in ok("show", "igp-figure6").stdout
    told = "13 published cells; no row has a method\n"
    assert told in ok("show", without_rows(tmp_path)).stdout


def test_status_tells_the_state_of_every_run(results):
    line = ["status", *SMOKE, "--results-dir", results]
    text = ok(*line).stdout
    told = f"igp-table12, smoke scale: {DONE} of {ALL} runs done\n  waiting   {ALL - DONE} runs\n"
    assert told in text
    assert "  left, cost: about " in text
    store = Store(results)
    running, stopped, unmeasured = list(expand(load_table("igp-table12", "smoke")).runs.values())[
        :3
    ]
    (results / "records" / f"{running.id}.json").unlink()
    (results / "records" / f"{stopped.id}.json").unlink()
    record = store.record(unmeasured.id)
    record["evaluations"].pop("reconstruction")
    store.write_record(record)
    with store.lock(running.id):
        text = ok(*line).stdout
    epochs = running.training.epochs
    assert f"  running   {running.sentence}: epoch {epochs} of {epochs}\n" in text
    assert f"  stopped   {stopped.sentence}: epoch {epochs} of {epochs}\n" in text
    assert f"  unmeasured {unmeasured.sentence}: lacks reconstruction\n" in text


def test_status_of_an_empty_store_says_so(tmp_path):
    result = ok("status", "--results-dir", tmp_path)
    assert result.stdout == ""
    assert result.stderr == f"no run has started at paper scale in {tmp_path}\n"
    one = ok("status", "igp-table12", "--results-dir", tmp_path)
    assert one.stdout.startswith("igp-table12, paper scale: 0 of 45 runs done\n")


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_figures_and_curves_are_drawn(form, results):
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    for target, name in (("igp-figure6", "igp-figure6"), ("igp-table12", "igp-table12-curves")):
        line = ["plot", target, *SMOKE, "--format", form, "--results-dir", results]
        result = ok(*line)
        path = results / "figures" / f"{name}.smoke.{form}"
        assert path.read_bytes().startswith(heads[form])
        assert result.stdout == "" and f"wrote {path}: smoke scale" in result.stderr


def test_the_ending_of_the_file_names_the_format(results, tmp_path):
    line = ["plot", "igp-table12", *SMOKE, "--results-dir", results, "--out"]
    ok(*line, tmp_path / "new" / "curves.pdf")
    assert (tmp_path / "new" / "curves.pdf").read_bytes().startswith(b"%PDF")
    wrong = invoke(*line, tmp_path / "curves.jpg")
    assert wrong.exit_code == 2 and "expected a name that ends in png, svg, pdf" in wrong.stderr
    (tmp_path / "file").write_text("")
    broken = invoke(*line, tmp_path / "file" / "curves.png")
    assert broken.exit_code == 2 and "cannot be written" in broken.stderr


def test_what_cannot_be_drawn_yet_tells_what_makes_it(finished, tmp_path):
    empty = invoke("plot", "igp-figure6", "--results-dir", tmp_path)
    assert empty.exit_code == 2 and "`vaebench run igp-figure6` makes them" in empty.stderr
    curves = invoke("plot", "igp-table12", "--results-dir", tmp_path)
    assert curves.exit_code == 2 and "has no finished run at paper scale" in curves.stderr
    part = invoke("plot", "igp-figure6", *SMOKE, "--only", "AE", "--results-dir", finished)
    assert part.exit_code == 2 and "which --only leaves out" in part.stderr


def test_changed_runs_stay_apart(results):
    """`--limit` and `--set` make runs of their own, a CSV of their own and a mark on the page."""
    plain = results / "igp-table12.smoke.digits-28x28.csv"
    before = plain.read_bytes()
    line = ["igp-table12", *SMOKE, "--limit", "100", "--results-dir", results]
    done = ok("run", *line, "--only", "AE", "--seeds", "1")
    assert "1 runs, 0 finished before" in done.stderr
    changed = results / "igp-table12.smoke.digits-28x28.limit100.csv"
    assert f"wrote {changed}" in done.stderr
    assert plain.read_bytes() == before
    lines = csv_lines(changed.read_text())
    assert {line["row"] for line in lines if line["state"] == "measured"} == {"AE"}
    assert {line["seeds"] for line in lines if line["state"] == "measured"} == {"1"}
    marked = ok("table", *line).stdout
    assert f"1 of {ALL} runs" in marked and "changed runs (--limit 100)" in marked
    assert f"[1/{SEEDS}]" in marked
    unmarked = ok("table", "igp-table12", *SMOKE, "--results-dir", results).stdout
    assert f"{DONE} of {ALL} runs" in unmarked and "changed runs" not in unmarked
    assert f"1 of {ALL} runs done" in ok("status", *line).stdout
    assert "--set" not in marked
    setting = ["igp-table12", *SMOKE, "--set", "training.epochs=1", "--results-dir", results]
    assert "(ours)" not in ok("table", *setting).stdout


def test_the_results_folder_may_come_from_the_environment(finished, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAEBENCH_RESULTS", str(finished))
    assert f"{DONE} of {ALL} runs done" in ok("status", *SMOKE).stdout
    assert f"0 of {ALL}" in ok("status", "igp-table12", *SMOKE, "--results-dir", tmp_path).stdout
    monkeypatch.delenv("VAEBENCH_RESULTS")
    assert f"{DONE} of {ALL} runs done" not in ok("status", *SMOKE).output


def test_a_users_module_brings_methods(tmp_path, monkeypatch):
    (tmp_path / "my_methods.py").write_text(
        "from vaebench.methods import method\n"
        "from vaebench.methods.igp import vae\n\n\n"
        "@method\n"
        "def mine(data, *, latent, hidden):\n"
        "    return vae(data, latent=latent, hidden=hidden, posterior='isotropic')\n"
    )
    spec = small_spec()
    spec["rows"]["C"] = {"method": "my_methods.mine"}
    path = write_spec(tmp_path, spec)
    monkeypatch.chdir(tmp_path)
    line = ["run", path, "--only", "C", "--results-dir", "r"]
    assert "unknown method 'my_methods.mine'" in invoke(*line).stderr
    monkeypatch.syspath_prepend(tmp_path)  # so that what the option adds to the path goes again
    ok(*line, "--plugin", "my_methods")
    assert "2 of 6 runs done" in ok("status", path, "--results-dir", "r").stdout
