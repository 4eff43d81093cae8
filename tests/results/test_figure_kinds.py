"""Perturbations, galleries, blocks, latent maps and line plots, with arrays of chosen content."""

import dataclasses
import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

from vaebench.data import catalog
from vaebench.errors import UserError
from vaebench.registry.figure_spec import FigureSpec
from vaebench.registry.runs import Evaluation
from vaebench.results.figures import draw, save
from vaebench.results.figures.drawing import DPI, mathtext
from vaebench.results.figures.latent_density import _COLOURS
from vaebench.results.figures.scatter import _CLASSES, _PRIOR

HEAD = {"figure": "toy-figure", "paper": "igp", "caption": ""}
PERTURBATIONS = FigureSpec.model_validate({
    **HEAD,
    "kind": "perturbations",
    "shared": {"table": "toy", "group": "G", "evaluation": "perturbed"},
    "columns": [
        {"over": "Stochastic", "title": "s_z² = 10⁻²", "parameters": {"s": 0.01}},
        {"over": "Stochastic", "title": "s_z² = 10⁻³", "parameters": {"s": 0.001}},
        {"over": "Deterministic", "title": "s_z² = 10⁻²", "parameters": {"s": 0.1}},
    ],
    "lines": [{"line": "σ_x² = 1.0", "row": "A"}, {"line": "σ_x² = 0.1", "row": "B"}],
})  # fmt: skip
GALLERY = FigureSpec.model_validate({
    **HEAD,
    "kind": "gallery",
    "shared": {"table": "toy", "group": "G"},
    "columns": [
        {"title": "Reconstructions", "evaluation": "rec", "array": "reconstructions"},
        {"over": "Random samples", "title": "Prior", "evaluation": "prior"},
        {"over": "Random samples", "title": "GMM-10", "evaluation": "gmm"},
    ],
    "lines": [
        {"line": "GT", "row": "A", "only": ["Reconstructions"], "array": "originals"},
        {"line": "VAE (σ_x² = 1.0)", "row": "A"},
        {"line": "AE", "row": "B", "only": ["Reconstructions", "GMM-10"]},
    ],
})  # fmt: skip
BLOCKS = FigureSpec.model_validate({
    **HEAD,
    "kind": "image-blocks",
    "shared": {"table": "toy", "group": "G"},
    "columns": [
        {"title": "(a) Samples", "evaluation": "prior"},
        {"title": "(b) Interpolation", "evaluation": "ways", "array": "interpolations"},
    ],
    "lines": [{"line": "VAE", "row": "A"}, {"line": "AE", "row": "B"}],
})  # fmt: skip
SCATTER = FigureSpec.model_validate({
    **HEAD,
    "kind": "scatter",
    "panels": [
        {"title": f"({c}) log σ_x² = -0.2", "table": "toy", "row": row, "group": "G",
         "evaluation": "latent_map"}
        for c, row in (("a", "A"), ("b", "B"))
    ],
})  # fmt: skip
AXES = {"table": "toy", "groups": ["Stochastic encoding"], "against": "log σ_x^2"}
PLOT = FigureSpec.model_validate({
    **HEAD,
    "kind": "line-plot",
    "axes": [
        {**AXES, "title": "σ_z²", "column": "σ_z^2"},
        {**AXES, "title": "MSE", "column": "MSE"},
        {**AXES, "title": "MI", "column": "MI"},
    ],
})  # fmt: skip
# log σ_x² of the rows: our σ_z², MSE and MI.
OURS = {"0.0": (1.0, 50.0, -0.02), "-0.5": (0.02, 10.0, 25.0), "-1.0": (0.004, 7.0, 80.0)}


def gray(levels, channels=()):
    """Images of 4 by 3 pixels, each of one level: [..., 4, 3, channels]."""
    levels = np.asarray(levels, np.uint8)
    return np.broadcast_to(
        levels[(..., *[None] * (2 + len(channels)))], (*levels.shape, 4, 3, *channels)
    )


