"""Text files of a user's, by the way that docs/your-own-text.md describes."""

import re
import sys
from pathlib import Path

import pytest
import torch
from commands import invoke

from vaebench.data.catalog import CATALOG, lookup, register
from vaebench.data.corpora import corpus
from vaebench.data.loading import load
from vaebench.data.text_sets import YELP
from vaebench.errors import UserError
from vaebench.registry.runs import DataView, TokenizerSettings

DOCS = (Path(__file__).parents[2] / "docs" / "your-own-text.md").read_text(encoding="utf-8")
WORDS = ["good", "bad", "soup", "the", "waiter", "was", "late", "fine", "rather", "very"]


def sentences(count, start=0):
    """Labelled sentences of three to six words."""
    lines = []
    for i in range(start, start + count):
        words = [WORDS[(i * (k + 3) + k) % len(WORDS)] for k in range(3 + i % 4)]
        lines.append(f"{i % 2}\t{' '.join(words)}\n")
    return "".join(lines)


def lay(folder, **contents):
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.txt").write_text(content, encoding="utf-8")


@pytest.fixture(autouse=True)
def catalogue(monkeypatch):
    """What a test registers is gone after it."""
    before = dict(CATALOG)
    yield
    CATALOG.clear()
    CATALOG.update(before)
    sys.modules.pop("my_texts", None)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with reviews and the example's module and table, which is the current one."""
    lay(tmp_path / "reviews", train=sentences(120), valid=sentences(24, 120), test=sentences(30, 7))
    (module,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    (table,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    (tmp_path / "my_texts.py").write_text(module)
    for large, small in (("size: 8000", "size: 30"), ("samples: 500", "samples: 5")):
        table = table.replace(large, small)
    (tmp_path / "my-table.yaml").write_text(table)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path / "data"))
    return tmp_path


def test_the_example_runs(place):
    commands = [line.split() for line in re.findall(r"^vaebench (.*)$", DOCS, re.MULTILINE)]
    assert [command[0] for command in commands] == ["run", "run", "table"]
    quick = ["--set", "arguments.network.width=0.03", "--set", "training.epochs=1"]
    quick += ["--set", "training.buckets.least=2", "--seeds", "1"]
    for command in commands:
        result = invoke(*command, *quick, "--results-dir", "r")
        assert result.exit_code == 0, result.output
    explained = invoke("explain", "my-table.yaml", "DU-VAE", "NLL", *command[2:], *quick[:6])
    assert "my-reviews (original), Text in" in explained.stdout, explained.output
    assert ", tokenizer bpe 30" in explained.stdout
    words = ["--set", "data.tokenizer.kind=words"]
    explained = invoke("explain", "my-table.yaml", "DU-VAE", "NLL", *command[2:], *words)
    assert ", tokenizer the 30 most frequent words" in explained.stdout, explained.output
    assert re.search(r"\| VAE +\| +[0-9]+\.[0-9]", result.stdout), result.stdout


def test_files_stay_where_they_are(place):
    register(corpus("mine", place / "reviews"))
    entry = lookup("mine")
    assert entry.kind == "original" and entry.classes == 2 and entry.is_text
    assert dict(entry.splits) == {"train": 120, "validation": 24, "test": 30}
    data = load(DataView(dataset="mine"), place / "data")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [120, 24, 30]
    first = (place / "reviews" / "train.txt").read_text().splitlines()[0]
    ids = data.train.take(torch.tensor([0])).x[0].tolist()
    assert data.tokenizer.decode(ids) == first.split("\t")[1]
    kept = {path.name for path in (place / "data" / "mine").iterdir()}
    assert kept - {".lock"} == {"checksums.json", "cache"}


def test_pieces_of_a_users_text(place):
    register(corpus("mine", place / "reviews"))
    view = DataView(dataset="mine", tokenizer=TokenizerSettings(kind="bpe", size=30))
    data = load(view, place / "data")
    assert data.info.vocabulary == 30
    line = (place / "reviews" / "test.txt").read_text().splitlines()[3]
    (found,) = data.tokenizer.encode([line.split("\t")[1]])
    assert data.tokenizer.decode(found) == line.split("\t")[1]


