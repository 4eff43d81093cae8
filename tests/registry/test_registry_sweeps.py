"""The runs of a figure's own: those of a table's row but for two arguments."""

import pytest
from specs import tiny_spec, write_spec

from vaebench.errors import UserError
from vaebench.registry.expansion import expand
from vaebench.registry.figure_spec import FigureSpec
from vaebench.registry.loading import load_table, published_cells
from vaebench.registry.published import Key
from vaebench.registry.sweeps import sweep_table

LATENTS, SAMPLES = (2, 5), (1, 0.5, 3)


def figure(table, **change):
    sweep = {
        "table": table,
        "row": "A",
        "column": "Rec.",
        "groups": ["G"],
        "arguments": {
            "latent": {"name": "K", "values": LATENTS},
            "samples": {"name": "s", "values": SAMPLES},
        },
    }
    raw = {"figure": "f", "paper": "igp", "caption": "c", "kind": "heat-map"}
    return FigureSpec.model_validate({**raw, "sweep": sweep | change})


def swept(table, scale="paper", **change):
    spec = figure(table, **change)
    return expand(sweep_table(spec, spec.sweep, scale))


@pytest.fixture
def spec():
    """Rows that stand on the points (2, 1) and (5, 3) of the sweep, and one that is none."""
    raw = tiny_spec(scales={"small": {"defaults": {"training": {"epochs": 2}}, "reduced": "it"}})
    raw["rows"] = {
        "A": {"method": "igp.iwae", "arguments": {"posterior": "diagonal", "samples": 1}},
        "A'": {
            "method": "igp.iwae",
            "arguments": {"posterior": "diagonal", "samples": 3, "latent": 5},
        },
        "B": {"method": "igp.vae", "arguments": {"posterior": "isotropic"}},
    }
    raw["groups"]["H"] = {"data": {"dataset": "mnist"}}
    raw["columns"]["Rec."]["also"] = "single"
    raw["columns"]["KL"] = {**raw["columns"]["Rec."], "value": "kl"}
    return raw


def test_points_are_named_line_by_line():
    assert figure("tiny").sweep.points() == {
        (2, 1): "K = 2, s = 1",
        (2, 0.5): "K = 2, s = 0.5",
        (2, 3): "K = 2, s = 3",
        (5, 1): "K = 5, s = 1",
        (5, 0.5): "K = 5, s = 0.5",
        (5, 3): "K = 5, s = 3",
    }


def test_a_row_at_every_point_with_the_one_column(spec, tmp_path):
    expansion = swept(write_spec(tmp_path, spec))
    names = figure("tiny").sweep.points()
    assert [m.key for m in expansion.measurements] == [
        Key(name, "G", "Rec.") for name in names.values()
    ]
    assert len(expansion.runs) == 2 * len(names)  # seeds
    assert expansion.spec.id == "f" and published_cells(expansion.spec) == {}
    for (latent, samples), m in zip(names, expansion.measurements, strict=True):
        arguments = {"latent": latent, "samples": samples, "hidden": [8], "posterior": "diagonal"}
        assert [run.arguments for run in m.runs] == [arguments] * 2


@pytest.mark.parametrize("scale", ["paper", "small"])
def test_a_point_that_is_a_row_of_the_table_is_the_same_run(spec, scale, tmp_path):
    path = write_spec(tmp_path, spec)
    table = expand(load_table(path, scale)).measurements
    own = {key: ids(m) for m in table for key in [m.key] if key.column == "Rec."}
    points = {m.key.row: ids(m) for m in swept(path, scale).measurements}
    assert points["K = 2, s = 1"] == own[Key("A", "G", "Rec.")]
    assert points["K = 5, s = 3"] == own[Key("A'", "G", "Rec.")]
    others = {run for runs in own.values() for run in runs}
    for name in points.keys() - {"K = 2, s = 1", "K = 5, s = 3"}:
        assert not others & set(points[name])


def ids(measurement):
    return [run.id for run in measurement.runs]


def test_what_the_row_says_for_a_group_gives_way(spec, tmp_path):
    spec["rows"]["A"]["groups"] = {"G": {"arguments": {"samples": 9, "posterior": "isotropic"}}}
    runs = swept(write_spec(tmp_path, spec)).runs.values()
    assert {run.arguments["samples"] for run in runs} == set(SAMPLES)
    assert {run.arguments["posterior"] for run in runs} == {"isotropic"}


def test_groups_are_those_of_the_sweep(spec, tmp_path):
    expansion = swept(write_spec(tmp_path, spec), groups=["H", "G"])
    assert {m.key.group for m in expansion.measurements} == {"G", "H"}
    assert {run.data.dataset for run in expansion.runs.values()} == {"mnist", "digits-28x28"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"row": "C"}, "it needs the row 'C' of tiny on 'G', which has no method"),
        ({"groups": ["G", "I"]}, "it needs the row 'A' of tiny on 'I', which has no method"),
        ({"column": "AU"}, "it needs the column 'AU' of tiny, which is not measured yet"),
    ],
)
def test_what_is_lacking_is_told(change, told, spec, tmp_path):
    with pytest.raises(UserError) as caught:
        swept(write_spec(tmp_path, spec), **change)
    assert str(caught.value) == f"f cannot be run yet: {told}"


def test_a_row_that_is_quoted_cannot_be_swept(spec, tmp_path):
    spec["rows"]["A"] = {"cited": True}
    with pytest.raises(UserError, match="the row 'A' of tiny on 'G', which has no method"):
        swept(write_spec(tmp_path, spec))
