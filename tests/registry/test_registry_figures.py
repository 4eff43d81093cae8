"""Figures' specs: where lines and columns cross, and mistakes told with the file and the key."""

import copy

import pytest
from specs import column, write_spec

from vaebench.errors import UserError
from vaebench.registry.loading import load_table, own_table, published_cells, read_figure

PANEL = {
    "title": "AE",
    "table": "igp-table12",
    "row": "AE",
    "group": "MNIST",
    "evaluation": "prior_means",
    "parameters": {"count": 4},
}
GRID = {"figure": "f", "paper": "igp", "caption": "c", "kind": "image-grid", "panels": [PANEL]}
TURNS = {**GRID, "panels": [{**PANEL, "over": "O"}, {**PANEL, "title": "AE 2", "over": "O"}]}
MAPS = {**GRID, "kind": "scatter", "panels": [PANEL, {**PANEL, "line": "γ = 1"}]}
GALLERY = {
    "figure": "f",
    "paper": "igp",
    "caption": "c",
    "kind": "gallery",
    "shared": {"table": "igp-table12", "group": "MNIST"},
    "columns": [
        {"title": "Rec.", "evaluation": "reconstructed_images", "array": "reconstructions"},
        {"over": "Samples", "title": "Prior", "evaluation": "prior_means"},
    ],
    "lines": [
        {"line": "GT", "row": "AE", "only": ["Rec."], "array": "originals"},
        {"line": "VAE", "row": "VAE, DGP"},
    ],
}
PLOT = {
    "figure": "f",
    "paper": "ar-elbo",
    "caption": "c",
    "kind": "line-plot",
    "axes": [
        {
            "title": "MI",
            "table": "ar-elbo-table1",
            "column": "MI",
            "groups": ["Stochastic encoding"],
            "against": "log σ_x^2",
        }
    ],
}

SWEEP = {
    "figure": "f",
    "paper": "igp",
    "caption": "c",
    "kind": "heat-map",
    "sweep": {
        "table": "igp-table12",
        "row": "VAE, DGP",
        "column": "Rec.",
        "groups": ["MNIST"],
        "arguments": {
            "latent": {"name": "K", "values": [16, 32]},
            "width": {"name": "γ", "values": [0.5, 1.0, 2.0]},
        },
        "best": {"MNIST": [16, 0.5]},
    },
}

OWN = {
    "figure": "f",
    "paper": "igp",
    "caption": "c",
    "kind": "latent-density",
    "mixture": {"title": "true", "centres": [[0, 0], [1, 2]], "deviation": 0.5, "draws": 9},
    "panels": [{**PANEL, "table": "f"}],
    "runs": {
        "groups": {"MNIST": {"data": {"dataset": "mnist"}}},
        "columns": {"Rec.": column("reconstruction", "rec")},
        "rows": {"AE": {"method": "igp.autoencoder", "arguments": {"latent": 2}}},
        "scales": {"small": {"rows": {"AE": {"arguments": {"latent": 1}}}, "reduced": "it"}},
    },
}


def read(folder, content):
    write_spec(folder, content, "figure.yaml")
    return read_figure(folder / "figure.yaml")


def changed(content, path, value):
    """A copy with the value at `panels.0.row` changed."""
    whole = copy.deepcopy(content)
    *outer, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner = whole
    for part in outer:
        inner = inner[part]
    inner[last] = value
    return whole


def test_panels_stand_where_lines_and_columns_cross(tmp_path):
    figure = read(tmp_path, GALLERY)
    panels = figure.named_panels()
    assert list(panels) == ["lines.0, columns.0", "lines.1, columns.0", "lines.1, columns.1"]
    assert [(p.line, p.over, p.title) for p in figure.all_panels()] == [
        ("GT", None, "Rec."),
        ("VAE", None, "Rec."),
        ("VAE", "Samples", "Prior"),
    ]
    assert [p.row for p in figure.all_panels()] == ["AE", "VAE, DGP", "VAE, DGP"]
    assert [p.array for p in figure.all_panels()] == ["originals", "reconstructions", "images"]
    assert {(p.table, p.group) for p in figure.all_panels()} == {("igp-table12", "MNIST")}


