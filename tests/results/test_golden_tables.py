"""Each published table, rendered, is the file `tests/golden/<id>.md`.

After a change of a layout, read the new render against the paper and then write it with

    VAEBENCH_UPDATE_GOLDENS=1 pytest tests/results/test_golden_tables.py
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from vaebench.registry.loading import load_table, published_cells
from vaebench.registry.names import table_paths
from vaebench.results.formats import to_markdown
from vaebench.results.grid import build, layout_keys

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
TABLES = list(table_paths())


@pytest.mark.parametrize("name", TABLES)
def test_published_table_is_the_golden_one(name):
    spec = load_table(name)
    text = to_markdown(build(spec.layout, published_cells(spec), {}, {}, "published"))
    path = GOLDEN / f"{name}.md"
    if os.environ.get("VAEBENCH_UPDATE_GOLDENS") == "1":
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{path} is missing (see the head of this file)"
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TABLES)
def test_every_published_cell_is_printed_exactly_once(name):
    spec = load_table(name)
    printed = published_cells(spec)
    entries = Counter(layout_keys(spec.layout))
    assert [key for key in printed if entries[key] != 1] == []


@pytest.mark.parametrize("name", TABLES)
def test_every_line_and_column_prints_a_value(name):
    spec = load_table(name)
    grid = build(spec.layout, published_cells(spec), {}, {}, "published")
    for panel in grid.panels:
        lines = [line for block in panel.blocks for line in block.lines]
        for line in lines:
            assert any(line.cells), f"nothing is printed in the line {line.label!r}"
        for header, cells in zip(
            panel.headers, zip(*(x.cells for x in lines), strict=True), strict=True
        ):
            assert any(cells), f"nothing is printed in the column {header}"


def test_no_golden_is_left_over():
    assert {path.stem for path in GOLDEN.glob("*.md")} <= set(TABLES)
