"""From records to cells: aggregation over seeds, and what is said of what is not there."""

import json
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaebench.errors import UserError
from vaebench.registry.published import Key
from vaebench.results.cells import best_run, measure
from vaebench.results.formats import to_csv, to_markdown
from vaebench.results.grid import build
from vaebench.results.page import compose
from vaebench.results.summary import write_summary
from vaebench.results.table_json import to_json


def cells(toy, row="A", **how):
    """The measured cells of a row by column."""
    found = measure(toy.expansion(**how), toy.store)
    return {key.column: cell for key, cell in found.items() if key.row == row}


def test_nothing_is_missing_without_a_word(toy):
    found = measure(toy.expansion(), toy.store)
    assert set(found) == {
        Key(row, "G", column)
        for row in ("A", "B")
        for column in ("Rec.", "KL", "KL (mean)", "AU", "One", "Kind")
    }
    assert {cell.state for cell in found.values()} == {"missing"}
    assert {cell.value for cell in found.values()} == {None}
    assert found["A", "G", "AU"].wanted == 3
    assert found["A", "G", "One"].wanted == 1


def test_best_takes_every_column_from_the_run_that_the_criterion_picks(toy):
    toy.done("A", 0, toy.fit(rec=10.0, kl=5.0))
    toy.done("A", 1, toy.fit(rec=11.0, kl=3.0))  # the lowest sum, though no column's lowest
    toy.done("A", 2, toy.fit(rec=14.0, kl=1.0))
    found = cells(toy)
    assert (found["Rec."].value, found["KL"].value) == (11.0, 3.0)
    assert found["Rec."].std is None
    assert (found["Rec."].seeds, found["Rec."].wanted) == (3, 3)
    for measurement in toy.expansion().measurements:
        if measurement.key.row == "A" and len(measurement.runs) == 3:
            assert best_run(measurement, toy.store) == toy.run("A", 1)


def test_best_may_be_the_highest(toy):
    toy.spec["select"]["better"] = "higher"
    for seed, elbo in enumerate((1.0, 3.0, 2.0)):
        toy.done("A", seed, toy.fit(rec=10.0 + seed, kl=1.0, elbo=elbo))
    assert cells(toy)["Rec."].value == 11.0


def test_of_equals_the_first_seed_is_best(toy):
    for seed in (2, 1, 0):
        toy.done("A", seed, toy.fit(rec=float(seed), kl=1.0, elbo=7.0))
    assert cells(toy)["Rec."].value == 0.0


def test_the_criterion_picks_for_figures_whatever_the_first_column_is(toy):
    """A panel asks with the first measurement of its row, which may be no best-of column."""
    toy.spec["columns"] = {
        name: toy.spec["columns"][name] for name in ("AU", "Rec.", "KL", "One", "Kind")
    }
    for seed, elbo in enumerate((2.0, 1.0, 3.0)):
        toy.done("A", seed, toy.fit(1.0, 1.0, elbo), {"au": 1, "kind": "x"})
    first = toy.expansion().measurements[0]
    assert first.key.column == "AU"
    assert best_run(first, toy.store) == toy.run("A", 1)


def test_no_run_is_best_of_none(toy):
    toy.diverged("A", 0)
    assert best_run(toy.expansion().measurements[0], toy.store) is None


def test_mean_and_population_deviation(toy):
    for seed, au in enumerate((4, 4, 5)):
        toy.done("A", seed, units={"au": au, "kind": "x"})
    cell = cells(toy)["AU"]
    assert cell.value == pytest.approx(13 / 3)
    assert cell.std == pytest.approx((2 / 9) ** 0.5)  # over n, not n - 1
    expansion = toy.expansion()
    columns = expansion.spec.all_columns()
    measured = measure(expansion, toy.store)
    text = to_markdown(build(expansion.spec.layout, {}, measured, columns, "ours"))
    assert "4.33 ± 0.47" in text


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3))
@settings(deadline=None, max_examples=25)
def test_mean_agrees_with_a_second_computation(values, tmp_path_factory, toy_class):
    toy = toy_class(tmp_path_factory.mktemp("toy"))
    for seed, value in enumerate(values):
        toy.done("A", seed, units={"au": value, "kind": "x"})
    cell = cells(toy)["AU"]
    mean = sum(values) / 3
    assert cell.value == pytest.approx(mean, abs=1e-6)
    assert cell.std == pytest.approx((sum((v - mean) ** 2 for v in values) / 3) ** 0.5, abs=1e-3)
    assert cell.std <= statistics.stdev(values) + 1e-6