def put(toy, row, evaluation, parameters=None, scale="paper", seed=0, **arrays):
    """Arrays as an evaluation leaves them."""
    run = toy.run(row, seed, scale=scale)
    path = toy.store.array(run.id, Evaluation(evaluation, parameters or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


def fill_perturbations(toy, scale, channels=()):
    for panel in PERTURBATIONS.all_panels():
        put(
            toy, panel.row, "perturbed", panel.parameters, scale,
            originals=gray([10, 20], channels),
            reconstructions=gray([30, 40], channels),
            decodings=gray([[50, 60, 70], [80, 90, 100]], channels),
        )  # fmt: skip


def fill_gallery(toy, scale, channels=()):
    for row, level in (("A", 10), ("B", 50)):
        mean = gray([level] * 3, channels)
        put(toy, row, "rec", scale=scale, originals=gray([1, 2, 3], channels), reconstructions=mean)
        put(toy, row, "gmm", scale=scale, images=gray([level + 2] * 3, channels))
    put(toy, "A", "prior", scale=scale, images=gray([11] * 3, channels))


def fill_blocks(toy, scale, channels=()):
    for row in "AB":
        put(toy, row, "prior", scale=scale, images=gray([1, 2, 3, 4, 5], channels))
        put(
            toy, row, "ways", scale=scale,
            sources=gray([10, 20], channels),
            targets=gray([30, 40], channels),
            interpolations=gray([[50, 60, 70], [80, 90, 100]], channels),
        )  # fmt: skip


def fill_scatter(toy, scale):
    points = np.stack([np.arange(12.0), np.arange(12.0) ** 2], axis=1)
    labels = np.array([*range(10), -1, -1])
    for row in "AB":
        put(toy, row, "latent_map", scale=scale, points=points, labels=labels)


FILL = {
    "perturbations": (PERTURBATIONS, fill_perturbations),
    "gallery": (GALLERY, fill_gallery),
    "image-blocks": (BLOCKS, fill_blocks),
    "scatter": (SCATTER, fill_scatter),
}
each_kind = pytest.mark.parametrize("kind", FILL)


@pytest.fixture
def single(toy):
    """The toy table with single columns alone and no criterion; the first seed is finished."""
    del toy.spec["select"]
    toy.spec["columns"] = {"One": toy.spec["columns"]["One"]}
    for scale, row in itertools.product(("paper", "small"), "AB"):
        toy.done(row, 0, toy.fit(1.0, 1.0), scale=scale)
    return toy


@pytest.fixture
def table1(toy):
    """A table beside the print of AR-ELBO's Table 1, with our numbers."""
    del toy.spec["select"]
    column = toy.spec["columns"]["One"]
    names = {"σ_z^2": "rec", "MSE": "kl", "MI": "elbo"}
    group = "Stochastic encoding"
    method = toy.spec["rows"]["A"]
    toy.spec |= {
        "published": "ar-elbo-table1",
        "columns": {name: {**column, "value": value} for name, value in names.items()},
        "groups": {group: toy.spec["groups"]["G"]},
        "rows": {f"log σ_x^2 = {x}": {**method, "arguments": {"posterior": f"p{x}"}} for x in OURS},
        "scales": {},
    }
    return toy


def measured(toy):
    for x, values in OURS.items():
        toy.done(f"log σ_x^2 = {x}", 0, toy.fit(*values))
    return toy


def drawn(spec, toy, scale="paper"):
    return draw(spec, {"toy": toy.expansion(scale)}, toy.store, scale)


def pictures(drawing):
    """The arrays of the pictures by the places of their left upper corners, in dots."""
    width, height = drawing.figure.get_size_inches() * DPI
    found = {}
    for axis in drawing.figure.axes:
        box = axis.get_position()
        corner = round(box.x0 * width), round((1 - box.y1) * height)
        found[corner] = np.asarray(axis.images[0].get_array())
    return found


def places(drawing):
    """Line and column of each picture, counted from the left upper one."""
    found = pictures(drawing)
    lefts, tops = (sorted({corner[i] for corner in found}) for i in (0, 1))
    return {(tops.index(y), lefts.index(x)): image for (x, y), image in found.items()}


def levels(image, edge):
    """The gray levels of a picture's images: [rows, columns]; the white around each is checked."""
    high, wide = 4 + 2 * edge, 3 + 2 * edge
    rows, columns = image.shape[0] // high, image.shape[1] // wide
    parts = image.reshape(rows, high, columns, wide, -1).swapaxes(1, 2)
    inner = parts[:, :, edge:-edge, edge:-edge]
    assert (inner == inner[:, :, :1, :1]).all()
    whole = np.pad(np.zeros((4, 3), bool), edge, constant_values=True)
    assert (parts[:, :, whole] == 255).all()
    return inner[:, :, 0, 0, 0].tolist()


@pytest.mark.parametrize("channels", [(), (3,)])
def test_perturbed_decodings_follow_the_original_and_the_mean(channels, single):
    fill_perturbations(single, "paper", channels)
    drawing = drawn(PERTURBATIONS, single)
    found = places(drawing)
    assert found.keys() == set(itertools.product(range(2), range(3)))
    for image in found.values():
        assert image.ndim == 2 + len(channels)
        assert levels(image, 2) == [[10, 30, 50, 60, 70], [20, 40, 80, 90, 100]]


@pytest.mark.parametrize("kind", ["perturbations", "image-blocks"])
def test_originals_are_framed_red_and_reconstructions_or_targets_blue(kind, single):
    spec, fill = FILL[kind]
    fill(single, "paper")
    for axis in drawn(spec, single).figure.axes:
        frames = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
        assert len(frames) == (0 if axis.images[0].get_array().min() == 1 else 4)
        for frame in frames:
            # Array indices are the middles of pixels, so the edges lie between two of them.
            x, y = np.ceil(frame.get_xy()).astype(int)
            inside = axis.images[0].get_array()[y + 1 : y + 5, x + 1 : x + 4]
            r, _, b = to_rgb(frame.get_edgecolor())
            wanted = {10, 20} if r > b else {30, 40}
            assert set(np.unique(inside)) < wanted
            assert (frame.get_width(), frame.get_height()) == (4, 5)


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_gallery_has_a_line_a_method_and_gaps_where_there_is_nothing(channels, single):
    fill_gallery(single, "paper", channels)
    drawing = drawn(GALLERY, single)
    strips = {place: levels(image, 1) for place, image in places(drawing).items()}
    assert strips == {
        (0, 0): [[1, 2, 3]],
        (1, 0): [[10] * 3],
        (1, 1): [[11] * 3],
        (1, 2): [[12] * 3],
        (2, 0): [[50] * 3],
        (2, 2): [[52] * 3],
    }
    texts = [text.get_text() for text in drawing.figure.texts]
    assert texts[:3] == ["GT", "VAE ($σ_{x}^{2}$ = 1.0)", "AE"]
    assert sorted(texts[3:]) == ["GMM-10", "Prior", "Random samples", "Reconstructions"]


@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_block_is_a_square_of_samples_or_a_row_from_a_source_to_its_target(channels, single):
    fill_blocks(single, "paper", channels)
    found = {place: levels(image, 2) for place, image in places(drawn(BLOCKS, single)).items()}
    assert found.keys() == set(itertools.product(range(2), range(2)))
    for line in range(2):
        assert found[line, 0] == [[1, 2, 3], [4, 5, 255]]
        assert found[line, 1] == [[10, 50, 60, 70, 30], [20, 80, 90, 100, 40]]


@pytest.mark.parametrize("scale", ["paper", "small"])
@pytest.mark.parametrize("kind", ["perturbations", "gallery", "image-blocks"])
def test_nothing_overlaps_and_pixels_are_whole_dots(kind, scale, single):
    spec, fill = FILL[kind]
    fill(single, scale)
    figure = drawn(spec, single, scale).figure
    figure.set_dpi(DPI)
    figure.canvas.draw()
    boxes = [artist.get_window_extent() for artist in (*figure.axes, *figure.texts)]
    for one, other in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        down = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across < 0.5 or down < 0.5
    whole = figure.bbox
    for box in boxes:
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1
        assert whole.y0 <= box.y0 and box.y1 <= whole.y1
    for axis in figure.axes:
        box, (height, width) = axis.get_window_extent(), axis.images[0].get_array().shape[:2]
        assert box.width / width == pytest.approx(box.height / height)
        for length in (box.width / width, box.x0, box.y0):
            assert length == pytest.approx(round(length), abs=1e-6)


def test_a_latent_map_colours_the_classes_and_the_prior(single):
    fill_scatter(single, "paper")
    drawing = drawn(SCATTER, single)
    for axis in drawing.figure.axes:
        found = {}
        for group in axis.collections:
            colors = group.get_facecolors()
            points = group.get_offsets()
            colors = np.broadcast_to(colors, (len(points), 4))
            found |= {int(x): (y, to_hex(c)) for (x, y), c in zip(points, colors, strict=True)}
        assert {x: y for x, (y, _) in found.items()} == {x: x**2 for x in range(12)}
        assert [found[x][1] for x in range(10)] == [color for color, _ in _CLASSES[:10]]
        assert found[10][1] == found[11][1] == _PRIOR
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*map(str, range(10)), "prior"]
    titles = [axis.get_title() for axis in drawing.figure.axes]
    assert titles == ["(a) log $σ_{x}^{2}$ = −0.2", "(b) log $σ_{x}^{2}$ = −0.2"]


def test_a_map_of_codes_alone_has_no_prior_and_fourteen_different_marks(single):
    points = np.stack([np.arange(14.0), np.arange(14.0) ** 2], axis=1)
    for row in "AB":
        put(single, row, "latent_map", points=points, labels=np.arange(14))
    drawing = drawn(SCATTER, single)
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*map(str, range(14))]
    drawn_marks = {(line.get_color(), line.get_marker()) for line in legend.get_lines()}
    assert len(drawn_marks) == 14
    for axis in drawing.figure.axes:
        shown = np.concatenate([group.get_offsets() for group in axis.collections])
        np.testing.assert_array_equal(shown[shown[:, 0].argsort()], points)