def test_the_line_has_the_last_word(tmp_path):
    content = changed(GALLERY, "columns.0.row", "AE")
    content = changed(content, "shared.row", "VAE, IGP")
    rows = [panel.row for panel in read(tmp_path, content).all_panels()]
    assert rows == ["AE", "VAE, DGP", "VAE, DGP"]
    del content["lines"][1]["row"]
    rows = [panel.row for panel in read(tmp_path, content).all_panels()]
    assert rows == ["AE", "AE", "VAE, IGP"]


def test_the_view_of_a_line_takes_the_place_of_a_columns(tmp_path):
    content = changed(GALLERY, "columns.0.data", {"pixels": "binary"})
    content = changed(content, "lines.0.data", {"held_out": 100})
    data = [panel.data for panel in read(tmp_path, content).all_panels()]
    assert data == [{"held_out": 100}, {"pixels": "binary"}, {}]


def test_the_tables_of_a_figure_are_told_once(tmp_path):
    assert read(tmp_path, GALLERY).tables == ("igp-table12",)
    two = [PANEL, {**PANEL, "table": "igp-table6", "group": "Fashion-MNIST"}, PANEL]
    assert read(tmp_path, {**GRID, "panels": two}).tables == ("igp-table12", "igp-table6")
    assert read(tmp_path, PLOT).tables == ("ar-elbo-table1",)
    assert read(tmp_path, SWEEP).tables == ("igp-table12",)


def test_runs_of_its_own_are_a_table_under_its_name(tmp_path):
    figure = read(tmp_path, OWN)
    assert figure.tables == ()
    for scale, latent in (("paper", 2), ("small", 1)):
        table = own_table(figure, scale)
        assert (table.id, table.paper, table.source) == ("f", "igp", "f")
        assert table.rows["AE"].arguments == {"latent": latent}
        assert table.reduced == ("it" if scale == "small" else None)
        assert table.runnable and not published_cells(table)


def test_the_profile_of_the_paper_is_below_them(tmp_path):
    runs = {**OWN["runs"], "profile": "images", "scales": {}}
    panel = {**PANEL, "table": "f", "group": "OMNIGLOT"}
    figure = read(tmp_path, {**OWN, "paper": "du-vae", "panels": [panel], "runs": runs})
    table, theirs = own_table(figure, "smoke"), load_table("du-vae-table3", "smoke")
    assert table.groups["OMNIGLOT"] == theirs.groups["OMNIGLOT"]
    assert set(table.groups) == {"MNIST", "OMNIGLOT"}


