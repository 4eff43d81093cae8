"""Laws of every built-in table and figure, at every scale."""

from itertools import product

import pytest

from vaebench.data.catalog import CATALOG
from vaebench.execution.plan import step_count
from vaebench.registry.expansion import expand
from vaebench.registry.loading import (
    load_figure,
    load_table,
    own_table,
    paper_spec,
    published_cells,
)
from vaebench.registry.names import PAPERS, SCALES, figure_paths, table_paths
from vaebench.registry.spec import DATA

ALL = [(name, scale) for name in table_paths() for scale in SCALES]
COUNTS = {"du-vae": 7, "igp": 12, "mae": 5, "ar-elbo": 5}


def test_all_tables_are_there():
    found = {paper: [n for n in table_paths() if n.startswith(f"{paper}-")] for paper in PAPERS}
    assert {paper: len(names) for paper, names in found.items()} == COUNTS
    names = [f"du-vae-table{n}" for n in ("1", "2", "3", "S1", "S2", "S3", "S4")]
    assert list(table_paths())[:7] == names
    assert found["igp"] == [f"igp-table{n}" for n in range(1, 13)]


@pytest.mark.parametrize("paper", PAPERS)
def test_every_paper_says_what_it_is(paper):
    spec = paper_spec(paper)
    assert spec.paper == paper
    assert spec.title and spec.reference


@pytest.mark.parametrize(("name", "scale"), ALL)
def test_every_table_loads_under_its_own_name(name, scale):
    spec = load_table(name, scale)
    assert spec.id == name
    assert name.startswith(f"{spec.paper}-")
    assert published_cells(spec)


@pytest.mark.parametrize(("name", "scale"), ALL)
def test_cells_are_the_published_ones_or_extra(name, scale):
    spec = load_table(name, scale)
    printed = published_cells(spec)
    expansion = expand(spec)
    keys = [measurement.key for measurement in expansion.measurements]
    assert len(keys) == len(set(keys))
    for measurement in expansion.measurements:
        assert measurement.extra or measurement.key in printed
    if spec.runnable:  # what is printed and has a method and a column of ours is measured
        methods = {row for row in spec.rows if spec.has_method(spec.rows[row])}
        wanted = {
            key
            for key in printed
            if key.row in methods and key.group in spec.groups and key.column in spec.columns
        }
        assert wanted <= set(keys)
    else:
        assert keys == []


@pytest.mark.parametrize(("name", "scale"), ALL)
def test_runs_are_known_and_long_enough(name, scale):
    for run in expand(load_table(name, scale)).runs.values():
        assert run.data.dataset in CATALOG
        if run.method == DATA:
            assert step_count(run) == 0
        elif scale != "paper":
            assert step_count(run) >= 20


@pytest.mark.parametrize("name", table_paths())
def test_smoke_needs_no_file_and_paper_no_stand_in(name):
    smoke = expand(load_table(name, "smoke"))
    assert all(CATALOG[run.data.dataset].made_in_code for run in smoke.runs.values())
    paper = expand(load_table(name))
    assert all(CATALOG[run.data.dataset].kind != "stand-in" for run in paper.runs.values())
    assert all(run.data.limit is None for run in paper.runs.values())


@pytest.mark.parametrize("name", table_paths())
def test_a_reduced_scale_says_what_it_reduces_and_keeps_every_cell(name):
    paper = expand(load_table(name))
    for scale in SCALES[1:]:
        reduced = expand(load_table(name, scale))
        assert [m.key for m in reduced.measurements] == [m.key for m in paper.measurements]
        assert not reduced.runs.keys() & paper.runs.keys()
        assert not reduced.runs or reduced.spec.reduced
    assert load_table(name).reduced is None


@pytest.mark.parametrize("name", figure_paths())
def test_every_figure_draws_cells_that_exist(name):
    figure = load_figure(name)
    assert figure.id == name
    for panel in figure.all_panels():
        own = panel.table == name
        table = own_table(figure) if own else load_table(panel.table)
        printed = {(key.row, key.group) for key in published_cells(table)}
        assert (panel.row, panel.group) in printed or own
        if panel.row in table.rows and panel.group in table.groups:
            places = {(m.key.row, m.key.group) for m in expand(table).measurements}
            assert (panel.row, panel.group) in places
    for axes in figure.axes:
        own = expand(own_table(figure)) if axes.table == name else None
        keys = [m.key for m in own.measurements] if own else published_cells(load_table(axes.table))
        there = {(key.group, key.column) for key in keys if axes.point(key.row)}
        assert {(group, axes.column) for group in axes.groups} <= there
    if (sweep := figure.sweep) is not None:
        cells = published_cells(load_table(sweep.table))
        assert {(sweep.row, group, sweep.column) for group in sweep.groups} <= cells.keys()


@pytest.mark.parametrize("name", [name for name in figure_paths() if load_figure(name).runs])
def test_a_figures_own_runs_obey_the_laws_of_tables(name):
    figure = load_figure(name)
    tables = {scale: expand(own_table(figure, scale)) for scale in SCALES}
    drawn = {(panel.row, panel.group) for panel in figure.all_panels() if panel.table == name}
    for axes in figure.axes:
        if axes.table == name:
            rows = filter(axes.point, tables["paper"].spec.rows)
            drawn |= set(product(rows, axes.groups))
    for scale, table in tables.items():
        assert {(m.key.row, m.key.group) for m in table.measurements} == drawn
        assert bool(table.spec.reduced) == (scale != "paper")
        for run in table.runs.values():
            assert run.data.dataset in CATALOG
            assert step_count(run) >= 20
            assert scale == "paper" or run.id not in tables["paper"].runs
            assert scale != "smoke" or CATALOG[run.data.dataset].made_in_code
