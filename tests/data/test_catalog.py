"""The catalogue: laws that every entry obeys."""

import re
import subprocess
import sys
from pathlib import PurePosixPath

import pytest

from vaebench.data.catalog import CATALOG, Archive, lookup
from vaebench.data.loading import MAKERS
from vaebench.errors import UserError


@pytest.mark.parametrize("name", CATALOG)
def test_entry_is_complete(name):
    entry = CATALOG[name]
    assert entry.name == name
    assert entry.title and entry.terms and entry.splits
    assert entry.made_in_code == (name in MAKERS)


@pytest.mark.parametrize("name", CATALOG)
def test_files_can_be_had_and_checked(name):
    entry = CATALOG[name]
    assert len({file.name for file in entry.files}) == len(entry.files)
    for file in entry.files:
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert all(url.startswith("https://") for url in file.mirrors)
        assert entry.file(file.part) is file


@pytest.mark.parametrize("name", CATALOG)
def test_archives_and_members_are_plainly_named(name):
    entry = CATALOG[name]
    names = [source.name for source in entry.sources] + [file.name for file in entry.files]
    assert all(PurePosixPath(name).name == name and not name.startswith(".") for name in names)
    for source, files in entry.sources.items():
        assert all(url.startswith("https://") for url in source.mirrors)
        if isinstance(source, Archive):
            assert len({file.member for file in files}) == len(files)
            for file in files:
                assert file.member and not file.member.startswith(("./", "/"))
                assert not file.mirrors and not file.member.endswith(".gz")
        else:
            assert not source.member


def test_mnist_is_the_original():
    entry = lookup("mnist")
    assert entry.kind == "original"
    assert entry.size == 54_950_048
    assert entry.file("train-images").sha256.startswith("ba891046")
    assert [url.split("/")[2] for url in entry.files[0].mirrors] == [
        "ossci-datasets.s3.amazonaws.com",
        "storage.googleapis.com",
        "yann.lecun.com",
    ]


def test_unknown_name():
    with pytest.raises(UserError, match=r"^unknown data set 'minst'; did you mean mnist\?$"):
        lookup("minst")


@pytest.mark.parametrize("module", ["vaebench.data.catalog", "vaebench.data.fetch"])
def test_imports_nothing_heavy(module):
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'numpy'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
