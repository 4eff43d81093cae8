"""A user's own spec: what works, and what each mistake is answered with."""

import copy

import pytest
import yaml

from vaebench.errors import UserError, nearest
from vaebench.registry.expansion import expand
from vaebench.registry.loading import (
    load_figure,
    load_table,
    paper_spec,
    published_cells,
    spec_path,
)
from vaebench.registry.names import table_paths
from vaebench.registry.published import read_published
from vaebench.registry.yaml import read_file


@pytest.fixture
def table12():
    """The spec of IGP's Table 12, to be changed."""
    return read_file(table_paths()["igp-table12"])


@pytest.fixture
def mine(table12):
    """A copy under another name that keeps the published numbers."""
    return {**table12, "table": "my-table", "published": "igp-table12"}


def refusal(path, scale="paper"):
    """What the spec is refused with."""
    with pytest.raises(UserError) as caught:
        expand(load_table(path, scale))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_copy_with_a_row_of_ones_own(mine, spec_file):
    mine.setdefault("rows", {})["Mine"] = {
        "method": "igp.vae",
        "arguments": {"posterior": "diagonal", "latent": 16},
        "extra": True,
    }
    spec = load_table(spec_file(mine), "smoke")
    expanded, original = expand(spec), expand(load_table("igp-table12", "smoke"))
    assert published_cells(spec) == published_cells(load_table("igp-table12"))
    assert original.runs.keys() < expanded.runs.keys()
    own = [m for m in expanded.measurements if m.key.row == "Mine"]
    assert {m.key.column for m in own} == set(spec.all_columns())
    assert all(m.extra for m in own)
    assert {run.arguments["latent"] for m in own for run in m.runs} == {16}


def test_a_copy_without_the_published_numbers_measures_the_same(table12, spec_file):
    table12["table"] = "my-table"
    spec = load_table(spec_file(table12))
    assert published_cells(spec) == {}
    assert expand(spec).runs.keys() == expand(load_table("igp-table12")).runs.keys()


def test_a_table_of_ones_own(tiny, spec_file):
    spec = load_table(spec_file(tiny))
    assert [tuple(m.key) for m in expand(spec).measurements] == [
        ("A", "G", "Rec."),
        ("B", "G", "Rec."),
    ]


def test_the_name_of_the_suites_own_table_is_refused(table12, spec_file):
    path = spec_file(table12)
    told = refusal(path)
    assert path in told and "the suite's own name" in told
    assert "published: igp-table12" in told


def change(mapping, path, value=None):
    """Set the key at `path`, `a.b.c`; without a value, remove it."""
    *outer, last = path
    for key in outer:
        mapping = mapping[key]
    if value is None:
        del mapping[last]
    else:
        mapping[last] = value


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (["sedes"], 3, "unknown key 'sedes'; did you mean seeds"),
        (["rows", "A", "methd"], "x", "unknown key 'rows.A.methd'; did you mean method?"),
        (["rows", "A", "groups"], {"G": {"trainig": {}}}, "did you mean training?"),
        (["columns", "Rec.", "dialec"], "x", "unknown key 'columns.Rec..dialec'; did you mean dia"),
        (["groups", "G", "evaluation"], {}, "did you mean evaluations?"),
        (["layout", "panels", 0, "colums"], [], "did you mean columns"),
        (["caption"], None, "the key 'caption' is missing"),
        (["columns", "Rec.", "unit"], None, "the key 'columns.Rec..unit' is missing"),
        (["columns", "Rec.", "aggregation"], "meen", "columns.Rec..aggregation: Input should be"),
        (["seeds"], 0, "seeds: Input should be greater than or equal to 1"),
        (["seeds"], "many", "seeds: Input should be a valid integer"),
        (["rows"], ["A"], "rows: Input should be"),
        (["rows", "A", "method"], None, "rows.A: the key 'method' is missing"),
        (["rows", "A", "groups"], {"H": {}}, "rows.A.groups: unknown group 'H'; there are: G"),
        (["paper"], "ipg", "paper: unknown paper 'ipg'; did you mean igp?"),
        (["profile"], 3, "profile: Input should be a valid"),
        (["profile"], ["images", "image"], "profile: unknown profile 'image'"),
        (["profile"], "image", "profile: unknown profile 'image'; did you mean images"),
        (
            ["published"],
            "igp-table21",
            "published: unknown table 'igp-table21'; did you mean igp-t",
        ),
        (["scales"], {"smok": {}}, "scales: unknown scale 'smok'; did you mean smoke?"),
        (["scales"], {"paper": {}}, "scales: unknown scale 'paper'"),
        (["scales"], ["smoke"], "scales: expected a mapping"),
        (["scales"], {"smoke": [1]}, "scales.smoke: expected a mapping"),
        (["defaults", "training", "epoch"], 3, "unknown key 'epoch'; did you mean epochs?"),
        (["defaults", "training", "batch_size"], None, "the key 'batch_size' is missing"),
        (["defaults", "arguments", "latent"], float("nan"), "rows.A: arguments: "),
        (["groups", "G", "data", "limits"], 30, "unknown key 'limits'; did you mean limit?"),
        (["groups", "G", "data", "pixels"], "grey", "pixels: Input should be 'real'"),
        (["columns", "Rec.", "parameters"], {"x": float("inf")}, "columns.Rec.: parameters: "),
        (["layout", "panels", 0, "columns", 0, "format"], "{} ({})", "needs 1 {}, one a member"),
        (["layout", "panels", 0, "group"], None, "no group is given"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_the_mend(path, value, told, tiny, spec_file):
    change(tiny, path, value)
    file = spec_file(tiny)
    message = refusal(file)
    assert message.startswith(f"{file}: ")
    assert told in message


def test_a_mistake_in_a_scale_is_told_as_such(tiny, spec_file):
    tiny["scales"] = {"smoke": {"seedz": 1}}
    path = spec_file(tiny)
    expand(load_table(path))
    message = refusal(path, "smoke")
    assert message.startswith(f"{path} (scales.smoke): unknown key 'seedz'; did you mean seeds")


def test_further_mistakes_are_counted(tiny, spec_file):
    del tiny["caption"]
    tiny["capton"] = "x"
    told = refusal(spec_file(tiny))
    assert "unknown key 'capton'; did you mean caption" in told
    assert told.endswith(" (and 1 more)")


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        ("rows", "VAE, DPG", "did you mean VAE, DGP"),
        ("columns", "Recc.", "did you mean Rec."),
        ("groups", "MINST", "did you mean MNIST?"),
    ],
)
def test_a_name_that_is_not_published_is_refused(kind, name, told, mine, spec_file):
    whole = load_table("igp-table12").model_dump(exclude_none=True)
    mine.setdefault(kind, {})[name] = copy.deepcopy(next(iter(whole[kind].values())))
    path = spec_file(mine)
    message = refusal(path)
    assert message.startswith(f"{path}: {kind}.{name}: no published cell has this {kind[:-1]}")
    assert told in message
    if kind != "groups":
        assert "extra: true" in message
        mine[kind][name]["extra"] = True
        assert any(name in m.key for m in expand(load_table(spec_file(mine))).measurements)


