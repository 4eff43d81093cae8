"""Grids whose images take turns, panels in lines, and pictures made on another view of the data."""

import itertools

import numpy as np
import pytest

from vaebench.errors import UserError
from vaebench.registry.figure_spec import FigureSpec
from vaebench.registry.runs import Evaluation
from vaebench.results.figures import draw, save
from vaebench.results.figures.drawing import DPI
from vaebench.results.figures.grids import take_turns, tile

HEAD = {"figure": "toy-figure", "paper": "igp", "caption": ""}
AT = {"table": "toy", "group": "G"}
TRIPLES = {**AT, "over": "(a) γ = 0.1", "evaluation": "triples", "row": "A"}
GRIDS = FigureSpec.model_validate({
    **HEAD,
    "kind": "image-grid",
    "panels": [
        {**TRIPLES, "line": "MNIST", "title": "original", "array": "originals"},
        {**AT, "line": "MNIST", "title": "(b)", "row": "A", "evaluation": "samples"},
        {**TRIPLES, "line": "MNIST", "title": "A", "array": "reconstructions"},
        {**TRIPLES, "line": "MNIST", "title": "B", "row": "B", "array": "reconstructions"},
        {**AT, "line": "OMNIGLOT", "title": "(c)", "row": "B", "evaluation": "samples"},
    ],
})  # fmt: skip
MAPS = FigureSpec.model_validate({
    **HEAD,
    "kind": "scatter",
    "panels": [
        {**AT, "title": title, "line": line, "row": row, "evaluation": "map"}
        for title, line, row in (
            ("VAE", None, "A"), ("VLAE", None, "B"), ("η = 0.5", "γ = 0.1", "A"),
            ("η = 1", "γ = 0.1", "B"), ("η = 0.5", "γ = 1", "B"),
        )
    ],
})  # fmt: skip


def gray(levels, size=(4, 3), channels=()):
    """Images, each of one level: [N, *size, *channels]."""
    levels = np.asarray(levels, np.uint8)
    shape = (len(levels), *size, *channels)
    return np.broadcast_to(levels.reshape(-1, *[1] * (len(shape) - 1)), shape)


def put(toy, row, evaluation, scale, **arrays):
    path = toy.store.array(toy.run(row, 0, scale=scale).id, evaluation)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


@pytest.fixture
def single(toy):
    """The toy table with a single column and no criterion; the first seed is finished."""
    del toy.spec["select"]
    toy.spec["columns"] = {"One": toy.spec["columns"]["One"]}
    for scale, row in itertools.product(("paper", "small"), "AB"):
        toy.done(row, 0, toy.fit(1.0, 1.0), scale=scale)
    return toy


def fill_grids(toy, scale="paper", size=(28, 28), channels=()):
    """27 sets, of which the i-th is i, 100 + i and 200 + i, and 81 samples."""
    numbers = np.arange(27)
    for row, first in (("A", 100), ("B", 200)):
        put(
            toy, row, Evaluation("triples"), scale,
            originals=gray(numbers, size, channels),
            reconstructions=gray(first + numbers, size, channels),
        )  # fmt: skip
        put(toy, row, Evaluation("samples"), scale, images=gray(np.arange(81), size, channels))


def drawn(spec, toy, scale="paper"):
    return draw(spec, {"toy": toy.expansion(scale)}, toy.store, scale)


def shown(drawing):
    """The pictures by title."""
    return {
        axis.get_title(): np.asarray(axis.images[0].get_array()) for axis in drawing.figure.axes
    }


