"""Where the data folder is."""

from pathlib import Path

import pytest

from vaebench.data.catalog import lookup
from vaebench.data.folder import data_folder, fetch_command
from vaebench.errors import UserError


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    monkeypatch.delenv("VAEBENCH_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ada")


def test_the_nearest_wish_counts(monkeypatch):
    assert data_folder() == Path("/home/ada/.cache/vaebench/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data_folder() == Path("/cache/vaebench/data")
    monkeypatch.setenv("VAEBENCH_DATA", "/sets")
    assert data_folder() == Path("/sets")
    assert data_folder("/given") == Path("/given")


def test_empty_and_relative_settings_do_not_count(monkeypatch):
    monkeypatch.setenv("VAEBENCH_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert data_folder() == Path("/home/ada/.cache/vaebench/data")


def test_home_is_expanded_and_paths_become_absolute():
    assert data_folder("~/sets") == Path("/home/ada/sets")
    assert data_folder("sets") == Path.cwd() / "sets"


def test_no_home(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(UserError, match=r"no data folder: .*; name one with --data-dir DIR"):
        data_folder()


def test_fetch_command_names_the_folder_unless_it_is_the_usual_one():
    mnist = lookup("mnist")
    assert fetch_command(mnist, data_folder()) == "vaebench fetch-data mnist"
    command = "vaebench fetch-data mnist --data-dir '/my sets'"
    assert fetch_command(mnist, Path("/my sets")) == command
