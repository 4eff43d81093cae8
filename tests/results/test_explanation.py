"""From a number to its seeds, its runs, the choices behind it, and the command that makes it."""

import shlex

import pytest
from pages import RECORDS

from vaebench.errors import UserError
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table, published_cells
from vaebench.registry.names import table_paths
from vaebench.registry.published import Key
from vaebench.registry.selection import EVERYTHING, Selection
from vaebench.results.explanation import explain, find_key, sparkline
from vaebench.store.store import Store


def explained(toy, row, column, scale="paper", group=None, **how):
    expansion = toy.expansion(scale, **how)
    return explain(expansion, toy.store, scale, Selection(**how), row, group, column)


def suite(name, row, column, group=None, scale="paper", selection=EVERYTHING, root=RECORDS):
    expansion = expand(load_table(name, scale), selection)
    return explain(expansion, Store(root), scale, selection, row, group, column)


def complete(toy):
    toy.done("A", 0, toy.fit(10.0, 5.0), {"au": 4, "kind": "x"}, loss=(9.0, 4.0))
    toy.done("A", 1, toy.fit(11.0, 3.0), {"au": 5, "kind": "x"})
    toy.done("A", 2, toy.fit(14.0, 1.0), {"au": 6, "kind": "x"})


def test_a_best_cell_names_the_seed_that_was_picked_and_by_what(toy):
    complete(toy)
    told = explained(toy, "A", "Rec.")
    assert told.key == Key("A", "G", "Rec.")
    assert (told.ours.state, told.ours.value, told.ours.picked) == (
        "measured",
        11.0,
        toy.run("A", 1).id,
    )
    assert [(s.run.seed, s.value, s.criterion, s.picked) for s in told.seeds] == [
        (0, 10.0, 15.0, False),
        (1, 11.0, 14.0, True),
        (2, 14.0, 15.0, False),
    ]
    first = told.seeds[0]
    assert first.path == toy.store.root / "records" / f"{toy.run('A', 0).id}.json"
    assert first.path.is_file()
    assert first.loss == [9.0, 4.0]
    assert first.provenance["data_sha256"] == "ab" * 32
    assert told.printed is None and told.unmeasured is None


def test_a_mean_picks_none(toy):
    complete(toy)
    told = explained(toy, "A", "AU")
    assert [s.value for s in told.seeds] == [4, 5, 6]
    assert {(s.criterion, s.picked) for s in told.seeds} == {(None, False)}
    assert told.ours.picked is None
    assert [s.run.seed for s in explained(toy, "A", "One").seeds] == [0]


def test_every_state_of_a_run_is_told(toy):
    toy.done("A", 0, toy.fit(1.0, 1.0))
    toy.failed("A", 1)
    toy.store.add_epoch(toy.run("A", 2).id, 1, {"loss": 1.0})
    told = explained(toy, "A", "AU")
    assert [(s.state, s.reason, s.value) for s in told.seeds] == [
        ("unmeasured", "lacks units", None),
        ("failed", "it broke", None),
        ("unfinished", "epoch 1 of 4", None),
    ]
    toy.diverged("B", 1)
    told = explained(toy, "B", "Rec.")
    assert [(s.state, s.reason) for s in told.seeds] == [
        ("not run", None),
        ("diverged", "the loss is nan"),
        ("not run", None),
    ]


def test_the_value_is_that_of_the_table(toy):
    complete(toy)
    toy.done("B", 0, toy.fit(6.0, None), {"au": 1, "kind": "y"})
    from vaebench.results.cells import measure

    cells = measure(toy.expansion(), toy.store)
    for key, cell in cells.items():
        assert explained(toy, key.row, key.column).ours == cell


