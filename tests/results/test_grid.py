"""How printed and measured entries become cells."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaebench.registry.layout import Block, Layout, Line, Mark, Panel, PrintedColumn
from vaebench.registry.published import Key, Printed
from vaebench.registry.spec import Column
from vaebench.results.grid import Cell, Grid, Show, build, format_number, layout_keys, plain
from vaebench.results.measured import Measured

PAIR = PrintedColumn(header="NLL (KL)", columns=("NLL", "KL"), format="{} ({})")
LAYOUT = Layout(
    panels=(
        Panel(
            group="Yahoo",
            columns=(PAIR, PrintedColumn(header="AU", column="AU")),
            blocks=(Block(lines=("VAE", "None")),),
        ),
    ),
    marks=(
        Mark(note="bold in print", style="bold"),
        Mark(note="starred", suffix="*", meaning="quoted"),
    ),
)


def key(column: str, row: str = "VAE", group: str = "Yahoo") -> Key:
    return Key(row, group, column)


def paper(value: str, std: str = "", note: str = "") -> Printed:
    return Printed(value, std, note)


def ours(value: float | str, std: float | None = None, seeds: int = 1, wanted: int = 1) -> Measured:
    return Measured("measured", value, std, seeds, wanted)


def column(digits: int | None = None) -> Column:
    return Column(
        evaluation="elbo",
        value="nll",
        dialect="nll",
        unit="nats",
        aggregation="mean",
        digits=digits,
    )


def grid(
    printed: dict[Key, Printed],
    measured: dict[Key, Measured] | None = None,
    show: Show = "published",
    columns: dict[str, Column] | None = None,
) -> Grid:
    return build(LAYOUT, printed, measured or {}, columns or {}, show)


def first(built: Grid, line: int = 0, index: int = 0) -> Cell:
    return built.panels[0].blocks[0].lines[line].cells[index]


def headers(built: Grid) -> list[str]:
    return [" ".join(filter(None, (h.text, h.source))) for h in built.panels[0].headers]


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ({"NLL": paper("328.80", "0.10"), "KL": paper("1.0e-3")}, "328.80 ± 0.10 (1.0e-3)"),
        ({"NLL": paper("82.90")}, "82.90"),
        ({"KL": paper("1.5")}, "1.5"),
        ({"NLL": paper("82.90"), "KL": paper("")}, "82.90 (–)"),
        ({"NLL": paper(""), "KL": paper("-")}, "–"),
        ({}, ""),
    ],
)
def test_printed_pair(cells, text):
    assert plain(first(grid({key(name): cell for name, cell in cells.items()}))) == text


def test_absent_key_is_blank_and_empty_value_a_dash():
    built = grid({key("AU"): paper(""), key("NLL", "None"): paper("1.0")})
    assert plain(first(built, 0, 1)) == "–"
    assert plain(first(built, 1, 1)) == ""
    assert built.panels[0].blocks[0].lines[1].label == "None"


def test_marks_belong_to_members_and_explain_themselves_once():
    note = "starred in print: quoted"
    built = grid({key("NLL"): paper("1.0", note="bold in print"), key("KL"): paper("2", note=note)})
    assert [(span.text, span.style) for span in first(built)] == [
        ("1.0", "bold"),
        (" (", None),
        ("2*", None),
        (")", None),
    ]
    assert built.footnotes == ("* quoted",)
    assert grid({key("NLL"): paper("1.0")}).footnotes == ()


@pytest.mark.parametrize(
    ("printed", "digits", "cell", "text"),
    [
        (paper("328.80"), None, ours(328.123), "328.12"),
        (paper("328.80"), 1, ours(328.123, 0.26), "328.1 ± 0.3"),
        (paper("6.31e-5"), None, ours(0.000123), "1.23e-4"),
        (paper(""), None, ours(1.0), "1.00"),
        (paper("192K"), None, ours(192_000), "192000"),
        (paper("4.3"), None, ours(4), "4.0"),
        (paper("text"), None, ours("a | b"), "a | b"),
        (paper("4.3"), None, ours(4.0, 0.5, seeds=3, wanted=5), "4.0 ± 0.5 [3/5]"),
        (paper("4.3"), None, Measured("missing", wanted=5), "–"),
        (paper("4.3"), None, Measured("not applicable"), "–"),
        (paper("4.3"), None, Measured("failed"), "failed"),
        (paper("4.3"), None, Measured("diverged"), "diverged"),
    ],
)
def test_our_number(printed, digits, cell, text):
    built = grid({key("AU"): printed}, {key("AU"): cell}, "ours", {"AU": column(digits)})
    assert plain(first(built, 0, 1)) == text


def test_our_pair_says_once_what_holds_for_both():
    short = {"seeds": 3, "wanted": 5}
    both = {key("NLL"): ours(1.0, **short), key("KL"): ours(2.0, **short)}
    assert plain(first(grid({}, both, "ours"))) == "1.00 (2.00) [3/5]"
    one = {key("NLL"): ours(1.0, **short), key("KL"): ours(2.0)}
    assert plain(first(grid({}, one, "ours"))) == "1.00 [3/5] (2.00)"
    failed = {key("NLL"): Measured("failed"), key("KL"): Measured("failed")}
    assert plain(first(grid({}, failed, "ours"))) == "failed"


def test_missing_seeds_are_explained_below():
    built = grid({}, {key("AU"): ours(1.0, seeds=1, wanted=2)}, "ours")
    assert built.footnotes == ("[n/m] over n of the m wanted seeds only",)


def test_both_doubles_the_columns_that_can_be_measured():
    printed = {key("NLL"): paper("1.0"), key("AU"): paper("2")}
    built = grid(printed, {key("AU"): ours(3.0)}, "both")
    assert headers(built) == ["NLL (KL) paper", "AU paper", "AU ours"]
    assert [plain(cell) for cell in built.panels[0].blocks[0].lines[0].cells] == ["1.0", "2", "3"]
    assert [plain(cell) for cell in built.panels[0].blocks[0].lines[1].cells] == ["", "", ""]


@pytest.mark.parametrize("measured", [{}, {key("AU"): Measured("missing")}])
def test_both_shows_the_paper_alone_before_anything_is_measured(measured):
    printed = {key("AU"): paper("2")}
    assert grid(printed, measured, "both") == grid(printed)


def test_both_shows_ours_alone_where_nothing_was_published():
    measured = {key("AU"): ours(3.0)}
    assert grid({}, measured, "both") == grid({}, measured, "ours")


def test_extra_row_becomes_a_last_block():
    built = grid({key("AU"): paper("2")}, {key("AU", "mine"): ours(3.0)}, "ours")
    (panel,) = built.panels
    assert (panel.blocks[-1].label, panel.blocks[-1].lines[0].label) == ("extra", "mine")
    assert [plain(cell) for cell in panel.blocks[-1].lines[0].cells] == ["", "3.00"]


def test_extra_row_in_several_blocks_says_which():
    blocks = tuple(Block(label=name, group=name, lines=("VAE",)) for name in ("CBT", "SNLI"))
    layout = Layout(
        panels=(Panel(columns=(PrintedColumn(header="KL", column="KL"),), blocks=blocks),)
    )
    measured = {key("KL", "mine", name): ours(1.0) for name in ("CBT", "SNLI")}
    lines = build(layout, {}, measured, {}, "ours").panels[0].blocks[-1].lines
    assert [line.label for line in lines] == ["mine (CBT)", "mine (SNLI)"]


def test_extra_column_becomes_a_further_panel():
    measured = {key("AU"): ours(3.0), key("MI"): ours(1.0), key("MI", "mine"): ours(2.0)}
    panel = grid({key("AU"): paper("2")}, measured, "both").panels[-1]
    assert panel.title == "Extra (not in the paper)"
    assert [(h.over, h.text, h.source) for h in panel.headers] == [("Yahoo", "MI", "ours")]
    assert [line.label for line in panel.blocks[0].lines] == ["VAE", "mine"]


def test_published_alone_shows_no_extras():
    assert len(grid({key("AU"): paper("2")}, {key("MI"): ours(1.0)}).panels) == 1


def test_rows_across_and_metrics_down():
    layout = Layout(
        panels=(
            Panel(
                row="VAE",
                groups=("MNIST", "CelebA"),
                columns=(PrintedColumn(header="value"),),
                blocks=(Block(lines=(Line(label="Rec.", column="NLL"),)),),
            ),
        )
    )
    assert list(layout_keys(layout)) == [key("NLL", group="MNIST"), key("NLL", group="CelebA")]


texts = st.text(min_size=1).filter(lambda text: text not in ("-", "–", "—"))


@given(value=texts, std=st.text())
@settings(deadline=None)
def test_printed_text_is_kept_letter_by_letter(value, std):
    expected = f"{value} ± {std}" if std else value
    assert plain(first(grid({key("AU"): paper(value, std)}), 0, 1)) == expected


@given(
    value=st.floats(allow_nan=False, allow_infinity=False, width=32),
    digits=st.integers(0, 8),
    scientific=st.booleans(),
)
@settings(deadline=None)
def test_formatted_numbers_keep_their_digits(value, digits, scientific):
    text = format_number(value, digits, scientific)
    assert Printed(text, "", "").digits == digits
    tolerance = 10.0**-digits * (abs(value) if scientific else 1.0)
    assert math.isclose(float(text), value, abs_tol=max(tolerance, 1e-300))


names = st.sampled_from(["VAE", "None", "a", "b"])


@given(
    measured=st.dictionaries(
        st.builds(Key, names, st.sampled_from(["Yahoo", "Yelp"]), st.sampled_from(["NLL", "MI"])),
        st.one_of(st.just(0.0), st.floats(0.005, 9)).map(ours),
        min_size=1,
    )
)
@settings(deadline=None)
def test_every_measured_cell_is_shown_once(measured):
    built = grid({}, dict(measured), "ours")
    lines = [line for panel in built.panels for block in panel.blocks for line in block.lines]
    shown = [plain(cell) for line in lines for cell in line.cells if cell]
    assert sorted(shown) == sorted(f"{cell.value:.2f}" for cell in measured.values())


@pytest.mark.parametrize(
    ("value", "shown"),
    [(5.8e-16, "5.80e-16"), (-0.004, "-4.00e-3"), (0.005, "0.01"), (0.0, "0.00")],
)
def test_a_number_without_a_print_shows_its_size(value, shown):
    built = grid({}, {Key("VAE", "Yahoo", "NLL"): ours(value)}, "ours")
    lines = [line for panel in built.panels for block in panel.blocks for line in block.lines]
    assert shown in [plain(cell) for line in lines for cell in line.cells]