def test_broken_yaml_is_told_with_its_file(spec_file):
    path = spec_file("table: [1\n")
    assert refusal(path).startswith(f"{path}: not valid YAML: ")
    path = spec_file("table: a\ntable: b\n")
    assert "line 2: the key 'table' is written twice" in refusal(path)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere.yaml", "nowhere.yaml: no such file"),
        ("igp-tabel12", "unknown table 'igp-tabel12'; did you mean igp-table12"),
        ("IGP-TABLE7", "did you mean igp-table7"),
        ("igp-figure6", "igp-figure6 is a figure, not a table; `vaebench plot igp-figure6`"),
        ("", "unknown table ''"),
    ],
)
def test_a_table_that_does_not_exist_is_told(name, told):
    with pytest.raises(UserError) as caught:
        spec_path(name)
    assert told in str(caught.value)


def test_other_names_that_do_not_exist_are_told():
    for call, told in (
        (lambda: load_table("igp-table12", "smal"), "unknown scale 'smal'; did you mean small"),
        (
            lambda: load_figure("igp-figur6"),
            "unknown figure 'igp-figur6'; did you mean igp-figure6",
        ),
        (lambda: paper_spec("meae"), "unknown paper 'meae'; did you mean mae?"),
    ):
        with pytest.raises(UserError) as caught:
            call()
        assert told in str(caught.value)


def test_nearest_names():
    assert nearest("x", []) == "there are none"
    assert nearest("zzz", ["a", "b"]) == "there are: a, b"
    assert nearest("zzz", map(str, range(100, 120))).endswith(" …")
    assert nearest("VAE", ["vae", "other"]) == "did you mean vae?"


GOOD = "row,column_group,column,value,std,note\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("row,column\n", "expected the header row,column_group"),
        ("", "expected the header"),
        (GOOD + "a,b,c,1\n", "line 2 has 4 fields"),
        (GOOD + "a,b,c,1,,\na,b,c,2,,\n", r"line 3 repeats the cell \(a, b, c\)"),
    ],
)
def test_a_broken_published_file_is_told(text, told, tmp_path):
    path = tmp_path / "table1.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=told) as caught:
        read_published(path)
    assert str(path) in str(caught.value)


def test_published_numbers_are_kept_letter_by_letter(tmp_path):
    path = tmp_path / "table1.csv"
    path.write_text(GOOD + 'a,b,c,328.80,0.10,"x, y"\na,b,d,1.0e-3,,\na,b,None,–,,\n')
    first, second, third = read_published(path).values()
    assert (first.value, first.std, first.note, first.digits) == ("328.80", "0.10", "x, y", 2)
    assert (second.value, second.number, second.digits) == ("1.0e-3", 0.001, 1)
    assert third.number is None
    assert [key.column for key in read_published(path)] == ["c", "d", "None"]


def test_what_show_prints_can_be_run_again(spec_file):
    """`show TABLE --yaml > mine.yaml` under another name is the same table."""
    text = spec_path("igp-table12").read_text(encoding="utf-8")
    path = spec_file(text.replace("table: igp-table12", "table: copy", 1))
    assert yaml.safe_load(text)["table"] == "igp-table12"
    assert expand(load_table(path, "small")).runs == expand(load_table("igp-table12", "small")).runs