def test_notes_on_other_columns_are_left_out_and_counted(toy):
    toy.spec["columns"]["All"] = toy.spec["columns"]["AU"]
    toy.spec["assumptions"] = ["AU is counted.", "KL and Rec. are sums.", "All is well.", "We do."]
    toy.spec["misprints"] = ["KL is wrong.", "MNIST is not."]
    told = explained(toy, "A", "KL (mean)")
    assert told.assumptions == ("KL and Rec. are sums.", "All is well.", "We do.")
    assert told.misprints == ("KL is wrong.", "MNIST is not.")
    assert told.elsewhere == 1
    assert explained(toy, "A", "Kind").elsewhere == 3


def test_the_command_makes_the_runs_of_the_row(toy):
    assert explained(toy, "A", "AU").command == ("vaebench", "run", toy.path, "--only", "A")
    told = explained(toy, "B", "AU", "small", limit=50, settings=("training.epochs=2",))
    assert told.command == (
        *("vaebench", "run", toy.path, "--scale", "small", "--only", "B"),
        *("--limit", "50", "--set", "training.epochs=2"),
    )


def test_the_command_names_row_and_group(toy):
    toy.spec["groups"]["H"] = {"data": {"dataset": "digits-28x28", "limit": 50}}
    told = explained(toy, "A", "AU", group="G").command
    assert told == ("vaebench", "run", toy.path, "--only", "A", "--only", "G")


def test_the_command_runs_the_table_where_only_would_pick_more(toy):
    """`--only` takes rows and groups: a row that bears a group's name picks that group too."""
    toy.spec["rows"] = {"H": toy.spec["rows"]["A"], "B": toy.spec["rows"]["B"]}
    toy.spec["groups"]["H"] = {"data": {"dataset": "digits-28x28", "limit": 50}}
    toy.spec["layout"]["panels"][0]["blocks"] = [{"lines": ["H", "B"]}]
    assert explained(toy, "H", "AU", group="G").command == ("vaebench", "run", toy.path)


@pytest.mark.parametrize("scale", ["paper", "small", "smoke"])
def test_the_plan_of_the_command_is_the_row_and_nothing_else(scale):
    selection = Selection(limit=100) if scale == "small" else EVERYTHING
    expansion = expand(load_table("igp-table12", scale), selection)
    for row in expansion.spec.rows:
        told = suite("igp-table12", row, "AU", scale=scale, selection=selection)
        words = shlex.split(shlex.join(told.command))
        only = words[words.index("--only") + 1]
        again = expand(expansion.spec, Selection(only=(only,), limit=selection.limit))
        row_runs = {r.id for m in expansion.measurements if m.key.row == row for r in m.runs}
        assert set(again.runs) == row_runs == {seed.run.id for seed in told.seeds}
        assert len(row_runs) == expansion.spec.seeds


def test_the_committed_records():
    told = suite("igp-table12", "vae, dgp", "rec")
    assert told.printed.value == "78.64" and told.printed.note == "best of 5 runs"
    assert "arXiv:2110.07383" in told.paper.reference
    (picked,) = (seed for seed in told.seeds if seed.picked)
    assert picked.run.seed == 3
    assert picked.value == told.ours.value == pytest.approx(79.0167, abs=1e-4)
    assert picked.criterion == min(seed.criterion for seed in told.seeds)
    assert len(picked.loss) == 50
    assert {seed.state for seed in told.seeds} == {"done"}
    assert all(seed.path.is_file() for seed in told.seeds)


