"""HTML that holds together: balanced tags, rows of one width, nothing from elsewhere."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import TABLES, page_of, toy_page

from vaebench.results.html import html_text, to_html

VOID = {"meta", "link", "br", "hr", "img"}
KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "p", "div", "ul", "li"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "b", "u", "sub", "sup", "code"),
}


class Document(HTMLParser):
    """Tags in balance, and for each table its rows as (tag, text, columns, rows)."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.texts, self.items = [], [], [], 0
        assert text.startswith("<!DOCTYPE html>\n")
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag in KNOWN
        names = [name for name, _ in attributes]
        assert not {"src", "href", "onclick"} & set(names) and len(names) == len(set(names))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            spans = dict(attributes)
            size = int(spans.get("colspan", 1)), int(spans.get("rowspan", 1))
            self.tables[-1][-1].append([tag, "", *size])
        elif tag == "li":
            self.items += 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if {"th", "td"} & set(self.open):
            self.tables[-1][-1][-1][1] += text
        self.texts.append(text)


def widths(rows):
    """The columns that each row covers, with what hangs down from above."""
    hanging, found = {}, []
    for row in rows:
        column, covered = 0, set()
        pending = {c for c, left in hanging.items() if left > 0}
        hanging = {c: left - 1 for c, left in hanging.items() if left > 1}
        for _, _, across, down in row:
            while column in pending:
                column += 1
            for one in range(column, column + across):
                assert one not in pending
                covered.add(one)
                if down > 1:
                    hanging[one] = down - 1
            column += across
        assert covered | pending == set(range(len(covered | pending)))
        found.append(len(covered | pending))
    assert not hanging, "a cell hangs below its table"
    return found


@pytest.mark.parametrize("show", ["both", "published"])
@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_sound(name, show):
    page = page_of(name, show)
    document = Document(to_html(page))
    assert len(document.tables) == len(page.grid.panels)
    for rows, panel in zip(document.tables, page.grid.panels, strict=True):
        assert len(set(widths(rows))) == 1
        lines = [line for block in panel.blocks for line in block.lines]
        body = rows[-len(lines) :]
        assert [sum(tag == "td" for tag, *_ in row) for row in body] == [
            len(line.cells) for line in lines
        ]
    assert document.items == len(page.notes)


def test_the_published_numbers_beside_ours():
    head, names, autoencoder, vae, second, *_ = Document(to_html(page_of("igp-table12"))).tables[0]
    assert head == [
        ["th", "Model", 2, 2],
        *(["th", name, 2, 1] for name in ("Rec.", "KL", "AU", "CLF")),
    ]
    assert [text for _, text, *_ in names] == ["paper", "ours"] * 4
    assert autoencoder[:3] == [["th", "AE", 2, 1], ["td", "58.86", 1, 1], ["td", "58.80", 1, 1]]
    assert vae[:3] == [["th", "DGP", 1, 4], ["th", "VAE", 1, 1], ["td", "78.64", 1, 1]]
    assert second[0] == ["th", "IWAE (k = 1)", 1, 1]


def test_the_page_stands_alone():
    text = to_html(page_of("igp-table12"))
    for outside in ("http:", "https:", "<script", "@import", "url(", "<link"):
        assert outside not in text
    assert "<title>igp-table12</title>" in text
    assert '<meta charset="utf-8">' in text


def test_symbols_and_commands():
    assert html_text("log σ_x²") == "log σ<sub>x</sub><sup>2</sup>"
    assert html_text("‖x′‖₂²") == "‖x′‖<sub>2</sub><sup>2</sup>"
    assert html_text("`run <x>`") == "<code>run &lt;x&gt;</code>"
    assert html_text(r"$\sigma_x^2 I$") == r"<code>\sigma_x^2 I</code>"
    assert html_text("[0.11, -0.41]") == "[0.11, -0.41]"


def test_a_hostile_table(toy):
    signs = """<script>alert("1")</script> & 'x' </table>"""
    panel = toy.spec["layout"]["panels"][0]
    panel["blocks"] = [{"label": signs, "lines": [{"row": "A", "label": signs}, "B"]}]
    panel["corner"], panel["title"] = signs, signs
    panel["columns"][0]["header"] = signs
    document = Document(to_html(toy_page(toy, caption=signs, misprints=[signs])))
    rows = document.tables[0]
    assert len(set(widths(rows))) == 1
    assert rows[0][0][1] == signs and f"Misprint: {signs}" in document.texts


@given(st.text("ab <>&\"';/=#-–é"))
def test_a_text_comes_back_as_it_was(text):
    class Reader(HTMLParser):
        found = ""

        def handle_data(self, data):
            self.found += data

    reader = Reader()
    reader.feed(html_text(text))
    reader.close()
    assert reader.found == text
