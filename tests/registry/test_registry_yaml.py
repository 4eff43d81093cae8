"""YAML as the specs use it."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaebench.errors import UserError
from vaebench.registry.yaml import read_file, read_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("-2E+4", -20000.0),
        ("1.5e3", 1500.0),
        ("1e10", 1e10),
        ("1e", "1e"),
        ("e3", "e3"),
        ("1e-3x", "1e-3x"),
        ('"1e-3"', "1e-3"),
        ("0.001", 0.001),
        ("12", 12),
        ("on", True),
        ("null", None),
        ("", None),
        ("2020-01-02", datetime.date(2020, 1, 2)),
    ],
)
def test_scalars(text, value):
    found = read_text(text, "here")
    assert found == value
    assert type(found) is type(value)


@given(number=st.floats(allow_nan=False, allow_infinity=False))
@settings(deadline=None)
def test_any_spelling_of_a_number_is_the_number(number):
    for text in (repr(number), f"{number:.17e}", f"{number:.17E}"):
        assert read_text(text, "here") == number


def test_a_key_written_twice_is_refused_with_its_line():
    with pytest.raises(UserError, match=r"here: .*line 3: the key 'a' is written twice"):
        read_text("a: 1\nb: 2\na: 3\n", "here")
    with pytest.raises(UserError, match=r"line 4: the key 'x'"):
        read_text("a:\n  x: 1\n  y: 2\n  x: 3\n", "here")
    assert read_text("a: {x: 1}\nb: {x: 2}\n", "here") == {"a": {"x": 1}, "b": {"x": 2}}


def test_a_merged_key_may_be_written_again():
    assert read_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n", "here")["b"] == {"x": 3, "y": 2}


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object:os.system x",
        "!!python/object/apply:os.system [echo]",
        "!!python/name:os.system",
        "!mine x",
        "a: [1, 2",
        "a: *nobody",
        "\x00",
        "2020-13-45",
        "!!int x",
        "!!timestamp x",
        "[1, 2]: x",
        "{a: 1}: x",
    ],
)
def test_what_is_no_plain_yaml_is_refused_in_one_line(text):
    with pytest.raises(UserError, match=r"^here: not valid YAML: ") as caught:
        read_text(text, "here")
    assert "\n" not in str(caught.value)


def test_a_syntax_error_is_told_with_its_line():
    with pytest.raises(UserError, match="line 2"):
        read_text("a: 1\nb: ]\n", "here")


@given(text=st.text(max_size=40))
@settings(deadline=None)
def test_no_text_breaks_the_reader(text):
    try:
        read_text(text, "here")
    except UserError as error:
        assert str(error).startswith("here: ")


@pytest.mark.parametrize(
    ("content", "found"), [(b"- 1\n", "list"), (b"text", "str"), (b"", "NoneType"), (b"3", "int")]
)
def test_a_spec_is_a_mapping(content, found, tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"expected a mapping of keys, found {found}") as caught:
        read_file(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"caption: \xe9")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("latin.yaml", "folder.yaml", "nowhere.yaml"):
        with pytest.raises(UserError, match="cannot be read") as caught:
            read_file(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
