"""Text files: what they hold, and what is told of wrong ones."""

import gzip
from dataclasses import replace

import numpy as np
import pytest
import torch
from packing import tar

from vaebench.data import corpora
from vaebench.data.assets import Archive, Entry, StoredFile
from vaebench.data.catalog import CATALOG, lookup
from vaebench.data.corpora import classes_of, labelled, lines
from vaebench.data.download import Patience
from vaebench.data.fetch import DownloadFailed, fetch, import_from
from vaebench.data.loading import load
from vaebench.data.tokenizers import BOS, EOS, UNK
from vaebench.errors import UserError
from vaebench.registry.runs import DataView

local = pytest.mark.allow_hosts(["127.0.0.1"])
QUICK = Patience(timeout=0.3, retries=1, pause=0.0)
SIZES = {"train": 4, "validation": 2, "test": 3}
PLAIN = {
    "train": "a b c\nd e\na\nb b b b\n",
    "validation": "c\na d\n",
    "test": "e e\nf\na b\n",
}
LABELLED = {
    "train": "2\ta b c\n10\td e\n-1\ta\n2\tb b b b\n",
    "validation": "10\tc\n-1\ta d\n",
    "test": "2\te e\n-1\tf\n-1\ta b\n",
}


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Lays text files into the data folder as those of a data set; its entry."""
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path))

    def made(contents, classes=0, **changes):
        files = tuple(StoredFile(part, f"{part}.txt", None, None) for part in contents)
        entry = Entry(
            name="texts",
            title="Texts",
            kind="original",
            splits=SIZES,
            shape=(),
            classes=classes,
            format="text",
            terms="Made for tests.",
            files=files,
        )
        monkeypatch.setitem(CATALOG, "texts", entry)
        (tmp_path / "texts").mkdir(exist_ok=True)
        for part, content in {**contents, **changes}.items():
            data = content.encode() if isinstance(content, str) else content
            (tmp_path / "texts" / f"{part}.txt").write_bytes(data)
        return entry

    return made


def told(entry, folder):
    """What is told of a data set with a fault."""
    with pytest.raises(UserError) as caught:
        corpora.read(entry, folder)
    return str(caught.value).replace(f"{folder}/texts/", "")


def test_a_sentence_a_line(corpus, tmp_path):
    found = corpora.read(corpus(PLAIN), tmp_path)
    assert {name: len(part) for name, part in found.items()} == SIZES
    assert found["train"].sentences == ["a b c", "d e", "a", "b b b b"]
    assert found["train"].labels.tolist() == [0, 0, 0, 0]
    some = found["train"].some(np.array([2, 0]))
    assert some.sentences == ["a", "a b c"] and len(some) == 2


def test_labels_become_classes_in_the_order_of_their_values(corpus, tmp_path):
    found = corpora.read(corpus(LABELLED, classes=3), tmp_path)
    assert found["train"].labels.tolist() == [1, 2, 0, 1]
    assert found["test"].labels.tolist() == [1, 0, 0]
    assert found["test"].labels.dtype == np.int64
    assert found["validation"].sentences == ["c", "a d"]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["10", "9", "-1", "9"], ["-1", "9", "10"]),
        (["pos", "neg", "pos"], ["neg", "pos"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["--1", "2"], ["--1", "2"]),
    ],
)
def test_classes_of(labels, classes):
    assert classes_of(labels) == classes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": "a\n\nb\nc\n"}, "train.txt: line 2 is empty; expected a sentence a line"),
        ({"train": "a\nb\nc\n \t \n"}, "train.txt: line 4 is empty; expected a sentence a line"),
        ({"test": "a\nb\nc\n\n"}, "test.txt: line 4 is empty; expected a sentence a line"),
        ({"test": ""}, "test.txt: line 1 is empty; expected a sentence a line"),
        ({"validation": b"a\ncaf\xe9 b\n"}, "validation.txt: line 2: byte 0xe9 is not UTF-8"),
        (
            {"validation": b"\xef\xbb\xbfa\nb\n\xff\n"},
            "validation.txt: line 3: byte 0xff is not UTF-8",
        ),
        ({"test": "a\nb\n"}, "test.txt: 2 lines; texts has 3 in its test split"),
    ],
)
def test_wrong_files(corpus, tmp_path, changes, expected):
    assert told(corpus(PLAIN, **changes), tmp_path) == expected


EXPECTED = "expected label<TAB>sentence"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"test": "2\ta\nb\n2\tc\n"}, f"test.txt: line 2: a label is missing; {EXPECTED}"),
        ({"test": "2\ta\n2\tb\n \tc\n"}, f"test.txt: line 3: a label is missing; {EXPECTED}"),
        ({"train": "2\t\n2\tb\n"}, f"train.txt: line 1: a sentence is missing; {EXPECTED}"),
        (
            {"test": "2\ta\n2\tb\n3\tc\n"},
            "test.txt: line 3: label '3'; expected one of those of the training file: -1, 2, 10",
        ),
        ({"train": "2\ta\n2\tb\n3\tc\n3\td\n"}, "train.txt: 2 labels; texts has 3 classes"),
    ],
)
def test_wrong_labels(corpus, tmp_path, changes, expected):
    assert told(corpus(LABELLED, classes=3, **changes), tmp_path) == expected


def test_a_missing_file_is_named(corpus, tmp_path):
    entry = corpus(PLAIN)
    (tmp_path / "texts" / "test.txt").unlink()
    assert told(entry, tmp_path) == "test.txt: cannot be read (No such file or directory)"


def test_changed_files_are_told(corpus, tmp_path):
    entry = corpus(PLAIN)
    (tmp_path / "texts" / "checksums.json").write_text('{"test.txt": "%s"}' % ("0" * 64))
    assert told(entry, tmp_path).startswith(
        f"test.txt: expected sha256 {'0' * 64} (recorded on first use in checksums.json), found "
    )
    (file, *others) = entry.files
    published = replace(entry, files=(replace(file, sha256="1" * 64), *others))
    message = told(published, tmp_path)
    assert message.startswith(f"train.txt: expected sha256 {'1' * 64}, found ")
    assert message.endswith("; `vaebench fetch-data texts` fetches it again")


def test_line_ends_and_marks_of_other_systems(tmp_path):
    content = "\ufeffa b\r\n c \r\n\u00e9".encode()
    found = [line.split() for line in lines(content, tmp_path)]
    assert found == [["a", "b"], ["c"], ["\u00e9"]]


def test_the_first_tab_ends_the_label(tmp_path):
    assert labelled([" 1\ta\tb "], tmp_path) == (["1"], ["a\tb"])


def test_texts_become_tensors(corpus, tmp_path):
    corpus(LABELLED, classes=3)
    data = load(DataView(dataset="texts"), tmp_path)
    assert (data.info.shape, data.info.classes, data.info.vocabulary) == ((), 3, 4 + 5)
    assert data.info.longest == 6
    assert [len(s) for s in (data.train, data.validation, data.test)] == [4, 2, 3]
    assert data.test.take(torch.tensor([1])).x.tolist() == [[BOS, UNK, EOS]]


def packed(**changes):
    """The archive of `yahoo`, with few documents."""
    contents = {"train": PLAIN["train"], "valid": PLAIN["validation"], "test": PLAIN["test"]}
    members = {f"yahoo_data/yahoo.{part}.txt": text for part, text in contents.items()}
    return tar({name: text.encode() for name, text in {**members, **changes}.items()})


@pytest.fixture
def yahoo(mirror, monkeypatch):
    """The entry `yahoo` with few documents, from where a server answers as Google Drive does."""
    query = "uc?export=download&id=13azGl"
    mirror.serve(query, mirror.answer(status=303, headers={"Location": "/download?id=13azGl"}))
    entry = lookup("yahoo")
    (archive,) = entry.sources
    there = Archive(archive.name, (mirror.url + query,), archive.aliases)
    files = tuple(replace(file, archive=there) for file in entry.files)
    entry = replace(entry, files=files, splits=SIZES)
    monkeypatch.setitem(CATALOG, "yahoo", entry)
    return entry


@local
def test_a_corpus_of_the_papers_comes_from_a_drive(yahoo, mirror, tmp_path):
    mirror.serve("download?id=13azGl", mirror.answer(packed(), etag=None))
    fetch(yahoo, tmp_path, patience=QUICK)
    data = load(DataView(dataset="yahoo"), tmp_path)
    assert data.info.classes == 0 and data.info.vocabulary == 9
    assert data.train.lengths.tolist() == [5, 4, 3, 6]


@local
def test_the_page_that_a_drive_gives_instead_is_told_and_the_way_by_hand(yahoo, mirror, tmp_path):
    page = mirror.answer(b"<html>too large to scan", headers={"Content-Type": "text/html"})
    mirror.serve("download?id=13azGl", page)
    with pytest.raises(DownloadFailed) as caught:
        fetch(yahoo, tmp_path, patience=QUICK)
    lines = str(caught.value).splitlines()
    assert lines[0] == "yahoo: yahoo_data.tar.gz could not be downloaded"
    assert lines[1].endswith("&id=13azGl: answered with a web page instead of the file")
    assert lines[-1] == yahoo.by_hand
    assert "gives it to a browser: save it as yahoo_data.tar.gz" in lines[-1]


@local
@pytest.mark.parametrize("layout", ["archive", "folder", "files", "packed files"])
def test_what_was_got_by_hand_is_taken(yahoo, tmp_path, layout):
    given = tmp_path / "given"
    given.mkdir()
    texts = {"train": PLAIN["train"], "valid": PLAIN["validation"], "test": PLAIN["test"]}
    if layout == "archive":
        (given / "yahoo_data.tar.gz").write_bytes(packed())
    for part, text in texts.items() if layout != "archive" else ():
        path = given / ("yahoo_data" if layout == "folder" else ".") / f"yahoo.{part}.txt"
        path.parent.mkdir(exist_ok=True)
        if layout == "packed files":
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text)
    import_from(given, yahoo, tmp_path / "data")
    assert len(load(DataView(dataset="yahoo"), tmp_path / "data").test) == 3
