"""Curves that rows name at their end, levels, and plots in lines beside the print of IGP."""

import itertools

import pytest

from vaebench.errors import UserError
from vaebench.registry.figure_spec import FigureSpec
from vaebench.results.figures import draw

CBT = {"table": "toy", "groups": ["CBT"], "against": "C", "curves": ["DGP", "IGP"]}
SNLI = {**CBT, "groups": ["SNLI"]}
FIGURE = {
    "figure": "toy-figure",
    "paper": "igp",
    "caption": "",
    "kind": "line-plot",
    "axes": [
        {**CBT, "title": "CBT", "line": "Rec.", "column": "Rec.", "level": "AE"},
        {**SNLI, "title": "SNLI", "line": "Rec.", "column": "Rec."},
        {**CBT, "title": "CBT", "line": "AU", "column": "AU"},
        {**SNLI, "title": "SNLI", "line": "AU", "column": "AU"},
    ],
}
TARGETS, CURVES, SEEDS = (5, 15, 50), ("DGP", "IGP"), 3


def rec(target, curve, seed):
    return target + 100.0 * CURVES.index(curve) + seed


@pytest.fixture
def table9(toy):
    """A table beside the print of IGP's Table 9, with our numbers but for those of SNLI's IGP."""
    del toy.spec["select"]
    columns, method = toy.spec["columns"], toy.spec["rows"]["A"]
    rows = {f"C = {c}, {curve}": (c, curve) for c in TARGETS for curve in CURVES}
    toy.spec |= {
        "published": "igp-table9",
        "columns": {
            name: {**columns[name], "aggregation": "mean", "also": None} for name in ("Rec.", "AU")
        },
        "groups": {name: {"data": {"dataset": "mnist", "limit": size}}
                   for name, size in (("CBT", 100), ("SNLI", 90))},
        "rows": {name: {**method, "arguments": {"posterior": f"p{i}"}}
                 for i, name in enumerate([*rows, "AE"])},
        "scales": {},
    }  # fmt: skip
    for measurement in toy.expansion().measurements:
        row, group, column = measurement.key
        if column != "Rec." or (group == "SNLI" and row.endswith("IGP")):
            continue
        for run in measurement.runs:
            value = rec(*rows[row], run.seed) if row in rows else 7.0
            values = {"fit": toy.fit(value, 1.0), "units": {"au": 4, "kind": "x"}}
            toy._record(run, "done", None, values, {}, {"loss": [3.0]})
    return toy


def drawn(toy, **change):
    figure = FigureSpec.model_validate(FIGURE | change)
    return draw(figure, {"toy": toy.expansion()}, toy.store, "paper").figure


def curves(axis):
    """The points of curves, and the heights of levels, by colour and style."""
    found = {}
    for line in axis.lines:
        xs, ys = list(line.get_xdata()), list(line.get_ydata())
        level = xs == [0, 1] and line.get_marker() == "None"
        points = ys[0] if level else dict(zip(xs, ys, strict=True))
        found[line.get_color(), line.get_linestyle()] = points
    return found


def test_rows_name_the_curve_at_their_end(table9):
    figure = drawn(table9)
    (legend,) = figure.legends
    colours = {
        text.get_text(): (line.get_color(), line.get_linestyle())
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
    }
    assert list(colours) == [f"{c}, {who}" for c in (*CURVES, "AE") for who in ("ours", "paper")]
    cbt, snli, *_ = map(curves, figure.axes)
    for curve in CURVES:
        means = {c: rec(c, curve, 1) for c in TARGETS}
        assert cbt[colours[f"{curve}, ours"]] == means
        assert snli[colours[f"{curve}, ours"]] == (means if curve == "DGP" else {})
    assert cbt[colours["DGP, paper"]] == {5: 60.04, 15: 52.11, 50: 32.5}
    assert (cbt[colours["AE, ours"]], cbt[colours["AE, paper"]]) == (7.0, 16.94)
    assert colours["AE, ours"] not in snli


def test_bars_are_a_deviation_up_and_down(table9):
    cbt = drawn(table9).axes[0]
    ours, paper, *_ = (collection.get_segments() for collection in cbt.collections)
    deviation = (2 / 3) ** 0.5  # of 0, 1, 2
    for (low, high), c in zip(ours, TARGETS, strict=True):
        assert low.tolist() == pytest.approx([c, rec(c, "DGP", 1) - deviation])
        assert high.tolist() == pytest.approx([c, rec(c, "DGP", 1) + deviation])
    assert paper[0][0].tolist() == pytest.approx([5, 60.04 - 0.04])


def test_plots_stand_in_lines_under_titles_that_are_said_once(table9):
    figure = drawn(table9)
    figure.draw_without_rendering()
    axes = figure.axes
    assert [axis.get_title() for axis in axes] == ["CBT", "SNLI", "", ""]
    assert [axis.get_ylabel() for axis in axes] == ["Rec.", "", "AU", ""]
    assert [axis.get_xlabel() for axis in axes] == ["", "", "C", "C"]
    assert [[t.get_text() for t in a.get_xticklabels()] for a in axes] == [["5", "15", "50"]] * 4
    boxes = [axis.get_tightbbox() for axis in axes]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    assert boxes[0].y0 > boxes[2].y1 and boxes[0].x1 < boxes[1].x0


def test_a_line_with_fewer_plots_has_wider_ones(table9):
    figure = drawn(table9, axes=FIGURE["axes"][:3])
    figure.draw_without_rendering()
    one, other, wide = (axis.get_window_extent() for axis in figure.axes)
    assert wide.x0 == pytest.approx(one.x0) and wide.x1 == pytest.approx(other.x1)
    assert [axis.get_title() for axis in figure.axes] == ["CBT", "SNLI", "CBT"]
    assert [axis.get_xlabel() for axis in figure.axes] == ["C", "C", "C"]


@pytest.mark.parametrize("count", [2, 4])
def test_the_legend_lies_within_the_figure(count, table9):
    figure = drawn(table9, axes=FIGURE["axes"][:count])
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_numbers_over_decades_lie_on_a_logarithmic_scale(table9):
    rows = table9.spec["rows"]
    rows["C = 0.5, DGP"] = {**rows["AE"], "arguments": {"posterior": "x"}, "extra": True}
    table9.done("C = 0.5, DGP", 0, table9.fit(3.0, 1.0))
    logarithmic, linear, *_ = drawn(table9).axes
    assert (logarithmic.get_xscale(), linear.get_xscale()) == ("log", "linear")
    assert [t.get_text() for t in logarithmic.get_xticklabels()] == ["0.5", "5", "15", "50"]


def test_curves_are_of_one_group():
    both = {**FIGURE["axes"][0], "groups": ["CBT", "SNLI"]}
    with pytest.raises(UserError, match="`curves` and `level` are of one group"):
        FigureSpec.read(FIGURE | {"axes": [both]}, "f")
