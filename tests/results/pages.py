"""Pages to be rendered: every table as published, and tables with numbers of ours."""

from pathlib import Path

from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.names import table_paths
from vaebench.results.page import Page, compose
from vaebench.store.store import Store

RECORDS = Path(__file__).resolve().parents[2] / "results"
TABLES = list(table_paths())


def page_of(name: str, show: str = "both") -> Page:
    """A table with the committed records."""
    return compose(expand(load_table(name)), Store(RECORDS), "paper", None, show)


def toy_page(toy, **change) -> Page:
    """The toy table with one row measured, two seeds missing in the other."""
    toy.spec |= change
    for seed in range(3):
        toy.done("A", seed, toy.fit(5.0, 1.0), {"au": 4, "kind": "x"})
    toy.done("B", 1, toy.fit(6.0, None), {"au": 3, "kind": "y"})
    return compose(toy.expansion(), toy.store, "paper", None, "both")
