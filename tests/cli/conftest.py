"""A store with finished smoke runs, made once."""

import shutil

import pytest
from commands import invoke


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A store with the runs of IGP's Figure 6 at smoke scale: three rows of Table 12, two seeds.
    Only to be read."""
    root = tmp_path_factory.mktemp("finished") / "results"
    result = invoke("run", "igp-figure6", "--scale", "smoke", "--results-dir", root)
    assert result.exit_code == 0, result.output
    return root


@pytest.fixture
def results(finished, tmp_path):
    """A copy of the finished store, to be changed."""
    return shutil.copytree(finished, tmp_path / "results")
