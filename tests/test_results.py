"""The committed results are what the committed records give."""

from pathlib import Path

import pytest

from vaebench.cli.targets import find_targets
from vaebench.registry.selection import EVERYTHING
from vaebench.store.store import Store

RESULTS = Path(__file__).resolve().parent.parent / "results"
FILES = sorted(RESULTS.glob("*.csv"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_csv_is_that_of_the_records(path, tmp_path):
    """Regenerate: `vaebench run TABLE --scale SCALE` with the records in place."""
    name, scale = path.name.split(".")[:2]
    (tmp_path / "records").symlink_to(RESULTS / "records")
    find_targets([name], scale, EVERYTHING).write_summaries(Store(tmp_path))
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_record_belongs_to_a_table_or_a_figure_or_to_what_they_start_from():
    needed: set[str] = set()
    for name, scale in {tuple(path.name.split(".")[:2]) for path in FILES}:
        needed |= find_targets([name], scale, EVERYTHING).plan.work.keys()
    records = {path.stem for path in (RESULTS / "records").glob("*.json")}
    assert records <= needed
