"""The cells as JSON are those of the CSV, with what stands behind them."""

import csv
import io
import json
import math
from dataclasses import replace

import pytest
from pages import TABLES, page_of, toy_page

from vaebench.registry.published import Key
from vaebench.results.formats import to_csv
from vaebench.results.table_json import to_json

HEAD = [
    *("table", "paper", "caption", "scale", "reduced", "changes", "statement", "data", "runs"),
    *("code", "machines", "cells", "notes"),
]


def refuse(word):
    raise AssertionError(f"{word} is not JSON")


def read(page):
    return json.loads(to_json(page), parse_constant=refuse)


def as_csv_line(cell):
    """The fields of the CSV that a JSON cell tells, its numbers as numbers."""
    published, ours = cell["published"] or {}, cell["ours"] or {}
    measured = ours.get("state") == "measured"
    return [
        cell["row"],
        cell["column_group"],
        cell["column"],
        published.get("printed", ""),
        published.get("std"),
        ours["value"] if measured else None,
        ours["std"] if measured else None,
        ours["seeds"] if measured else None,
    ]


def csv_line(fields):
    def number(text):
        try:
            return float(text)
        except ValueError:
            return None if text in ("", "–", "failed", "diverged") else text

    return [*fields[:4], *map(number, fields[4:8])]


def told(page):
    _, *lines = csv.reader(io.StringIO(to_csv(page.printed, page.measured)))
    return [csv_line(line) for line in lines]


@pytest.mark.parametrize("show", ["both", "published"])
@pytest.mark.parametrize("name", TABLES)
def test_json_and_csv_tell_the_same_cells(name, show):
    page = page_of(name, show)
    document = read(page)
    assert list(document) == HEAD
    assert [as_csv_line(cell) for cell in document["cells"]] == told(page)
    for cell in document["cells"]:
        printed = cell["published"]
        assert printed is None or printed["note"] == page.printed[tuple(cell.values())[:3]].note
    assert document["notes"] == [*page.grid.footnotes, *page.notes]


def test_the_facts_of_the_committed_records():
    document = read(page_of("igp-table12"))
    assert document["data"] == [{"name": "mnist", "kind": "original"}]
    assert document["runs"]["needed"] == 45
    assert [len(one["commit"]) for one in document["code"]] == [40] * len(document["code"])
    assert set(document["machines"][0]) == {"torch", "device", "processor", "precision"}
    (cell,) = (
        cell for cell in document["cells"] if (cell["row"], cell["column"]) == ("VAE, DGP", "Rec.")
    )
    assert cell["published"] == {
        "printed": "78.64",
        "value": 78.64,
        "std": None,
        "note": "best of 5 runs",
    }
    ours = cell["ours"]
    assert round(ours["value"], 2) == 79.02
    assert len(ours["runs"]) == ours["seeds"] == ours["seeds_wanted"] == 5
    assert ours["picked"].startswith("igp.vae-mnist-seed3-")
    assert (ours["unit"], ours["dialect"]) == ("nats an image", "rec@test-one-sample")
    assert (ours["state"], ours["aggregation"], ours["std"]) == ("measured", "best", None)


def test_what_is_not_measured_is_null(toy):
    toy.failed("B", 0)
    page = toy_page(toy)
    cells = {(cell["row"], cell["column"]): cell for cell in read(page)["cells"]}
    assert cells["B", "One"]["ours"]["state"] == "failed"
    assert cells["B", "KL"]["ours"]["value"] is None
    assert cells["B", "KL"]["ours"]["state"] == "not applicable"
    assert cells["B", "AU"]["ours"]["seeds"] == 1
    assert [as_csv_line(cell) for cell in read(page)["cells"]] == told(page)


def test_numbers_that_json_has_not_are_null(toy):
    page = toy_page(toy)
    key = Key("A", "G", "AU")
    page.measured[key] = replace(page.measured[key], value=math.nan, std=math.inf)
    (ours,) = (
        cell["ours"]
        for cell in read(page)["cells"]
        if cell["ours"] and (cell["row"], cell["column"]) == ("A", "AU")
    )
    assert (ours["value"], ours["std"], ours["state"]) == (None, None, "measured")


def test_the_keys_stand_in_one_order():
    text = to_json(page_of("igp-table12"))
    assert text == to_json(page_of("igp-table12"))
    assert text.endswith("}\n")
