"""The catalogue: laws that every entry obeys."""

import re
import subprocess
import sys
from pathlib import PurePosixPath

import pytest

from vaebench.data import loading, texts
from vaebench.data.assets import Archive
from vaebench.data.catalog import CATALOG, WEIGHTS, asset, lookup, lookup_weights
from vaebench.errors import UserError


@pytest.mark.parametrize("name", CATALOG)
def test_entry_is_complete(name):
    entry = CATALOG[name]
    assert entry.name == name
    assert entry.title and entry.terms and entry.splits
    assert entry.made_in_code == (name in {**loading.MAKERS, **texts.MAKERS})
    assert entry.made_in_code or entry.format in {**loading.READERS, **texts.READERS}
    assert entry.is_text == (name in texts.MAKERS or entry.format in texts.READERS)
    assert list(entry.splits) in (["train", "test"], ["train", "validation", "test"])
    assert len(entry.shape) == (0 if entry.is_text else 3)
    assert not (entry.classes and entry.attributes)
    assert entry.is_text or entry.classes or entry.attributes
    assert len(set(entry.class_names)) == len(entry.class_names) in (0, entry.classes)
    assert asset(name) is entry


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_are_complete(name):
    entry = WEIGHTS[name]
    (file,) = entry.files
    assert entry.name == name and entry.title and entry.terms
    assert file.size and file.sha256
    assert asset(name) is entry and lookup_weights(name) is entry


def test_no_weights_have_the_name_of_a_data_set():
    assert not CATALOG.keys() & WEIGHTS.keys()


@pytest.mark.parametrize("name", [*CATALOG, *WEIGHTS])
def test_files_can_be_had_and_checked(name):
    entry = asset(name)
    assert len({file.name for file in entry.files}) == len(entry.files)
    for file in entry.files:
        assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert all(url.startswith("https://") for url in file.mirrors)
        assert entry.file(file.part) is file
        assert file.size or not file.beginning


@pytest.mark.parametrize("name", [*CATALOG, *WEIGHTS])
def test_archives_and_members_are_plainly_named(name):
    entry = asset(name)
    names = [source.name for source in entry.sources] + [file.name for file in entry.files]
    assert all(PurePosixPath(name).name == name and not name.startswith(".") for name in names)
    for source, files in entry.sources.items():
        assert all(url.startswith("https://") for url in source.mirrors)
        if isinstance(source, Archive):
            assert all(PurePosixPath(name).suffix == ".npz" for name in source.arrays)
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


def test_celeba_is_the_original():
    entry = lookup("celeba")
    assert entry.kind == "original" and "non-commercial" in entry.terms
    assert sum(entry.splits.values()) == 202_599 and entry.attributes == 40
    assert all(file.sha256 and file.size for file in entry.files)


@pytest.mark.parametrize(
    ("name", "key", "stem"),
    [
        ("yahoo", "13azGlTuGdzWLCmgDmQPmvb_jcexVWX7i", "yahoo"),
        ("yelp", "1FT49oLNV8syhmGXEgiK6XTjEfMNqqEJJ", "yelp"),
        ("yelp-short", "18h8UYr801qr-USCYRzZySi_DSbUkHW71", "short_yelp"),
    ],
)
def test_the_corpora_of_the_papers_are_the_originals(name, key, stem):
    entry = lookup(name)
    assert entry.kind == "original" and list(entry.splits.values()) == [100_000, 10_000, 10_000]
    (archive,) = entry.sources
    assert archive.mirrors == (f"https://drive.google.com/uc?export=download&id={key}",)
    assert [file.member for file in entry.files] == [
        f"{stem}_data/{stem}.{part}.txt" for part in ("train", "valid", "test")
    ]
    assert archive.mirrors[0] in entry.by_hand and archive.name in entry.by_hand


def test_unknown_name():
    with pytest.raises(UserError, match=r"^unknown data set 'minst'; did you mean mnist\?$"):
        lookup("minst")
    with pytest.raises(UserError, match=r"^unknown weights 'incept'; did you mean inception\?$"):
        lookup_weights("incept")
    with pytest.raises(UserError, match=r"^unknown data set or weights 'x'"):
        asset("x")


def test_weights_are_no_data_set():
    with pytest.raises(UserError) as caught:
        lookup("inception")
    assert str(caught.value).startswith(
        "'inception' is the name of weights, not of a data set; data sets are: mnist, "
    )


@pytest.mark.parametrize(
    "module", ["vaebench.data.catalog", "vaebench.data.fetch", "vaebench.data.views"]
)
def test_imports_nothing_heavy(module):
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'numpy'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