def test_one_seed_has_no_deviation(toy):
    toy.done("A", 1, units={"au": 4, "kind": "x"})
    cell = cells(toy)["AU"]
    assert (cell.value, cell.std) == (4, None)
    assert (cell.seeds, cell.wanted) == (1, 3)


def test_fewer_seeds_are_marked(toy):
    toy.done("A", 0, units={"au": 4, "kind": "x"})
    toy.done("A", 2, units={"au": 6, "kind": "x"})
    cell = cells(toy)["AU"]
    assert (cell.value, cell.std, cell.seeds, cell.wanted) == (5, 1, 2, 3)
    assert cell.runs == (toy.run("A", 0).id, toy.run("A", 2).id)
    page = compose(toy.expansion(), toy.store, "paper", None, "both")
    text = to_markdown(page.grid)
    assert "5.00 ± 1.00 [2/3]" in text
    assert "[n/m] over n of the m wanted seeds only" in text


def test_the_seeds_asked_for_are_measured_against_all_that_are_wanted(toy):
    for seed in range(3):
        toy.done("A", seed, units={"au": seed, "kind": "x"})
    cell = cells(toy, seeds=2)["AU"]
    assert (cell.seeds, cell.wanted, cell.value) == (2, 3, 0.5)


def test_a_single_column_is_the_first_seed_alone(toy):
    toy.done("A", 1, toy.fit(9.0, 1.0))
    assert cells(toy)["One"].state == "missing"
    toy.done("A", 0, toy.fit(8.0, 1.0))
    cell = cells(toy)["One"]
    assert (cell.value, cell.std, cell.seeds, cell.wanted) == (8.0, None, 1, 1)


def test_a_single_column_may_show_the_deviation_that_its_evaluation_found(toy):
    """Of repetitions within the one evaluation, not of seeds, with the value to all who read it."""
    toy.spec["columns"]["One"] |= {"deviation": "kl", "also": "mean"}
    for seed in range(3):
        toy.done("A", seed, toy.fit(8.125 + seed, 0.25), {"au": 1, "kind": "x"})
    found = cells(toy)
    cell = found["One"]
    assert (cell.value, cell.std, cell.seeds, cell.wanted) == (8.125, 0.25, 1, 1)
    assert found["One (mean)"].std == pytest.approx((2 / 3) ** 0.5)  # this one is of seeds
    page = compose(toy.expansion(), toy.store, "paper", None, "both")
    assert "8.12 ± 0.25" in to_markdown(page.grid)
    assert "One: rec@test, nats, ± kl" in page.notes
    assert "A,G,One,,,8.125,0.25,1," in to_csv(page.printed, page.measured)
    told = json.loads(to_json(page))["cells"]
    (ours,) = (c["ours"] for c in told if (c["row"], c["column"]) == ("A", "One"))
    assert (ours["value"], ours["std"], ours["aggregation"]) == (8.125, 0.25, "single")
    summary = write_summary(toy.store, toy.expansion(), page.measured, "paper", None)
    assert "toy,A,G,One,8.125,0.25,measured,1,1," in summary.read_text(encoding="utf-8")


def test_a_deviation_may_not_exist(toy):
    toy.spec["columns"]["One"]["deviation"] = "kl"
    toy.done("A", 0, toy.fit(8.0, None))
    assert (cells(toy)["One"].value, cells(toy)["One"].std) == (8.0, None)
    toy.done("B", 0, toy.fit(8.0, 1.0) | {"rec": None})
    assert cells(toy, "B")["One"].state == "not applicable"