@pytest.mark.parametrize(
    ("content", "path", "value", "told"),
    [
        (GRID, "kind", "image-gird", "kind: Input should be 'image-grid'"),
        (GRID, "kind", "gallery", "a figure of kind 'gallery' has no `panels`"),
        (GRID, "kind", "line-plot", "a figure of kind 'line-plot' has no `panels`"),
        (GRID, "panels", [], "a figure of kind 'image-grid' needs `panels`"),
        (GALLERY, "kind", "scatter", "a figure of kind 'scatter' needs `panels`"),
        (GALLERY, "lines", [], "a figure of kind 'gallery' needs `lines`"),
        (PLOT, "kind", "scatter", "a figure of kind 'scatter' needs `panels`"),
        (GRID, "panels.0.rwo", "AE", "unknown key 'panels.0.rwo'; did you mean row"),
        (GRID, "panels.0.data", "binary", "panels.0.data: Input should be a valid dict"),
        (OWN, "panels.0.line", "x", "panels.0.line: a figure of kind 'latent-density' has none"),
        (MAPS, "panels.1.over", "x", "panels.1.over: a figure of kind 'scatter' has none"),
        (TURNS, "panels.1.line", "y", "panels.1.line: 'O' is over panels of another line"),
        (TURNS, "panels.0.line", "y", "panels.1.line: 'O' is over panels of another line"),
        (GRID, "panels.0.table", "igp-tabel12", "panels.0.table: unknown table 'igp-tabel12'; did"),
        (GRID, "panels.0.row", "EA", "panels.0.row: igp-table12: unknown row 'EA'; did you mean A"),
        (GRID, "panels.0.group", "MINST", "panels.0.group: igp-table12: unknown group 'MINST'; di"),
        (GALLERY, "columns.1.titel", "x", "unknown key 'columns.1.titel'; did you mean title"),
        (GALLERY, "lines.0.title", "x", "unknown key 'lines.0.title'"),
        (GALLERY, "lines.0.only", ["Rec"], "lines.0.only: no column has the title 'Rec'"),
        (GALLERY, "lines.1.line", "GT", "lines: two of them have the same head"),
        (GALLERY, "columns.1", GALLERY["columns"][0], "columns: two of them have the same head"),
        (GALLERY, "shared", {"group": "MNIST"}, "lines.0, columns.0: the key 'table' is missing"),
        (GALLERY, "lines.1.row", "VEA", "lines.1, columns.0.row: igp-table12: unknown row 'VEA'"),
        (GRID, "kind", "heat-map", "a figure of kind 'heat-map' has no `panels`"),
        (SWEEP, "kind", "gallery", "a figure of kind 'gallery' needs `columns`"),
        (SWEEP, "sweep.row", "VEA", "sweep.row: igp-table12: unknown row 'VEA'"),
        (SWEEP, "sweep.column", "Rex.", "sweep.column: igp-table12: unknown column 'Rex.'"),
        (SWEEP, "sweep.groups", ["x"], "best.MNIST: no point of this group"),
        (SWEEP, "sweep.best", {"MNIST": [16, 0.4]}, "best.MNIST: no point of this group is drawn"),
        (SWEEP, "sweep.arguments.latent.values", [], "sweep.arguments.latent.values: "),
        (SWEEP, "sweep.arguments", {"K": {"name": "K", "values": [1]}}, "sweep.arguments: "),
        (OWN, "kind", "scatter", "a figure of kind 'scatter' has no `mixture`"),
        (OWN, "mixture.deviation", 0, "mixture.deviation: "),
        (OWN, "mixture.centres", [[0]], "the key 'mixture.centres.0.1' is missing"),
        (OWN, "panels.0.row", "EA", "panels.0.row: f: unknown row 'EA'; did you mean AE"),
        (OWN, "panels.0.table", "igp-table12", "runs: no panel or plot has the table 'f'"),
        (OWN, "runs", None, "panels.0.table: unknown table 'f'"),
        (OWN, "runs.rwos", {}, "runs: unknown key 'rwos'; did you mean rows"),
        (OWN, "runs.rows.AE", {}, "runs: rows.AE: the key 'method' is missing"),
        (OWN, "runs.profile", "imagse", "runs: profile: unknown profile 'imagse'"),
        (OWN, "runs.scales", {"samll": {}}, "runs: scales: unknown scale 'samll'"),
        (PLOT, "axes.0.column", "IM", "axes.0.column: ar-elbo-table1: unknown column 'IM'"),
        (PLOT, "axes.0.groups", ["x"], "axes.0.group: ar-elbo-table1: unknown group 'x'"),
        (PLOT, "axes.0.groups", [], "axes.0.groups: "),
        (PLOT, "axes.0.against", "log σ_z^2", "axes.0.against: no row of ar-elbo-table1 is "),
        (PLOT, "axes.0.curves", ["DGP"], "axes.0.curves: no row of ar-elbo-table1 is called 'log "),
        (PLOT, "axes.0.level", "AE", "axes.0.row: ar-elbo-table1: unknown row 'AE'"),
    ],
)
def test_a_mistake_is_told_with_file_and_key(content, path, value, told, tmp_path):
    read(tmp_path, content)
    with pytest.raises(UserError) as caught:
        read(tmp_path, changed(content, path, value))
    assert str(caught.value).startswith(f"{tmp_path / 'figure.yaml'}: ")
    assert told in str(caught.value)
