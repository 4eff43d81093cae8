"""What a figure makes `run` do, and what is said of one that cannot be run yet."""

import itertools
from pathlib import Path

import pytest
from commands import invoke
from specs import tiny_spec, without_rows, write_spec

from vaebench.cli import targets
from vaebench.cli.targets import find_targets, why_not_runnable
from vaebench.errors import UserError
from vaebench.registry.expansion import expand
from vaebench.registry.figure_spec import FigureSpec
from vaebench.registry.loading import load_table
from vaebench.registry.selection import EVERYTHING
from vaebench.store.store import Store

HEAD = {"figure": "igp-figure6", "paper": "igp", "caption": "c"}


def scatter(table, row="A", **rest):
    panel = {"title": "T", "table": table, "row": row, "group": "G", "evaluation": "map", **rest}
    return FigureSpec.model_validate({**HEAD, "kind": "scatter", "panels": [panel]})


def line_plot(table):
    axes = {"title": "T", "table": table, "column": "Rec.", "groups": ["G"], "against": "x"}
    return FigureSpec.model_validate({**HEAD, "kind": "line-plot", "axes": [axes]})


def heat_map(table, row="A"):
    arguments = {
        name: {"name": name, "values": values}
        for name, values in (("latent", [2, 3]), ("hidden", [4, 5]))
    }
    sweep = {
        "table": table, "row": row, "column": "Rec.", "groups": ["G"], "arguments": arguments,
    }  # fmt: skip
    return FigureSpec.model_validate({**HEAD, "kind": "heat-map", "sweep": sweep})


def own_runs(row="A"):
    runs = {key: tiny_spec()[key] for key in ("defaults", "groups", "columns", "rows", "seeds")}
    panel = {
        "title": "T", "table": HEAD["figure"], "row": row, "group": "G", "evaluation": "map",
    }  # fmt: skip
    return FigureSpec.model_validate({**HEAD, "kind": "scatter", "panels": [panel], "runs": runs})


def own_plot():
    runs = {key: tiny_spec()[key] for key in ("defaults", "groups", "columns", "rows", "seeds")}
    rows = {f"x = {i}, {row}": part for i, (row, part) in enumerate(runs["rows"].items())}
    axes = {
        "title": "T", "table": HEAD["figure"], "column": "Rec.", "groups": ["G"], "against": "x",
        "curves": ["A", "B"],
    }  # fmt: skip
    head = {**HEAD, "kind": "line-plot", "axes": [axes]}
    return FigureSpec.model_validate({**head, "runs": {**runs, "rows": rows}})


@pytest.fixture
def tiny(tmp_path):
    """The file of a table without a criterion: two rows, two seeds."""
    return write_spec(tmp_path, tiny_spec())


def plan(figure, monkeypatch):
    """The plan for a figure in the place of a built-in one."""
    monkeypatch.setattr(targets, "load_figure", lambda name: figure)
    return find_targets(["igp-figure6"], "paper", EVERYTHING).plan


def test_pictures_are_made_of_the_run_that_may_be_drawn(tiny, monkeypatch):
    work = plan(scatter(tiny), monkeypatch).work.values()
    names = {
        (w.run.arguments["posterior"], w.run.seed): {e.name for e in w.evaluations.values()}
        for w in work
    }
    assert names == {
        ("diagonal", 0): {"reconstruction", "map"},
        ("diagonal", 1): {"reconstruction"},
    }


def test_pictures_are_made_on_the_panels_view_of_the_data(tiny, monkeypatch):
    figure = scatter(tiny, data={"pixels": "binary", "held_out": 50, "limit": None})
    work = plan(figure, monkeypatch).work.values()
    pictures = [(w, e) for w in work for e in w.evaluations.values() if e.name == "map"]
    ((made, picture),) = pictures
    view = {"dataset": "digits-28x28", "pixels": "binary", "held_out": 50}
    assert picture.data is not None and picture.data.model_dump(exclude_none=True) == view
    assert made.run.data.model_dump(exclude_none=True) == {"dataset": "digits-28x28"}
    plain = plan(scatter(tiny), monkeypatch).work[made.run.id].evaluations.values()
    (plain_picture,) = [e for e in plain if e.name == "map"]
    assert plain_picture.data is None and plain_picture.key != picture.key


