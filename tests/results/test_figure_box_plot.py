"""Boxes of posteriors: what is drawn of each dimension, in which colour."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from vaebench.errors import UserError
from vaebench.registry.figure_spec import FigureSpec
from vaebench.registry.runs import Evaluation
from vaebench.results.figures import draw, save
from vaebench.results.figures.box_plot import _COLOURS

FIGURE = FigureSpec.model_validate({
    "figure": "toy-figure",
    "paper": "igp",
    "caption": "",
    "kind": "box-plot",
    "panels": [
        {"title": f"C = -5, {row}", "table": "toy", "row": row, "group": "G", "evaluation": "boxes"}
        for row in "AB"
    ],
})  # fmt: skip
# By dimension: whisker, quartiles, whisker.
MEAN = np.array([[-2.0, -1, 0, 1, 2.5], [-0.2, -0.1, 0, 0.1, 0.2], [-3, -1, 1, 2, 4]]).T
VARIANCE = np.array([[0.1, 0.2, 0.3, 0.4, 0.5], [0.9, 0.95, 1, 1, 1.02], [0, 0.1, 0.2, 0.4, 0.6]]).T
ACTIVE = {"A": np.array([True, False, True]), "B": np.array([True, True, True])}


def filled(toy, scale="paper", highest=1.02):
    toy.spec["columns"] = {"One": toy.spec["columns"]["One"]}
    del toy.spec["select"]
    for row in "AB":
        toy.done(row, 0, toy.fit(1.0, 1.0), scale=scale)
        path = toy.store.array(toy.run(row, 0, scale=scale).id, Evaluation("boxes", {}))
        path.parent.mkdir(parents=True)
        variance = VARIANCE.copy()
        variance[4, 1] = highest
        np.savez_compressed(path, mean=MEAN, variance=variance, active=ACTIVE[row])
    return toy


def drawn(toy, scale="paper"):
    return draw(FIGURE, {"toy": toy.expansion(scale)}, toy.store, scale)


def boxes(axis):
    """The quartiles of every box and its colour, from left to right."""
    found = []
    for patch in axis.patches:
        xs, ys = patch.get_path().vertices.T
        found.append((xs.mean(), ys.min(), ys.max(), to_hex(patch.get_edgecolor())))
    return [box[1:] for box in sorted(found)]


def ends(axis):
    """All heights of whiskers and medians."""
    return {round(float(y), 6) for line in axis.lines for y in line.get_ydata()}


def test_means_stand_above_variances_in_the_colour_of_their_dimension(toy):
    one, other, below_one, below_other = drawn(filled(toy)).figure.axes
    for row, above, below in (("A", one, below_one), ("B", other, below_other)):
        colours = [_COLOURS[kind] for kind in ACTIVE[row].tolist()]
        for axis, values in ((above, MEAN), (below, VARIANCE)):
            expected = list(zip(values[1], values[3], colours, strict=True))
            assert boxes(axis) == [(pytest.approx(a), pytest.approx(b), c) for a, b, c in expected]
            assert ends(axis) == {round(float(y), 6) for y in values.flatten()}
    assert [axis.get_title() for axis in (one, other)] == ["C = −5, A", "C = −5, B"]
    assert [axis.get_ylabel() for axis in (one, below_one)] == ["mean", "variance"]
    assert one.get_ylim() == other.get_ylim()


def test_active_is_blue_and_inactive_red(toy):
    (legend,) = drawn(filled(toy)).figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    patches = dict(zip(texts, legend.get_patches(), strict=True))
    for name, strongest in (("active", 2), ("inactive", 0)):
        assert np.argmax(to_rgb(patches[name].get_facecolor())) == strongest


@pytest.mark.parametrize(("highest", "end"), [(1.02, 1.05), (2.0, 2.04)])
def test_variances_are_drawn_up_to_the_priors_or_as_high_as_they_are(highest, end, toy):
    *_, axis, _ = drawn(filled(toy, highest=highest)).figure.axes
    assert axis.get_ylim() == pytest.approx((0, end))


def test_scale_seed_and_the_same_file_again(toy, tmp_path):
    toy = filled(toy, "small")
    assert drawn(toy, "small").statement == "small scale, seed 0"
    assert "not comparable" in drawn(toy, "small").figure.get_suptitle()
    paths = [tmp_path / f"{i}.svg" for i in range(2)]
    for path in paths:
        save(drawn(toy, "small"), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_is_lacking_is_told(toy):
    toy = filled(toy)
    toy.store.array(toy.run("B", 0).id, Evaluation("boxes", {})).unlink()
    with pytest.raises(
        UserError, match=r"'C = -5, B' has no images yet; `vaebench run toy-figure`"
    ):
        drawn(toy)
