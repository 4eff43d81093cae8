"""Heat maps of a sweep: where each number stands, what is framed and what is said."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

from vaebench.errors import UserError
from vaebench.registry.expansion import expand
from vaebench.registry.figure_spec import FigureSpec
from vaebench.registry.sweeps import sweep_table
from vaebench.results.figures import draw, save

GAMMAS, KEEPS = (0.5, 0.6), (0.9, 0.8, 0.7)
# The NLL of Table 1 at three of the points, and ours at all.
PRINTED = {(0.5, 0.9): "89.00", (0.5, 0.8): "89.04", (0.6, 0.8): "89.18"}
OURS = [[90.25, 90.5, 91.0], [90.0, 89.75, 92.0]]


@pytest.fixture
def swept(toy):
    """A table beside the print of DU-VAE's Table 1, with its rows for two groups."""
    del toy.spec["select"]
    column = {**toy.spec["columns"]["One"], "unit": "nats", "better": "lower"}
    mnist = toy.spec["groups"]["G"]
    toy.spec |= {
        "published": "du-vae-table1",
        "columns": {"NLL": column, "KL": {**column, "value": "kl"}},
        "groups": {"OMNIGLOT": mnist, "Yahoo": {"data": {"dataset": "fashion-mnist"}}},
        "rows": {
            f"DU-VAE ({gamma}, {keep})": {
                "method": "igp.vae",
                "arguments": {"gamma": gamma, "keep": keep},
            }
            for gamma, keep in PRINTED
        },
        "scales": {"small": {"defaults": {"training": {"epochs": 2}}, "reduced": "epochs"}},
    }
    return toy


def figure(toy, **change):
    sweep = {
        "table": toy.path,
        "row": "DU-VAE (0.5, 0.9)",
        "column": "NLL",
        "groups": ["OMNIGLOT"],
        "arguments": {
            "gamma": {"name": "γ", "values": GAMMAS},
            "keep": {"name": "p", "values": KEEPS},
        },
        "best": {"OMNIGLOT": [0.5, 0.9]},
    }
    raw = {"figure": "toy-figure", "paper": "du-vae", "caption": "", "kind": "heat-map"}
    return FigureSpec.model_validate({**raw, "sweep": sweep | change})


def fill(toy, spec, scale="paper", ours=OURS):
    """Leave these values at the points of every group; a text is the state of the run."""
    for m in expand(sweep_table(spec, spec.sweep, scale)).measurements:
        run = m.runs[0]
        place = GAMMAS.index(run.arguments["gamma"]), KEEPS.index(run.arguments["keep"])
        value = ours[place[0]][place[1]]
        if value == "diverged":
            toy._record(run, "diverged", "nan", {}, {}, {"loss": [1.0]})
        elif value is not None:
            toy._record(run, "done", None, {"fit": toy.fit(value, 1.0)}, {}, {"loss": [1.0]})


def drawn(toy, spec, scale="paper"):
    points = expand(sweep_table(spec, spec.sweep, scale))
    return draw(spec, {spec.sweep.table: toy.expansion(scale), spec.id: points}, toy.store, scale)


def panels(drawing):
    """The axes with a title; the others are colour bars."""
    return [axis for axis in drawing.figure.axes if axis.get_title()]


def texts(axis):
    """What stands at each point, from above."""
    found = {}
    for text in sorted(axis.texts, key=lambda text: text.get_position()[1]):
        x, y = text.get_position()
        found.setdefault((round(y), round(x)), []).append(text.get_text())
    return [[found[line, place] for place in range(3)] for line in range(2)]


def frames(axis):
    """The points in frames, by the style of the line."""
    return {
        "solid" if patch.get_linestyle() == "solid" else "dashed": (
            round(patch.get_y() + patch.get_height() / 2),
            round(patch.get_x() + patch.get_width() / 2),
        )
        for patch in axis.patches
        if isinstance(patch, Rectangle)
    }


def test_our_value_stands_over_the_printed_one(swept):
    spec = figure(swept)
    fill(swept, spec)
    (axis,) = panels(drawn(swept, spec))
    assert texts(axis) == [
        [["90.25", "paper 89.00"], ["90.50", "paper 89.04"], ["91.00"]],
        [["90.00"], ["89.75", "paper 89.18"], ["92.00"]],
    ]
    assert axis.images[0].get_array().tolist() == OURS
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0.9", "0.8", "0.7"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["0.5", "0.6"]
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_title()) == ("p", "$γ$", "OMNIGLOT")


