"""What the README says is what the program does."""

import re
from pathlib import Path

from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.results.formats import to_markdown
from vaebench.results.page import compose
from vaebench.store.store import Store

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_is_the_one_that_the_committed_records_give():
    """Regenerate: `vaebench table igp-table12`, first table and the sentence above it."""
    page = compose(
        expand(load_table("igp-table12")), Store(ROOT / "results"), "paper", None, "both"
    )
    block = re.search(r"<!-- igp-table12 -->\n(.*?)<!-- end -->", README, re.DOTALL)
    assert block is not None
    first_panel = to_markdown(page.grid).split("\n\n")[0]
    assert block.group(1).strip() == f"{page.statement}\n\n{first_panel}"


def test_ci_calls_the_test_command_of_the_readme():
    commands = re.findall(r"```\n(python3 -m venv .*?)\n```", README)
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_every_linked_file_exists():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