def test_images_take_turns_in_sets_with_white_between_them():
    series = [gray([1, 2, 3, 4]), gray([11, 12, 13, 14])]
    grid = take_turns(series)
    assert grid.shape == (2 * 4, 2 * (2 * 3) + 2)
    assert [[int(x) for x in row] for row in grid[::4]] == [
        [1, 1, 1, 11, 11, 11, 255, 255, 2, 2, 2, 12, 12, 12],
        [3, 3, 3, 13, 13, 13, 255, 255, 4, 4, 4, 14, 14, 14],
    ]
    assert (np.diff(grid.reshape(2, 4, -1), axis=1) == 0).all()


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize(("kinds", "sets"), [(1, 7), (2, 5), (3, 1), (3, 4), (3, 27), (4, 9)])
def test_no_set_is_broken_and_the_grid_is_nearly_square(kinds, sets, channels):
    series = [gray(1 + sets * kind + np.arange(sets), (5, 4), channels) for kind in range(kinds)]
    grid = take_turns(series)
    width = grid.shape[1] + 2
    assert grid.shape[0] % 5 == 0 and width % (4 * kinds + 2) == 0 and grid.shape[2:] == channels
    down, across = grid.shape[0] // 5, width // (4 * kinds + 2)
    assert (across - 1) * kinds < np.sqrt(kinds * sets) <= across * kinds  # as narrow as can be
    for i in range(sets):
        line, place = divmod(i, across)
        left = place * (4 * kinds + 2)
        found = grid[5 * line : 5 * line + 5, left : left + 4 * kinds]
        assert (found == np.concatenate([images[i] for images in series], axis=1)).all()
    assert down == -(-sets // across)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_twenty_seven_triples_and_eighty_one_samples_are_nine_by_nine(channels, single):
    fill_grids(single, channels=channels)
    drawing = drawn(GRIDS, single)
    pictures = shown(drawing)
    assert list(pictures) == ["(a) $γ$ = 0.1", "(b)", "(c)"]
    triples = pictures["(a) $γ$ = 0.1"]
    assert triples.shape == (9 * 28, 9 * 28 + 2 * 2, *channels)
    lefts = [28 * i + 2 * (i // 3) for i in range(9)]
    levels = triples[::28, lefts].reshape(9, 9, -1)[..., 0].astype(int)
    numbers = np.arange(27)[:, None]
    assert (levels == np.hstack([numbers, 100 + numbers, 200 + numbers]).reshape(9, 9)).all()
    for name in ("(b)", "(c)"):
        assert pictures[name].shape == (252, 252, *channels)
        assert (pictures[name] == tile(gray(np.arange(81), (28, 28), channels))).all()
    first, *others = drawing.figure.axes
    assert [text.get_text() for text in first.texts] == ["original", "A", "B"] * 3
    assert [text.xy[0] + 0.5 for text in first.texts] == [left + 14 for left in lefts]
    assert not any(axis.texts for axis in others)
    assert drawing.statement == "paper scale, seed 0"


@pytest.mark.parametrize("scale", ["paper", "small"])
@pytest.mark.parametrize("size", [28, 32])
def test_grids_stand_in_their_lines_and_nothing_overlaps(scale, size, single):
    fill_grids(single, scale, (size, size))
    figure = drawn(GRIDS, single, scale).figure
    figure.set_dpi(DPI)
    figure.canvas.draw()
    triples, samples, below = figure.axes
    labels = [text for text in figure.texts if text.get_rotation() == 90]
    assert [text.get_text() for text in labels] == ["MNIST", "OMNIGLOT"]
    parts = [*figure.axes, *figure.texts, *triples.texts, *(a.title for a in figure.axes)]
    boxes = [part.get_window_extent() for part in parts]
    for one, other in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        down = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across < 0.5 or down < 0.5
    whole = figure.bbox
    for box in boxes:
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1
        assert whole.y0 <= box.y0 and box.y1 <= whole.y1
    boxes = {axis: axis.get_window_extent() for axis in figure.axes}
    for axis, box in boxes.items():
        height, width = axis.images[0].get_array().shape
        for length in (box.width / width, box.height / height, box.x0, box.y0):
            assert length == pytest.approx(round(length), abs=1e-6)
        assert box.width == pytest.approx(2 * width)
    assert boxes[triples].y1 == pytest.approx(boxes[samples].y1)
    assert boxes[below].y1 < boxes[triples].y0 and boxes[below].x0 < boxes[triples].x1
    for label, axis in zip(labels, (triples, below), strict=True):
        box = label.get_window_extent()
        assert box.x1 < boxes[axis].x0 and boxes[axis].y0 < box.y0 < box.y1 < boxes[axis].y1


def test_series_of_different_lengths_cannot_take_turns(single):
    fill_grids(single, size=(4, 4))
    images = gray([1, 2], (4, 4))
    put(single, "B", Evaluation("triples"), "paper", reconstructions=images)
    with pytest.raises(UserError) as caught:
        drawn(GRIDS, single)
    told = "images under '(a) γ = 0.1' cannot take turns: (27, 4, 4) and (27, 4, 4) and (2, 4, 4)"
    assert str(caught.value) == f"toy-figure: {told}"


def test_a_missing_series_is_told(single):
    fill_grids(single, size=(4, 4))
    single.store.array(single.run("B", 0).id, Evaluation("triples")).unlink()
    with pytest.raises(UserError, match=r"'MNIST, \(a\) γ = 0.1, B' has no images yet; `vaebench"):
        drawn(GRIDS, single)


def test_maps_stand_in_their_lines(single, tmp_path):
    points = np.stack([np.arange(9.0), np.arange(9.0) ** 2], axis=1)
    for row, labels in (("A", np.arange(9)), ("B", np.arange(9) + 1)):
        put(single, row, Evaluation("map"), "paper", points=points, labels=labels)
    drawing = drawn(MAPS, single)
    axes = drawing.figure.axes
    titles = ["VAE", "VLAE", "$η$ = 0.5", "$η$ = 1", "$η$ = 0.5"]
    assert [axis.get_title() for axis in axes] == titles
    assert [axis.get_ylabel() for axis in axes] == ["", "", "$γ$ = 0.1", "", "$γ$ = 1"]
    places = [axis.get_subplotspec() for axis in axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [
        (0, 0), (0, 1), (1, 0), (1, 1), (2, 0),
    ]  # fmt: skip
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*map(str, range(10))]
    drawing.figure.set_dpi(DPI)
    drawing.figure.canvas.draw()
    whole, box = drawing.figure.bbox, legend.get_window_extent()
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and box.y1 < axes[-1].get_window_extent().y0
    files = [tmp_path / f"{i}.svg" for i in (1, 2)]
    for path in files:
        save(drawn(MAPS, single), path)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_panel_shows_what_was_made_on_its_view_of_the_data(single):
    panel = GRIDS.panels[1].model_copy(update={"line": None})
    put(single, "A", Evaluation("samples"), "paper", images=gray([10]))
    run = single.run("A", 0)
    binary = run.data.model_copy(update={"pixels": "binary"})
    put(single, "A", Evaluation("samples", data=binary), "paper", images=gray([20]))
    for data, level in (({}, 10), ({"pixels": "binary"}, 20)):
        one = GRIDS.model_copy(update={"panels": (panel.model_copy(update={"data": data}),)})
        assert (shown(drawn(one, single))["(b)"] == level).all()
    other = panel.model_copy(update={"data": {"held_out": 50}})
    with pytest.raises(UserError, match="has no images yet"):
        drawn(GRIDS.model_copy(update={"panels": (other,)}), single)
