"""Figures: which images, which curves, and files that are the same for the same records."""

import errno

import numpy as np
import pytest

from vaebench.errors import UserError
from vaebench.registry.figure_spec import FigurePanel, FigureSpec
from vaebench.registry.runs import Evaluation
from vaebench.results.figures import draw as draw_figure
from vaebench.results.figures import drawing, learning_curves, save
from vaebench.results.figures.grids import tile
from vaebench.store.atomic import write_bytes

PANELS = tuple(
    FigurePanel(
        title=f"Panel {row}",
        table="toy",
        row=row,
        group="G",
        evaluation="pictures",
        parameters={"count": 5},
    )
    for row in ("A", "B")
)
FIGURE = FigureSpec(figure="toy-figure", paper="igp", caption="", kind="image-grid", panels=PANELS)
PICTURES = Evaluation("pictures", {"count": 5})


def paint(toy, row, seed, gray, folder):
    """Five gray images as an evaluation leaves them."""
    path = toy.store.array(toy.run(row, seed).id, PICTURES)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "images.npz", images=np.full((5, 2, 3), gray, np.uint8))
    write_bytes(path, (folder / "images.npz").read_bytes())


@pytest.fixture
def painted(toy, tmp_path):
    """Two finished seeds a row; seed 1 is the better one of A, seed 0 of B."""
    for row, elbos in (("A", (2.0, 1.0)), ("B", (1.0, 2.0))):
        for seed, elbo in enumerate(elbos):
            toy.done(row, seed, toy.fit(1.0, 1.0, elbo))
            paint(toy, row, seed, 10 * seed + (100 if row == "A" else 200), tmp_path)
    return toy


def draw(toy, scale="paper", **how):
    return draw_figure(FIGURE, {"toy": toy.expansion(scale, **how)}, toy.store, scale)


def shown(drawing):
    """The arrays of the panels."""
    return [np.asarray(axis.images[0].get_array()) for axis in drawing.figure.axes]


def test_tiles_fill_rows_from_the_left():
    images = np.arange(1, 6, dtype=np.uint8)[:, None, None] * np.ones((5, 2, 3), np.uint8)
    grid = tile(images)
    assert grid.shape == (2 * 2, 3 * 3)
    assert grid[::2, ::3].tolist() == [[1, 2, 3], [4, 5, 0]]
    assert (grid[:2, :3] == 1).all() and (grid[2:, 3:6] == 5).all()


def test_tiles_keep_colours():
    images = np.arange(5 * 2 * 3 * 3, dtype=np.uint8).reshape(5, 2, 3, 3)
    grid = tile(images)
    assert grid.shape == (2 * 2, 3 * 3, 3)
    assert (grid[2:, 3:6] == images[4]).all() and (grid[2:, 6:] == 0).all()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 9, 10, 100])
def test_tiles_hold_every_image_once(count):
    images = np.arange(1, count + 1, dtype=np.int32)[:, None, None]
    grid = tile(images)
    assert sorted(grid[grid > 0]) == list(range(1, count + 1))
    rows, columns = grid.shape
    assert columns - 1 <= rows <= columns or rows * columns - count < columns


def test_each_panel_shows_the_seed_that_the_table_selects(painted):
    drawing = draw(painted)
    assert [int(image.max()) for image in shown(drawing)] == [110, 200]
    assert drawing.statement == "paper scale, Panel A seed 1, Panel B seed 0"
    assert [axis.get_title() for axis in drawing.figure.axes] == ["Panel A", "Panel B"]
    assert drawing.figure.get_suptitle() == ""


def test_a_panel_is_of_all_seeds_even_if_the_first_column_is_of_one(painted):
    columns = painted.spec["columns"]
    painted.spec["columns"] = {name: columns[name] for name in ("One", "Kind", "AU", "Rec.", "KL")}
    assert draw(painted).statement == "paper scale, Panel A seed 1, Panel B seed 0"


def test_a_reduced_scale_is_written_on_the_figure(painted, tmp_path):
    for row in ("A", "B"):
        painted.done(row, 0, painted.fit(1.0, 1.0), scale="small")
        run = painted.run(row, 0, scale="small")
        path = painted.store.array(run.id, PICTURES)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, images=np.zeros((5, 2, 3), np.uint8))
    title = draw(painted, "small").figure.get_suptitle()
    assert title == "toy-figure, small scale: not comparable with the paper"


@pytest.mark.parametrize("scale", ["paper", "small"])
def test_a_panel_without_images_tells_what_makes_them(scale, toy):
    toy.done("A", 0, toy.fit(1.0, 1.0), scale=scale)
    with pytest.raises(UserError) as caught:
        draw(toy, scale)
    option = "" if scale == "paper" else " --scale small"
    assert f"'Panel A' has no images yet; `vaebench run toy-figure{option}`" in str(caught.value)


def test_a_row_that_was_left_out_is_told(painted):
    with pytest.raises(UserError, match=r"'Panel B' needs the row 'B' of toy, which --only"):
        draw(painted, only=("A",))


def curves(toy, **how):
    return learning_curves(toy.expansion(**how), toy.store, "paper")


def test_curves_are_means_over_seeds_with_their_range(toy):
    toy.done("A", 0, loss=(10.0, 4.0, 2.0))
    toy.done("A", 1, loss=(20.0, 6.0, 2.0))
    toy.done("B", 0, loss=(7.0, 5.0))
    drawing = curves(toy)
    (axis,) = drawing.figure.axes
    lines = {line.get_label(): line for line in axis.lines}
    assert list(lines) == ["A", "B"]
    assert list(lines["A"].get_xdata()) == [1, 2, 3]
    assert list(lines["A"].get_ydata()) == [15.0, 5.0, 2.0]
    assert list(lines["B"].get_ydata()) == [7.0, 5.0]
    assert "3 runs" in drawing.statement
    band = axis.collections[0].get_paths()[0].vertices
    assert {10.0, 20.0} <= set(band[band[:, 0] == 1][:, 1])
    assert axis.get_ylabel() == "training loss (nats)"


def test_a_diverged_run_is_drawn_as_far_as_it_went(toy):
    toy.done("A", 0, loss=(3.0, 2.0))
    toy.diverged("B", 0)
    assert [line.get_label() for line in curves(toy).figure.axes[0].lines] == ["A", "B"]


def test_no_finished_run_has_no_curve(toy):
    toy.failed("A", 0)
    with pytest.raises(UserError, match="toy has no finished run at paper scale"):
        curves(toy)


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_the_same_records_give_the_same_file(form, painted, tmp_path):
    for make in (draw, curves):
        files = [tmp_path / "one" / f"figure.{form}", tmp_path / "two" / f"figure.{form}"]
        for path in files:
            save(make(painted), path)
        assert files[0].read_bytes() == files[1].read_bytes()
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert files[0].read_bytes().startswith(heads[form])


def test_a_figure_that_cannot_be_written_leaves_the_old_one(painted, tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    save(draw(painted), path)
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(drawing, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save(curves(painted), path)
    assert path.read_bytes() == before
