"""MAE's tables: which trainings they share, and what is measured where."""

from collections import Counter
from functools import cache

import pytest

from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table, published_cells
from vaebench.registry.names import SCALES

TABLES = (1, 2, 3, 4, 5)


@cache
def table(number, scale="paper"):
    return expand(load_table(f"mae-table{number}", scale))


def row(number, name, group="MNIST", scale="paper"):
    """The ids of a row's runs in a group."""
    found = table(number, scale).measurements
    return {run.id for m in found if m.key.row == name and m.key.group == group for run in m.runs}


def test_the_trainings_of_all_tables_are_those_of_the_protocol():
    """Section 1: twelve on MNIST and one more of ours, five on OMNIGLOT, four on CIFAR-10."""
    every = {run_id: run for number in TABLES for run_id, run in table(number).runs.items()}
    found = Counter((run.data.dataset, run.method) for run in every.values())
    assert found == {
        ("mnist", "mae.vae"): 3,
        ("mnist", "mae.mae"): 9 + 1,
        ("omniglot", "mae.vae"): 1,
        ("omniglot", "mae.mae"): 4,
        ("cifar10", "mae.vae"): 1,
        ("cifar10", "mae.mae"): 3,
    }


@pytest.mark.parametrize("scale", SCALES)
def test_models_of_tables_1_2_and_5_are_those_of_table_4(scale):
    every = set(table(4, scale).runs)
    assert row(1, "VLAE (re-impl)", scale=scale) == row(4, "VLAE (w. free bits)", scale=scale)
    shown = [(1.0, 0.1), (0.5, 0.5), (1.0, 0.5), (2.0, 0.5)]
    for eta, gamma in shown:
        expected = row(4, f"MAE (η = {eta}, γ = {gamma})", scale=scale)
        assert len(expected) == 1
        for number, group in ((1, "MNIST"), (2, "KNN"), (2, "Linear"), (5, "SVM-RBF")):
            name = f"MAE: η = {eta}, γ = {gamma}"
            assert row(number, name, group, scale=scale) == expected
    assert row(2, "ResNet VAE w. AF", "K-Means", scale) == row(4, "ResNet VAE with AF", scale=scale)
    assert set(table(2, scale).runs) | set(table(5, scale).runs) < every


@pytest.mark.parametrize("number", TABLES)
def test_every_published_cell_but_cited_ones_is_measured(number):
    spec = load_table(f"mae-table{number}")
    printed = {key for key in published_cells(spec) if not spec.rows[key.row].cited}
    measured = {m.key for m in table(number).measurements}
    assert printed <= measured
    extra = {key for key in measured - printed if not spec.rows[key.row].extra}
    assert all(spec.all_columns()[key.column].extra for key in extra)


def test_columns_of_one_name_are_measured_by_the_classifier_of_their_group():
    found = {(m.key.group, m.key.column): m.evaluation for m in table(2).measurements}
    assert found["KNN", "100"].name == "nearest_neighbours"
    assert found["Linear", "100"].name == "linear_classifier"
    assert found["KNN", "All"].parameters["labels"] is None
    assert found["K-Means", "K=20"].parameters["clusters"] == 20
    (view,) = {evaluation.data for evaluation in found.values()}
    assert (view.pixels, view.held_out, view.binarisations) == ("thresholded", None, None)
    kernels = {m.key.group: m.evaluation.parameters["kernel"] for m in table(5).measurements}
    assert kernels == {"SVM-Linear": "linear", "SVM-RBF": "rbf"}


def test_cited_rows_are_those_whose_cells_say_so():
    for number in TABLES:
        spec = load_table(f"mae-table{number}")
        for key, cell in published_cells(spec).items():
            assert spec.rows[key.row].cited == cell.note.startswith("cited")