@pytest.mark.parametrize("part", ["value", "deviation"])
def test_a_value_that_no_record_has_is_named(toy, part):
    toy.spec["columns"]["One"][part] = "rex"
    toy.done("A", 0, toy.fit(8.0, 1.0))
    with pytest.raises(
        UserError, match=r"\(A, G, One\): fit: unknown value 'rex'.*did you mean rec"
    ):
        cells(toy)


@pytest.mark.parametrize("aggregation", ["mean", "best"])
def test_what_aggregates_seeds_has_their_deviation(toy, aggregation):
    toy.spec["columns"]["One"] |= {"aggregation": aggregation, "deviation": "kl"}
    with pytest.raises(UserError, match=r"columns\.One.*deviation: 'kl' is that of one run"):
        toy.expansion()


def test_a_text_stands_for_itself(toy):
    toy.done("A", 0, units={"au": 1, "kind": "Gaussian"})
    cell = cells(toy)["Kind"]
    assert (cell.state, cell.value) == ("measured", "Gaussian")


def test_what_does_not_exist_for_a_model_is_not_applicable(toy):
    """The KL of a deterministic encoder is a dash, not a zero; its best seed is found all the
    same."""
    for seed, rec in enumerate((5.0, 4.0, 6.0)):
        toy.done("A", seed, toy.fit(rec=rec, kl=None))
    found = cells(toy)
    assert found["Rec."].value == 4.0
    for column in ("KL", "KL (mean)"):
        assert (found[column].state, found[column].value) == ("not applicable", None)
        assert found[column].seeds == 3


def test_a_failed_run_is_failed_only_where_nothing_is_measured(toy):
    toy.failed("A", 0)
    assert {cell.state for cell in cells(toy).values()} == {"failed"}
    assert {cell.state for cell in cells(toy, "B").values()} == {"missing"}
    toy.done("A", 1, toy.fit(5.0, 1.0), {"au": 3, "kind": "x"})
    found = cells(toy)
    assert (found["AU"].state, found["AU"].seeds) == ("measured", 1)
    assert found["One"].state == "failed"  # its one seed is the failed one


def test_a_failed_evaluation_is_failed_and_not_missing(toy):
    toy.done("A", 0, toy.fit(5.0, 1.0))
    toy.failed("A", 0)
    found = cells(toy)
    assert found["AU"].state == "failed"
    assert found["Rec."].state == "measured"


def test_a_run_without_the_evaluation_counts_as_missing(toy):
    toy.done("A", 0, toy.fit(5.0, 1.0))
    toy.done("A", 1, toy.fit(6.0, 1.0), {"au": 2, "kind": "x"})
    found = cells(toy)
    assert found["Rec."].seeds == 2
    assert (found["AU"].value, found["AU"].seeds) == (2, 1)


def test_a_mean_without_its_diverged_seeds_would_flatter(toy):
    toy.diverged("A", 0)
    for seed in (1, 2):
        toy.done("A", seed, toy.fit(5.0 + seed, 1.0), {"au": 3, "kind": "x"})
    found = cells(toy)
    assert (found["AU"].state, found["AU"].value, found["AU"].seeds) == ("diverged", None, 1)
    assert found["KL (mean)"].state == "diverged"
    assert found["One"].state == "diverged"
    # A best-of-n ignores them, as the papers do.
    assert (found["Rec."].state, found["Rec."].value, found["Rec."].seeds) == ("measured", 6.0, 2)


def test_a_diverged_cell_names_its_runs(toy):
    for seed in range(3):
        toy.diverged("A", seed)
    for cell in cells(toy).values():
        assert cell.state == "diverged"
        assert set(cell.runs) <= {toy.run("A", seed).id for seed in range(3)} and cell.runs


def test_changed_runs_fill_no_plain_cell(toy):
    changed = {"settings": ("training.epochs=1",)}
    limited = {"limit": 50}
    for how in (changed, limited, {"scale": "small"}):
        for seed in range(3):
            toy.done("A", seed, toy.fit(1.0, 1.0), {"au": 1, "kind": "x"}, **how)
        assert {cell.state for cell in cells(toy, **how).values()} == {"measured"}
    assert {cell.state for cell in cells(toy).values()} == {"missing"}
