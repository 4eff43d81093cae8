"""What a page says above and below its table."""

import re

import pytest
from specs import without_rows

from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table, published_cells
from vaebench.registry.names import table_paths
from vaebench.registry.selection import Selection
from vaebench.results.formats import to_markdown
from vaebench.results.grid import build
from vaebench.results.page import compose
from vaebench.store.store import Store


def page(toy, scale="paper", changes=None, show="both", **how):
    return compose(toy.expansion(scale, **how), toy.store, scale, changes, show)


def complete(toy, **how):
    for row in ("A", "B"):
        for seed in range(3):
            toy.done(row, seed, toy.fit(5.0, 1.0), {"au": 4, "kind": "x"}, **how)


def test_nothing_measured_tells_what_to_type(toy):
    told = "Published numbers; `vaebench run {}{}` measures ours."
    assert page(toy).statement == told.format(toy.path, "")
    assert page(toy, "small").statement == told.format(toy.path, " --scale small")


def test_a_table_of_the_suite_is_named_by_its_id(tmp_path):
    shown = compose(expand(load_table("igp-table12")), Store(tmp_path), "paper", None, "both")
    told = "Published numbers; `vaebench run igp-table12` measures ours."
    assert shown.statement == told


def test_a_table_without_methods_says_so(tmp_path):
    expansion = expand(load_table(without_rows(tmp_path)))
    shown = compose(expansion, Store(tmp_path), "paper", None, "both")
    assert shown.statement == "Published numbers; no row has a method."
    assert shown.measured == {}


def test_the_statement_names_scale_data_runs_code_and_machine(toy):
    complete(toy)
    assert page(toy).statement == (
        "Ours: paper scale, data mnist (original), 6 of 6 runs, commit 0123456789, "
        "torch 2.9.0 on some processor."
    )


def test_a_stand_in_is_named_as_such(toy):
    toy.spec["groups"]["G"]["data"]["dataset"] = "digits-28x28"
    complete(toy)
    assert "data digits-28x28 (stand-in)" in page(toy).statement


def test_a_reduced_scale_is_not_comparable(toy):
    complete(toy, scale="small")
    statement = page(toy, "small").statement
    assert statement.startswith("Ours: small scale")
    assert "reduced, so not comparable with the paper: 100 images" in statement
    assert "reduced, so" not in page(toy).statement


def test_changed_runs_are_marked(toy):
    complete(toy, limit=50)
    assert "changed runs (--limit 50)" in page(toy, changes="--limit 50", limit=50).statement
    assert "changed runs" not in page(toy).statement


def test_runs_are_counted(toy):
    toy.done("A", 0, toy.fit(5.0, 1.0))
    assert "1 of 6 runs" in page(toy).statement
    toy.diverged("B", 0)
    assert "2 of 6 runs" in page(toy).statement


def test_every_origin_is_named_once(toy):
    complete(toy)
    toy.done("A", 0, toy.fit(5.0, 1.0), provenance={"modified": True})
    toy.done("A", 1, toy.fit(5.0, 1.0), provenance={"commit": None})
    numerics = {"device": "cuda", "threads": 1, "matmul": "default", "precision": "float32"}
    toy.done("A", 2, toy.fit(5.0, 1.0), provenance={"numerics": numerics, "gpu": "some GPU"})
    statement = page(toy).statement
    for origin in (
        "commit 0123456789 with changes",
        "commit 0123456789,",
        "vaebench 0.1.0",
        "torch 2.9.0 on some processor",
        "torch 2.9.0 on some GPU",
    ):
        assert statement.count(origin) == 1


def test_notes_give_dialects_criterion_assumptions_and_misprints(toy):
    complete(toy)
    assert page(toy).notes == (
        "Rec.: rec@test, nats, best of 3",
        "KL: kl@test, nats, best of 3",
        "AU: au@test, nats, mean of 3",
        "One: rec@test, nats",
        "Kind: kind@test, nats",
        "best: the lowest ELBO",
        "Assumption: We assume.",
        "Misprint: They misprint.",
    )


def test_what_is_the_same_of_neighbouring_columns_is_told_once(toy):
    complete(toy)
    rec, one = toy.spec["columns"]["AU"], toy.spec["columns"]["One"]
    toy.spec["columns"] |= dict.fromkeys("abcdefg", rec) | {"x": one, "y": one, "h": rec}
    assert page(toy).notes[2:5] == (
        "AU: au@test, nats, mean of 3",
        "One: rec@test, nats",
        "Kind: kind@test, nats",
    )
    assert page(toy).notes[5:8] == (
        "a to g: au@test, nats, mean of 3",
        "x, y: rec@test, nats",
        "h: au@test, nats, mean of 3",
    )


def test_findings_stand_by_the_numbers_of_their_scale(toy):
    toy.spec["findings"] = {"paper": ["It holds."], "smoke": ["It runs."]}
    told = "Finding of the suite's own runs: It holds."
    assert not any("Finding" in note for note in page(toy).notes)  # nothing is measured
    complete(toy)
    assert page(toy).notes[0] == told and str(page(toy).notes).count("Finding") == 1
    assert told not in page(toy, show="published").notes


def test_published_numbers_alone_need_no_word_on_ours(toy):
    complete(toy)
    shown = page(toy, show="published")
    assert shown.statement == "Published numbers."
    assert shown.notes == ("Misprint: They misprint.",)
    assert shown.measured == {}


def test_states_are_words_in_the_grid(toy):
    complete(toy)
    toy.diverged("A", 0)
    toy.spec["rows"]["C"] = {"method": "igp.vae", "arguments": {"posterior": "third"}}
    toy.failed("C", 0)
    text = to_markdown(page(toy).grid)
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    assert "diverged" in lines["A"]
    assert "diverged" not in lines["B"]
    assert "failed" in lines["C"]


@pytest.mark.parametrize("name", table_paths())
def test_every_table_shows_the_published_numbers_before_any_run(name, tmp_path):
    spec = load_table(name)
    shown = compose(expand(spec), Store(tmp_path), "paper", None, "both")
    alone = build(spec.layout, published_cells(spec), {}, {}, "published")
    assert to_markdown(shown.grid) == to_markdown(alone)
    assert shown.title == f"{name}: {spec.caption}"
    assert shown.statement.startswith("Published numbers")


def test_part_of_a_table_shows_the_whole(toy):
    """`--only` says whose numbers are asked for; the rows of the paper stay."""
    complete(toy)
    expansion = expand(load_table(toy.path), Selection(only=("A",)))
    shown = compose(expansion, toy.store, "paper", None, "both")
    assert {key.row for key in shown.measured} == {"A"}
    labels = [line.label for block in shown.grid.panels[0].blocks for line in block.lines]
    assert labels == ["A", "B"]
    assert re.search(r"3 of 3 runs", shown.statement)