def test_panels_of_several_rows_are_planned_together(tiny, monkeypatch):
    figure = FigureSpec.model_validate({
        **HEAD,
        "kind": "gallery",
        "shared": {"table": tiny, "group": "G"},
        "columns": [{"title": "1", "evaluation": "one"}, {"title": "2", "evaluation": "two"}],
        "lines": [{"line": "a", "row": "A"}, {"line": "b", "row": "B", "only": ["2"]}],
    })  # fmt: skip
    work = plan(figure, monkeypatch).work.values()
    found = {
        w.run.arguments["posterior"]: {e.name for e in w.evaluations.values()} - {"reconstruction"}
        for w in work
        if w.run.seed == 0
    }
    assert found == {"diagonal": {"one", "two"}, "isotropic": {"two"}}


def test_a_plot_of_columns_needs_the_whole_table(tiny, monkeypatch):
    assert plan(line_plot(tiny), monkeypatch).work.keys() == expand(load_table(tiny)).runs.keys()


def test_a_sweep_has_runs_of_its_own(tiny, monkeypatch, tmp_path):
    figure = heat_map(tiny)
    work = plan(figure, monkeypatch).work.values()
    points = {(w.run.arguments["latent"], w.run.arguments["hidden"], w.run.seed) for w in work}
    assert points == set(itertools.product([2, 3], [4, 5], [0, 1])) and len(work) == 8
    assert {name for w in work for name in w.tables} == {"igp-figure6"}
    monkeypatch.setattr(targets, "load_figure", lambda name: figure)
    found = find_targets(["igp-figure6"], "small", EVERYTHING)
    (path,) = found.write_summaries(Store(tmp_path))
    assert path == str(tmp_path / "igp-figure6.small.digits-28x28.csv")
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 4
    assert lines[1].startswith('igp-figure6,"latent = 2, hidden = 4",G,Rec.,,,missing,0,2')


def test_panels_may_be_of_runs_of_its_own(monkeypatch, tmp_path):
    figure = own_runs()
    work = plan(figure, monkeypatch).work.values()
    found = {
        (w.run.arguments["posterior"], w.run.seed): {e.name for e in w.evaluations.values()}
        for w in work
    }
    assert found == {
        ("diagonal", 0): {"reconstruction", "map"},
        ("diagonal", 1): {"reconstruction"},
    }
    monkeypatch.setattr(targets, "load_figure", lambda name: figure)
    (path,) = find_targets(["igp-figure6"], "paper", EVERYTHING).write_summaries(Store(tmp_path))
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:4] for line in lines[1:]] == [
        ["igp-figure6", row, "G", "Rec."] for row in "AB"
    ]


def test_plots_may_be_of_runs_of_its_own(monkeypatch):
    work = plan(own_plot(), monkeypatch).work.values()
    found = {(w.run.arguments["posterior"], w.run.seed) for w in work}
    assert found == set(itertools.product(["diagonal", "isotropic"], [0, 1]))
    assert {name for w in work for name in w.tables} == {"igp-figure6"}
    assert why_not_runnable(own_plot()) is None