@pytest.mark.parametrize("name", table_paths())
def test_every_printed_cell_can_be_explained(name, tmp_path):
    spec = load_table(name)
    expansion = expand(spec)
    for key, printed in list(published_cells(spec).items())[::7]:
        told = explain(expansion, Store(tmp_path), "paper", EVERYTHING, *key)
        assert (told.key, told.printed) == (key, printed)
        assert (told.measurement is None) == (told.unmeasured is not None) == (not told.command)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rows": {}}, "no row of this table has a method"),
        ({"columns": ["KL"]}, "no evaluation of ours measures this column yet"),
        ({"cited": True}, "the paper quotes this row from elsewhere; it is never run"),
        ({"row": True}, "no method of ours makes this row yet"),
    ],
)
def test_what_is_not_measured_is_told_why(toy, change, reason):
    toy.spec["published"] = "igp-table12"
    toy.spec["groups"] = {"MNIST": toy.spec["groups"]["G"]}
    toy.spec["rows"] = {"VAE, DGP": toy.spec["rows"]["A"], "AE": toy.spec["rows"]["B"]}
    panel = toy.spec["layout"]["panels"][0]
    panel["group"], panel["blocks"] = "MNIST", [{"lines": ["VAE, DGP", "AE"]}]
    panel["columns"] = [{"header": "Rec.", "column": "Rec."}]
    for name in ("One", "Kind"):
        del toy.spec["columns"][name]
    if "rows" in change:
        toy.spec["rows"] = {}
    if "columns" in change:
        toy.spec["columns"] = {name: toy.spec["columns"][name] for name in change["columns"]}
    if "cited" in change:
        toy.spec["rows"]["AE"] = {"cited": True}
    if "row" in change:
        del toy.spec["rows"]["AE"]
    told = explained(toy, "AE", "Rec.")
    assert told.unmeasured == reason
    assert told.printed.value == "58.86"
    assert (told.ours, told.seeds, told.command) == (None, (), ())


KEYS = [Key("VAE", "Yahoo", "NLL"), Key("VAE", "Yelp", "NLL"), Key("VAE", "Yelp", "NLL (mean)")]
KEYS += [Key("β-VAE", "Yahoo", "KL"), Key("IWAE", "Yahoo", "KL")]


@pytest.mark.parametrize(
    ("row", "group", "column", "found"),
    [
        ("VAE", "Yelp", "NLL", KEYS[1]),
        ("vae", "yel", "nll", KEYS[1]),
        ("β", None, "kl", KEYS[3]),
        ("iw*", None, "K?", KEYS[4]),
        ("VAE", None, "NLL (mean)", KEYS[2]),
        ("VAE", None, "mean", KEYS[2]),
        ("VAE", "Yelp", "NL", KEYS[1]),  # the name of print before ours
    ],
)
def test_names_are_found_leniently(row, group, column, found):
    printed = {key for key in KEYS if "mean" not in key.column}
    assert find_key(KEYS, printed, row, group, column) == found


@pytest.mark.parametrize(
    ("row", "group", "column", "told"),
    [
        ("VEA", None, "KL", "unknown row 'VEA'; did you mean "),
        ("IWAE", None, "KLL", "unknown column 'KLL'; did you mean KL?"),
        ("IWAE", "Yahho", "KL", "unknown group 'Yahho'; did you mean Yahoo?"),
        ("VAE", None, "NLL", "stands in 2 groups; choose one with --group: Yahoo, Yelp"),
        ("WAE", None, "KL", None),
        ("*A*", None, "KL", "row '*A*' may be any of: 'VAE', 'β-VAE', 'IWAE'"),
        ("IWAE", None, "NLL", "unknown column 'NLL'; there are: KL"),
    ],
)
def test_a_wrong_name_is_told_with_the_nearest(row, group, column, told):
    if told is None:
        assert find_key(KEYS, set(KEYS), row, group, column).row == "IWAE"
        return
    with pytest.raises(UserError) as caught:
        find_key(KEYS, set(KEYS), row, group, column)
    assert told in str(caught.value)


def test_sparklines():
    assert sparkline([]) == ""
    assert sparkline([2.0]) == "▁"
    assert sparkline([8.0, 1.0]) == "█▁"
    assert sparkline([7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]) == "█▇▆▅▄▃▂▁"
    assert sparkline([1.0, float("nan"), 2.0]) == "▁█"
    assert sparkline([1.0, 1.0, 3.0, 3.0], width=2) == "▁█"
    assert len(sparkline([float(x) for x in range(1000)])) == 40
