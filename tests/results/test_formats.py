"""Markdown, console and CSV give back what the grid holds."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from vaebench.registry.published import Key, Printed
from vaebench.results.formats import CSV_HEADER, to_console, to_csv, to_markdown
from vaebench.results.grid import Cell, Grid, GridBlock, GridLine, GridPanel, Header, Span
from vaebench.results.measured import Measured


def cell(text: str, style: str | None = None) -> Cell:
    return (Span(text, style),) if text else ()


def single(text: str, label: str = "VAE", style: str | None = None) -> Grid:
    block = GridBlock(None, (GridLine(label, (cell(text, style),)),))
    return Grid((GridPanel(None, "Model", (Header("NLL"),), (block,)),))


def rows(markdown: str) -> list[list[str]]:
    """The cells of a pipe table, with escaped bars put back."""
    lines = [line.replace("\\|", "\0") for line in markdown.splitlines() if line.startswith("|")]
    return [[part.strip().replace("\0", "|") for part in line[1:-1].split("|")] for line in lines]


def console(grid: Grid, width: int = 200) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(*to_console(grid), sep="\n")
    return stream.getvalue()


def two_blocks() -> Grid:
    headers = (Header("NLL (KL)", "Yahoo", "paper"), Header("NLL (KL)", "Yahoo", "ours"))
    blocks = tuple(
        GridBlock(
            label, tuple(GridLine(line, (cell("1.0"), cell("2.0"))) for line in ("VAE", "IWAE"))
        )
        for label in ("DGP", "IGP")
    )
    return Grid((GridPanel("Panel | one", "Model", headers, blocks),), ("* quoted",))


@pytest.mark.parametrize("text", ["328.80 ± 0.10", "1.0e-3", "None", "1,193.18", "–", "007", "nan"])
def test_numbers_are_not_read_again(text):
    assert rows(to_markdown(single(text)))[2] == ["VAE", text]
    assert text in console(single(text))


@pytest.mark.parametrize("label", ["a|b", "None", "[bold]x[/bold]", "1.0"])
def test_labels_are_taken_as_they_are(label):
    assert rows(to_markdown(single("1.0", label)))[2] == [label, "1.0"]
    assert label in console(single("1.0", label))


def test_marks_in_markdown():
    assert "**1.0**" in to_markdown(single("1.0", style="bold"))
    assert "<u>1.0</u>" in to_markdown(single("1.0", style="underline"))
    assert "1.0\\*" in to_markdown(single("1.0*"))
    assert "\\<unk>" in to_markdown(single("<unk>"))


def test_marks_on_a_console():
    stream = io.StringIO()
    colored = Console(file=stream, force_terminal=True, color_system="standard")
    colored.print(*to_console(single("1.0", style="bold")))
    assert "\x1b[1m1.0" in stream.getvalue()


def test_markdown_of_blocks():
    text = to_markdown(two_blocks())
    assert text.startswith("**Panel \\| one**\n\n|")
    assert text.endswith("|\n\n\\* quoted\n")
    table = rows(text)
    assert table[0] == ["", "Model", "Yahoo NLL (KL) (paper)", "Yahoo NLL (KL) (ours)"]
    assert [line[:2] for line in table[2:]] == [
        ["DGP", "VAE"],
        ["", "IWAE"],
        ["IGP", "VAE"],
        ["", "IWAE"],
    ]


def test_numbers_are_aligned_to_the_right_and_texts_to_the_left():
    assert rows(to_markdown(single("1.0")))[1][1].endswith(":")
    assert rows(to_markdown(single("some text")))[1][1].startswith(":")


def test_console_shows_every_part():
    text = console(two_blocks())
    for part in ("Panel | one", "Model", "Yahoo", "NLL (KL)", "(paper)", "(ours)", "DGP", "IWAE"):
        assert part in text
    assert text.count("DGP") == 1
    assert text.count("Yahoo") == 1


def test_csv_has_one_line_a_cell():
    one, two = Key("a,b", "g", "NLL"), Key("None", "g", "NLL")
    three, four = Key("x", "g", "NLL"), Key("y", "g", "NLL")
    printed = {one: Printed("328.80", "0.10", "cited"), two: Printed("1.0e-3", "", "")}
    measured = {
        one: Measured("measured", 328.123456, 0.2, 3, 5),
        three: Measured("failed", wanted=1),
        four: Measured("measured", 2.0, None, 1, 1),
    }
    header, *lines = csv.reader(io.StringIO(to_csv(printed, measured)))
    assert tuple(header) == CSV_HEADER
    assert lines == [
        [*one, "328.80", "0.10", "328.123456", "0.2", "3", "cited; 3 of 5 seeds"],
        [*two, "1.0e-3", "", "", "", "", ""],
        [*three, "", "", "failed", "", "", ""],
        [*four, "", "", "2.0", "", "1", ""],
    ]


words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"))


@given(row=words, value=words, note=words)
@settings(deadline=None)
def test_csv_round_trip(row, value, note):
    text = to_csv({Key(row, "g", "c"): Printed(value, "", note)}, {})
    assert list(csv.reader(io.StringIO(text)))[1] == [row, "g", "c", value, "", "", "", "", note]


visible = st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="*<\\"))


@given(label=visible, text=visible)
@settings(deadline=None)
def test_markdown_round_trip(label, text):
    assert rows(to_markdown(single(text, label)))[2] == [label, text]