def test_text_that_changed_is_refused(place):
    register(corpus("mine", place / "reviews"))
    first = load(DataView(dataset="mine"), place / "data")
    assert load(DataView(dataset="mine"), place / "data").sha256 == first.sha256
    path = place / "reviews" / "test.txt"
    path.write_text(sentences(30, 8))
    with pytest.raises(UserError) as caught:
        load(DataView(dataset="mine"), place / "data")
    assert str(caught.value).startswith(f"{path}: it has changed since it was first used (sha256 ")
    assert str(caught.value).endswith(
        f"); name the corpus anew, or delete {place / 'data' / 'mine'} and the results on it"
    )
    (place / "data" / "mine" / "checksums.json").unlink()
    assert load(DataView(dataset="mine"), place / "data").sha256 != first.sha256


def test_a_file_that_goes_is_named(place):
    register(corpus("mine", place / "reviews"))
    (place / "reviews" / "test.txt").unlink()
    with pytest.raises(UserError, match=r"reviews/test.txt: cannot be read \(No such file"):
        load(DataView(dataset="mine"), place / "data")


def test_without_labels_and_validation(tmp_path):
    lay(tmp_path, train="a b\nc\n" * 20, test="b\n")
    entry = corpus("mine", str(tmp_path))
    assert entry.classes == 0 and dict(entry.splits) == {"train": 40, "test": 1}
    register(entry)
    data = load(DataView(dataset="mine", held_out=10), tmp_path / "data")
    assert [len(s) for s in (data.train, data.validation, data.test)] == [30, 10, 1]


def test_another_name_for_validation(tmp_path):
    lay(tmp_path, train="a\n", validation="a\nb\n", test="b\n")
    assert corpus("mine", tmp_path).splits["validation"] == 2


@pytest.mark.parametrize(
    ("contents", "told"),
    [
        ({"train": "a\n"}, "test.txt: cannot be read (No such file or directory)"),
        (
            {"train": "a\n\n", "test": "a\n"},
            "train.txt: line 2 is empty; expected a sentence a line",
        ),
        (
            {"train": "0\ta\nb\n1\tc\n", "test": "a\n"},
            "train.txt: line 2 has no tab, but line 1 has one; expected label<TAB>sentence in "
            "every line, or no tab in any",
        ),
        (
            {"train": "a\n", "test": "b\n0\tc\n"},
            "test.txt: line 2 has a tab, but no line of the training file has one; expected "
            "label<TAB>sentence in all files, or no tab in any",
        ),
        (
            {"train": "0\ta\n", "test": "0\tb\nc\n"},
            "test.txt: line 2: a label is missing; expected label<TAB>sentence",
        ),
    ],
)
def test_wrong_files_are_told_when_they_are_named(tmp_path, contents, told):
    lay(tmp_path, **contents)
    with pytest.raises(UserError) as caught:
        corpus("mine", tmp_path)
    assert str(caught.value) == f"{tmp_path}/{told}"


def test_wrong_files_end_a_command_in_words(place):
    (place / "reviews" / "train.txt").write_text("0\ta\n\n")
    result = invoke("run", "my-table.yaml", "--plugin", "my_texts", "--dry-run")
    assert result.exit_code == 2
    assert "train.txt: line 2 is empty; expected a sentence a line" in result.stderr


def test_names_are_not_taken_twice(tmp_path):
    lay(tmp_path, train="a\n", test="b\n")
    register(corpus("mine", tmp_path))
    register(corpus("mine", tmp_path))
    lay(tmp_path, train="a\nb\n", test="b\n")
    for name in ("mine", "yelp", "inception"):
        with pytest.raises(UserError, match=f"there is a data set or weights '{name}' already"):
            register(corpus(name, tmp_path))
    assert lookup("yelp") is YELP


@pytest.mark.parametrize("name", ["", "My texts", "../mine", ".mine", "a/b", "größe"])
def test_names_are_plain(tmp_path, name):
    lay(tmp_path, train="a\n", test="b\n")
    with pytest.raises(UserError, match="cannot be a data set's name: expected small letters"):
        register(corpus(name, tmp_path))