@pytest.mark.parametrize(("name", "fits"), [("the class number", True), ("long " * 30, False)])
def test_classes_that_have_names_are_called_by_them(name, fits, single, monkeypatch):
    fill_scatter(single, "paper")
    entry = catalog.lookup(single.run("A", 0).data.dataset)
    names = tuple(f"{name} {i}" for i in range(10))
    named = {entry.name: dataclasses.replace(entry, class_names=names)}
    monkeypatch.setattr(catalog, "CATALOG", catalog.CATALOG | named)
    drawing = drawn(SCATTER, single)
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*names, "prior"]
    drawing.figure.draw_without_rendering()
    assert (legend.get_window_extent().width <= drawing.figure.bbox.width) == fits


# Machado, Oliveira & Fernandes (2009), severity 1.0, for linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def lab(color, sight):
    """CIE L*a*b* (white D65) of an sRGB colour as it is seen."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(sight) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ seen / [0.9505, 1.0, 1.0890]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize(
    "marks",
    [[*_CLASSES, (_PRIOR, "o")], [(colour, "o") for colour in _COLOURS]],
    ids=["scatter", "latent-density"],
)
@pytest.mark.parametrize("sight", SIGHT)
def test_classes_can_be_told_apart_by_every_reader(sight, marks):
    """A distance of 2.3 is just noticeable; marks of one shape are ten times that apart."""
    for (one, shape), (other, its) in itertools.combinations(marks, 2):
        distance = np.linalg.norm(lab(one, SIGHT[sight]) - lab(other, SIGHT[sight]))
        assert distance > (23 if shape == its else 11.5)


def curves(axis):
    """Points of solid (ours) and dashed (the paper's) lines."""
    return {
        line.get_linestyle(): dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
        for line in axis.lines
    }


def test_our_line_is_solid_and_the_papers_dashed(table1):
    drawing = drawn(PLOT, measured(table1))
    for i, axis in enumerate(drawing.figure.axes):
        ours = {float(x): values[i] for x, values in OURS.items()}
        found = curves(axis)
        assert found["-"] == ours
        assert list(found["-"]) == [-1.0, -0.5, 0.0]
        assert len(found["--"]) == 11
    variance, error, information = map(curves, drawing.figure.axes)
    assert (variance["--"][0.0], variance["--"][-1.0]) == (1.0, 4.45e-3)
    assert (error["--"][0.0], error["--"][-0.2]) == (52.74, 15.15)
    assert information["--"][-0.1] == 9.7
    assert [a.get_title() for a in drawing.figure.axes] == ["$σ_{z}^{2}$", "MSE", "MI"]
    assert {a.get_xlabel() for a in drawing.figure.axes} == {"log $σ_{x}^{2}$"}
    (legend,) = drawing.figure.legends
    told = ["Stochastic encoding, ours", "Stochastic encoding, paper"]
    assert [text.get_text() for text in legend.get_texts()] == told
    assert drawing.statement == "paper scale, seed 0"


def test_values_over_decades_have_a_logarithmic_scale_that_holds_negative_ones(table1):
    axes = drawn(PLOT, measured(table1)).figure.axes
    assert [axis.get_yscale() for axis in axes] == ["log", "linear", "symlog"]
    heights = [axes[2].transData.transform((0, y))[1] for y in (-0.02, 0.0, 0.03, 1.0, 80.0)]
    assert heights == sorted(set(heights))


def test_a_part_of_the_rows_is_drawn_as_far_as_it_goes(table1):
    table1.done("log σ_x^2 = -0.5", 0, table1.fit(*OURS["-0.5"]))
    assert curves(drawn(PLOT, table1).figure.axes[0])["-"] == {-0.5: 0.02}


def test_a_row_that_says_no_number_is_left_out(table1):
    extra = {**table1.spec["rows"]["log σ_x^2 = 0.0"], "extra": True}
    for i, name in enumerate(("log σ_x^2 = 0.0 again", "AE", "log σ_z^2 = 0.3")):
        table1.spec["rows"][name] = {**extra, "arguments": {"posterior": f"e{i}"}}
        table1.done(name, 0, table1.fit(9.0, 9.0))
    assert curves(drawn(PLOT, measured(table1)).figure.axes[1])["-"].keys() == {-1.0, -0.5, 0.0}


def test_a_plot_states_its_scale_and_is_the_same_file_again(table1, tmp_path):
    table1.spec["scales"] = {"small": {"reduced": "nothing"}}
    measured(table1)
    drawings = [drawn(PLOT, table1, "small") for _ in range(2)]
    assert drawings[0].statement == "small scale, seed 0"
    assert drawings[0].figure.get_suptitle().startswith("toy-figure, small scale: not comparable")
    files = [tmp_path / f"{i}.svg" for i in (1, 2)]
    for drawing, path in zip(drawings, files, strict=True):
        save(drawing, path)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("scale", ["paper", "small"])
def test_a_plot_of_nothing_tells_what_measures_it(scale, table1):
    option = "" if scale == "paper" else " --scale small"
    with pytest.raises(UserError) as caught:
        drawn(PLOT, table1, scale)
    assert f"nothing of 'σ_z^2' of toy is measured yet; `vaebench run toy-figure{option}`" in str(
        caught.value
    )


@each_kind
def test_every_kind_states_scale_and_seed(kind, single):
    spec, fill = FILL[kind]
    for scale in ("paper", "small"):
        fill(single, scale)
        drawing = drawn(spec, single, scale)
        assert drawing.statement == f"{scale} scale, seed 0"
        title = "" if scale == "paper" else "toy-figure, small scale: not comparable with the paper"
        assert drawing.figure.get_suptitle() == title


@each_kind
def test_every_kind_tells_what_makes_its_pictures(kind, single):
    spec, _ = FILL[kind]
    with pytest.raises(UserError) as caught:
        drawn(spec, single, "small")
    heads = {
        "perturbations": "σ_x² = 1.0, Stochastic, s_z² = 10⁻²",
        "gallery": "GT, Reconstructions",
        "image-blocks": "VAE, (a) Samples",
        "scatter": "(a) log σ_x² = -0.2",
    }
    told = "has no images yet; `vaebench run toy-figure --scale small` makes them"
    assert str(caught.value) == f"toy-figure: the panel {heads[kind]!r} {told}"


@pytest.mark.parametrize(
    ("kind", "form"),
    [("perturbations", "svg"), ("gallery", "pdf"), ("image-blocks", "svg"), ("scatter", "svg")],
)
def test_every_kind_gives_the_same_file_again(kind, form, single, tmp_path):
    spec, fill = FILL[kind]
    fill(single, "paper")
    files = [tmp_path / f"{i}.{form}" for i in (1, 2)]
    for path in files:
        save(drawn(spec, single), path)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_without_a_criterion_the_first_seed_is_drawn(single):
    """Seed 1 is finished and has pictures, as for a table with columns over all seeds."""
    one = single.spec["columns"]["One"]
    single.spec["columns"] = {"Mean": {**one, "aggregation": "mean"}, "One": one}
    single.done("B", 1, single.fit(1.0, 1.0))
    fill_scatter(single, "paper")
    put(single, "B", "latent_map", seed=1, points=np.zeros((1, 2)), labels=np.zeros(1, int))
    assert drawn(SCATTER, single).statement == "paper scale, seed 0"
    single.store.record_path(single.run("B", 0).id).unlink()
    with pytest.raises(UserError, match=r"'\(b\) log σ_x² = -0.2' has no images yet"):
        drawn(SCATTER, single)


def test_an_array_that_is_not_there_is_told(single):
    fill_scatter(single, "paper")
    put(single, "A", "latent_map", point=np.zeros((1, 2)))
    with pytest.raises(UserError, match=r"unknown array 'points'; did you mean point\?"):
        drawn(SCATTER, single)


def test_a_named_run_that_the_table_lacks_is_told(single):
    fill_scatter(single, "paper")
    panel = SCATTER.panels[0].model_copy(update={"run": "second-stage"})
    with pytest.raises(UserError, match="needs the run 'second-stage', of which toy has no column"):
        drawn(SCATTER.model_copy(update={"panels": (panel,)}), single)


def test_a_row_without_a_method_is_told(single):
    panel = SCATTER.panels[0].model_copy(update={"row": "C"})
    told = "toy-figure cannot be run yet: the panel .* needs the row 'C' of toy on 'G', which has"
    with pytest.raises(UserError, match=told):
        drawn(SCATTER.model_copy(update={"panels": (panel,)}), single)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("log σ_x² = -0.2", "log $σ_{x}^{2}$ = −0.2"),
        ("s_z² = 10⁻²", "$s_{z}^{2}$ = $10^{-2}$"),
        ("Iso-I w/ trainable Σ_x", "Iso-I w/ trainable $Σ_{x}$"),
        ("GMM-10", "GMM-10"),
        ("x′ costs 5 $", r"$x'$ costs 5 \$"),
        (r"$\alpha$", r"$\alpha$"),
    ],
)
def test_symbols_are_set_in_mathematics(text, wanted):
    from matplotlib.mathtext import MathTextParser

    assert mathtext(text) == wanted
    assert MathTextParser("agg").parse(wanted).width > 0