def test_our_best_and_the_papers_are_framed(swept):
    spec = figure(swept)
    fill(swept, spec)
    drawing = drawn(swept, spec)
    (axis,) = panels(drawing)
    assert frames(axis) == {"solid": (1, 1), "dashed": (0, 0)}
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["our best", "the paper's best"]


@pytest.mark.parametrize(("better", "best"), [("lower", (1, 1)), ("higher", (1, 2))])
def test_darker_is_better(better, best, swept):
    swept.spec["columns"]["NLL"]["better"] = better
    spec = figure(swept, best={})
    fill(swept, spec)
    drawing = drawn(swept, spec)
    (axis,) = panels(drawing)
    image = axis.images[0]
    brightness = image.to_rgba(image.get_array())[..., :3].sum(-1)
    order = np.argsort(brightness, axis=None)
    expected = np.argsort(OURS, axis=None)
    assert order.tolist() == (expected if better == "lower" else expected[::-1]).tolist()
    assert frames(axis) == {"solid": best}
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["our best"]


def test_numbers_can_be_read_on_their_colours(swept):
    spec = figure(swept, best={"OMNIGLOT": [0.6, 0.8]})
    fill(swept, spec)
    (axis,) = panels(drawn(swept, spec))
    colors = axis.images[0].to_rgba(axis.images[0].get_array())[..., :3]

    def luminance(rgb):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return np.dot([0.2126, 0.7152, 0.0722], linear)

    def contrast(ink, place):
        one, other = sorted((luminance(to_rgb(ink)), luminance(colors[place])))
        return (other + 0.05) / (one + 0.05)

    for text in axis.texts:
        x, y = text.get_position()
        assert contrast(text.get_color(), (round(y), round(x))) > 4.5
    dashed = next(p for p in axis.patches if p.get_linewidth() < 2)
    assert contrast(to_hex(dashed.get_edgecolor()), (1, 1)) > 4.5


def test_points_without_a_value_say_why(swept):
    spec = figure(swept)
    fill(swept, spec, ours=[[None, "diverged", 91.0], [90.0, None, None]])
    (axis,) = panels(drawn(swept, spec))
    assert texts(axis) == [
        [["–", "paper 89.00"], ["diverged", "paper 89.04"], ["91.00"]],
        [["90.00"], ["–", "paper 89.18"], ["–"]],
    ]
    assert frames(axis) == {"solid": (1, 0), "dashed": (0, 0)}
    assert to_hex(axis.images[0].to_rgba(np.array([np.nan]))[0]) == "#ffffff"


def test_every_group_has_a_panel_with_its_own_colours(swept):
    spec = figure(swept, groups=["Yahoo", "OMNIGLOT"])
    fill(swept, spec)
    yahoo, omniglot = panels(drawn(swept, spec))
    assert (yahoo.get_title(), omniglot.get_title()) == ("Yahoo", "OMNIGLOT")
    assert texts(yahoo)[0][0] == ["90.25", "paper 327.0"]
    assert frames(yahoo) == {"solid": (1, 1)}


def test_a_group_that_is_not_measured_is_said_and_left_out(swept):
    part = figure(swept, groups=["Yahoo"], best={})
    fill(swept, part)
    drawing = drawn(swept, figure(swept, groups=["Yahoo", "OMNIGLOT"]))
    assert [axis.get_title() for axis in panels(drawing)] == ["Yahoo"]
    assert drawing.statement == "paper scale, seed 0, OMNIGLOT not measured yet"


@pytest.mark.parametrize("scale", ["paper", "small"])
def test_scale_and_seed_are_stated(scale, swept):
    spec = figure(swept)
    fill(swept, spec, scale)
    drawing = drawn(swept, spec, scale)
    assert drawing.statement == f"{scale} scale, seed 0"
    title = "" if scale == "paper" else "toy-figure, small scale: not comparable with the paper"
    assert drawing.figure.get_suptitle() == title


@pytest.mark.parametrize("scale", ["paper", "small"])
def test_without_values_it_tells_what_measures_them(scale, swept):
    option = "" if scale == "paper" else " --scale small"
    with pytest.raises(UserError) as caught:
        drawn(swept, figure(swept), scale)
    assert str(caught.value) == (
        f"toy-figure: nothing of 'NLL' is measured yet; `vaebench run toy-figure{option}` does it"
    )


def test_the_same_values_give_the_same_file(swept, tmp_path):
    spec = figure(swept)
    fill(swept, spec)
    files = [tmp_path / f"{i}.svg" for i in (1, 2)]
    for path in files:
        save(drawn(swept, spec), path)
    assert files[0].read_bytes() == files[1].read_bytes()