def test_a_figure_with_runs_of_its_own_is_looked_at_as_a_table_is(tiny, monkeypatch):
    monkeypatch.setattr(targets, "figure_paths", lambda: {"igp-figure6": None})
    own = ["igp-figure6"]
    for figure, more in ((heat_map(tiny), own), (own_runs(), own), (scatter(tiny), [])):
        monkeypatch.setattr(targets, "load_figure", lambda name, figure=figure: figure)
        assert targets.runnable_targets() == [*targets.runnable_tables(), *more]


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (lambda tiny: FigureSpec(**HEAD), "cannot be drawn yet: its spec has no panels"),
        (
            lambda tiny: scatter(without_rows(Path(tiny).parent)),
            "cannot be run yet: no row of tiny has a method",
        ),
        (
            lambda tiny: line_plot(without_rows(Path(tiny).parent)),
            "cannot be run yet: no row of tiny has a method",
        ),
        (
            lambda tiny: heat_map(without_rows(Path(tiny).parent)),
            "cannot be run yet: no row of tiny has a method",
        ),
        (
            lambda tiny: heat_map(tiny, "C"),
            "cannot be run yet: it needs the row 'C' of tiny on 'G', which has no method",
        ),
        (
            lambda tiny: scatter(tiny, "C"),
            "cannot be run yet: the panel 'T' needs the row 'C' of tiny on 'G', "
            "which has no method",
        ),
        (
            lambda tiny: scatter(tiny, data={"pixel": "binary"}),
            "the panel 'T': data: unknown key 'pixel'; did you mean pixels?",
        ),
        (
            lambda tiny: own_runs("C"),
            "cannot be run yet: the panel 'T' needs the row 'C' of igp-figure6 on 'G', "
            "which has no method",
        ),
        (
            lambda tiny: scatter(tiny, run="second-stage"),
            "cannot be run yet: the panel 'T' needs the run 'second-stage', "
            "of which tiny has no column",
        ),
    ],
)
def test_a_figure_that_cannot_be_run_says_why(figure, told, tiny, monkeypatch):
    spec = figure(tiny)
    head = "igp-figure6:" if told.startswith("the panel") else "igp-figure6"
    assert why_not_runnable(spec) == f"{head} {told}"
    with pytest.raises(UserError) as caught:
        plan(spec, monkeypatch)
    assert str(caught.value) == f"{head} {told}"


def test_a_figure_that_can_be_run_lacks_nothing(tiny):
    assert why_not_runnable(scatter(tiny)) is None
    assert why_not_runnable(line_plot(tiny)) is None
    assert why_not_runnable(heat_map(tiny)) is None
    assert why_not_runnable(own_runs()) is None


def test_every_panel_of_a_figure_is_shown(tmp_path):
    shown = invoke("show", "ar-elbo-figure4", "--results-dir", tmp_path).stdout.splitlines()
    panels = [line for line in shown if line.startswith("  ")]
    assert len(panels) == 1 + 10 * 4 + 3 * 3
    assert panels[0].startswith("  GT · Reconstructions: ar-elbo-table3 VAE (σ_x^2 = 1.0) · MNIST")
    assert panels[-1].endswith("MNIST, sample_images latents=gmm components=10 count=8")
    assert sum("· run second-stage, sample_images" in line for line in panels) == 13
    plot = invoke("show", "ar-elbo-figure-oversmoothing", "--results-dir", tmp_path).stdout
    sweep = invoke("show", "du-vae-figure2", "--results-dir", tmp_path).stdout
    assert "  NLL: du-vae-table1 DU-VAE (0.5, 0.9) · Yahoo, Yelp, OMNIGLOT, with\n" in sweep
    assert "    p (keep) = 1, 0.9, 0.8, 0.7, 0.6\n" in sweep
    planes = invoke("show", "du-vae-figure1", "--results-dir", tmp_path).stdout
    assert "  (a) True latent space: 5 Gaussians, 2000 draws of them\n" in planes
    assert "  (b) VAE: du-vae-figure1 VAE · Synthetic, aggregated_posterior points=200" in planes
    assert "  σ_z²: ar-elbo-table1 σ_z^2 against log σ_x^2, Stochastic encoding\n" in plot


def test_figures_are_listed_with_their_state(tmp_path):
    listed = invoke("list", "--results-dir", tmp_path).stdout.splitlines()
    states = {line.split()[0]: line for line in listed if "-figure" in line}
    assert "drawable" in states["igp-figure5"]
    for name in ("1", "2", "3", "4", "5", "-oversmoothing"):
        assert f"ar-elbo-figure{name}" in states


def test_a_panels_view_of_the_data_is_shown(tmp_path):
    shown = invoke("show", "mae-figure5", "--results-dir", tmp_path).stdout
    told = "averaged_map draws=50 perplexity=40 iterations=1000 exaggeration=12 learning_rate=200"
    assert f"MNIST, {told}, data pixels=thresholded binarisations=unset\n" in shown
