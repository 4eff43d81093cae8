"""Planes of codes: what is drawn of the mixture and of each model, and where."""

import math

import numpy as np
import pytest
from matplotlib.colors import to_hex

from vaebench.errors import UserError
from vaebench.registry.figure_spec import FigureSpec
from vaebench.registry.runs import Evaluation
from vaebench.results.figures import draw, save
from vaebench.results.figures.latent_density import _COLOURS

CENTRES = [[0, 0], [-2, -1], [1, 2]]
FIGURE = FigureSpec.model_validate({
    "figure": "toy-figure",
    "paper": "igp",
    "caption": "",
    "kind": "latent-density",
    "mixture": {"title": "(a) True σ_z²", "centres": CENTRES, "deviation": 0.7, "draws": 3000},
    "panels": [
        {"title": f"({c}) {row}", "table": "toy", "row": row, "group": "G", "evaluation": "plane"}
        for c, row in (("b", "A"), ("c", "B"))
    ],
})  # fmt: skip
PLACES = np.linspace(-3, 3, 31)
LABELS = np.array([0, 1, 2, 1])
MEANS = {"A": np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5], [-2.5, 0.0]])}
MEANS["B"] = -MEANS["A"]


def density(row):
    """A hill at (1, -2), as high as the row's number."""
    hill = np.exp(-((PLACES - 1) ** 2)) * np.exp(-((PLACES[:, None] + 2) ** 2))
    return hill * {"A": 1.0, "B": 0.02}[row]


def filled(toy, scale="paper"):
    toy.spec["columns"] = {"One": toy.spec["columns"]["One"]}
    del toy.spec["select"]
    for row in "AB":
        toy.done(row, 0, toy.fit(1.0, 1.0), scale=scale)
        path = toy.store.array(toy.run(row, 0, scale=scale).id, Evaluation("plane", {}))
        path.parent.mkdir(parents=True)
        arrays = {"density": density(row), "means": MEANS[row], "labels": LABELS}
        np.savez_compressed(path, places=PLACES, **arrays)
    return toy


def drawn(toy, scale="paper"):
    return draw(FIGURE, {"toy": toy.expansion(scale)}, toy.store, scale)


def lines(drawing):
    """The upper and the lower panels."""
    axes = drawing.figure.axes
    tops = [axis for axis in axes if axis.get_title()]
    return tops, [axis for axis in axes if axis not in tops]


def points(axis):
    """The points of a panel and their colours."""
    (group,) = axis.collections
    return np.asarray(group.get_offsets()), [to_hex(colour) for colour in group.get_facecolors()]


def levels(axis):
    """Filled levels, and the lines between them."""
    filled, lines = axis.collections
    return np.asarray(filled.levels), np.asarray(lines.levels)


def test_a_column_a_plane_after_the_mixture(toy):
    tops, _ = lines(drawn(filled(toy)))
    titles = [axis.get_title() for axis in tops]
    assert titles == ["(a) True $σ_{z}^{2}$", "(b) A", "(c) B"]


def test_all_panels_show_the_same_part_of_the_plane(toy):
    drawing = drawn(filled(toy))
    drawing.figure.draw_without_rendering()
    boxes = set()
    for axis in drawing.figure.axes:
        assert axis.get_xlim() == axis.get_ylim() == (-3, 3)
        assert list(axis.get_xticks()) == list(axis.get_yticks()) == [-2, 0, 2]
        box = axis.get_window_extent()
        assert box.width == pytest.approx(box.height)
        boxes.add(round(box.width, 3))
    assert len(boxes) == 1


def test_contours_go_up_to_the_maximum_of_their_panel(toy):
    (_, one, other), _ = lines(drawn(filled(toy)))
    for axis, row in ((one, "A"), (other, "B")):
        steps, between = levels(axis)
        np.testing.assert_allclose(steps, np.linspace(0, density(row).max(), 10))
        np.testing.assert_allclose(between, steps[1:-1])
        # The innermost line runs around the hill, whose second coordinate is drawn upwards.
        inner = axis.collections[1].get_paths()[-1]
        assert np.abs(inner.vertices.mean(0) - [1, -2]).max() < 0.3


def test_means_have_the_colour_of_their_class(toy):
    _, (_, one, other) = lines(drawn(filled(toy)))
    for axis, row in ((one, "A"), (other, "B")):
        found, colours = points(axis)
        np.testing.assert_array_equal(found, MEANS[row])
        assert colours == [_COLOURS[label] for label in LABELS]


def test_the_mixture_is_drawn_as_it_is(toy):
    """Its draws have its moments; its highest contour is a part of its highest density."""
    (top, *_), (below, *_) = lines(drawn(filled(toy)))

    def p(x, y):
        squares = [((x - a) ** 2 + (y - b) ** 2) / 0.49 for a, b in CENTRES]
        return sum(math.exp(-s / 2) for s in squares) / (3 * 2 * math.pi * 0.49)

    highest = max(p(x, y) for x in PLACES for y in PLACES)
    assert levels(top)[0][-1] == pytest.approx(highest)
    found, colours = points(below)
    assert len(found) == 3000
    for centre, colour in zip(CENTRES, _COLOURS, strict=False):
        own = found[[c == colour for c in colours]]
        assert abs(len(own) - 1000) < 5 * (3000 * 2 / 9) ** 0.5
        error = 0.7 / len(own) ** 0.5
        assert np.abs(own.mean(0) - centre).max() < 5 * error
        assert np.abs(own.std(0) - 0.7).max() < 5 * error


def test_the_scale_is_written_on_it(toy, tmp_path):
    drawing = drawn(filled(toy, "small"), "small")
    assert drawing.statement == "small scale, seed 0"
    assert "not comparable" in drawing.figure.get_suptitle()
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path in paths:
        save(drawn(toy, "small"), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_is_lacking_is_told(toy):
    toy = filled(toy)
    toy.store.array(toy.run("A", 0).id, Evaluation("plane", {})).unlink()
    with pytest.raises(UserError, match=r"the panel '\(b\) A' has no images yet; `vaebench run t"):
        drawn(toy)
