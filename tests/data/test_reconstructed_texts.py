"""Text data sets that are made as IGP describes its own."""

from collections import Counter

import numpy as np
import pytest
from packing import tar, zipped
from text_files import held, lay, small, text

from vaebench.data import texts
from vaebench.data.catalog import lookup
from vaebench.data.fetch import import_from
from vaebench.data.loading import load
from vaebench.data.reconstructed_texts import plain
from vaebench.errors import UserError
from vaebench.registry.runs import DataView


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Phoenix, Arizona (60 ft)", "phoenix arizona ( 60 ft )"),
        ("St. Mary's well-known\tCAFÉ", "st . marys well - known café"),
        ("`` I do n't , '' she said . \"He's\"", "i dont she said . hes"),
        ("we 'll say 't is the king 's", "well say t is the kings"),
        ("-LCB- a picture : p1.jpg -RCB-", "{ a picture : p1 . jpg }"),
        ("what is _UNK ?", "what is <unk> ?"),
        (" ,\n", ""),
    ],
)
def test_plain_words(given, expected):
    assert plain(given) == expected


def books(folder, name, *contents, **sizes):
    entry = small(name, *(sizes.get(key, 3) for key in ("train", "validation", "test")))
    lay(folder, entry, *contents)
    return entry, texts.corpora(entry, folder)


SENTENCES = {name: [f"{name.title()} no. {i}." for i in range(9)] for name in ("a", "b", "c")}


@pytest.mark.parametrize("name", ["cbt", "childrens-books"])
def test_books_give_their_own_split(tmp_path, name):
    files = [text(found) for found in SENTENCES.values()]
    _, corpora = books(tmp_path, name, *files)
    for book, corpus in zip(SENTENCES, corpora.values(), strict=True):
        assert len(corpus) == len(set(corpus.sentences)) == 3
        assert {sentence.split()[:2] == [book, "no"] for sentence in corpus.sentences} == {True}
        assert corpus.labels.tolist() == [0, 0, 0]


def test_titles_of_books_blank_lines_and_long_sentences_are_left_out(tmp_path):
    forty = " ".join(["word"] * 40)
    told = ["_BOOK_TITLE_ : A_Book.txt.out", "One .", "", forty, f"{forty} word", ", ''", "Two ,"]
    _, corpora = books(tmp_path, "cbt", *[text(told)] * 3)
    assert corpora["test"].sentences == ["one .", forty, "two"]


def test_a_book_that_is_too_short(tmp_path):
    files = [text(found) for found in SENTENCES.values()]
    with pytest.raises(UserError) as caught:
        books(tmp_path, "cbt", *files, validation=10)
    assert str(caught.value) == (
        f"{tmp_path}/cbt/cbt_valid.txt: 9 texts of use are left, too few to draw 10 for the "
        "validation split of cbt"
    )


def test_a_book_that_is_no_utf_8(tmp_path):
    entry = small("cbt", 3, 3, 3)
    lay(tmp_path, entry, "a\n", "a\n", "a\n")
    (tmp_path / "cbt" / "cbt_test.txt").write_bytes(b"one\ntwo \xe9\n")
    with pytest.raises(UserError, match=r"cbt_test.txt: line 2: byte 0xe9 is not UTF-8$"):
        texts.corpora(entry, tmp_path)


def csv_row(label, *fields):
    return ",".join([f'"{label}"', *('"' + field.replace('"', '""') + '"' for field in fields)])


def abstracts(name, each):
    """`each` of every class of four, sorted by it; the abstract tells class and place."""
    return [csv_row(1 + i // each, "A title", f" {name} {i // each} {i}") for i in range(4 * each)]


def tables(folder, name, train, test, splits):
    entry = small(name, *splits, classes=4)
    lay(folder, entry, text(train), text(test))
    return entry, texts.corpora(entry, folder)


def test_abstracts_are_drawn_alike_from_every_class(tmp_path):
    _, corpora = tables(
        tmp_path, "dbpedia", abstracts("train", 9), abstracts("test", 5), (20, 8, 12)
    )
    for name, corpus in corpora.items():
        found = [sentence.split() for sentence in corpus.sentences]
        assert {words[0] for words in found} == {"test" if name == "test" else "train"}
        assert corpus.labels.tolist() == [int(words[1]) for words in found]
    counts = {name: np.bincount(corpus.labels).tolist() for name, corpus in corpora.items()}
    assert counts == {"train": [5] * 4, "validation": [2] * 4, "test": [3] * 4}
    assert corpora["test"].labels.tolist() == sorted(corpora["test"].labels)
    assert not set(corpora["train"].sentences) & set(corpora["validation"].sentences)


def test_long_abstracts_are_left_out(tmp_path):
    fifty = " ".join(["word"] * 50)
    train = [csv_row(1 + i % 4, "t", fifty if i < 8 else f"{fifty} word") for i in range(16)]
    _, corpora = tables(tmp_path, "dbpedia", train, abstracts("test", 1), (4, 4, 4))
    assert set(corpora["train"].sentences + corpora["validation"].sentences) == {fifty}


def test_questions_are_titles(tmp_path):
    rows = [
        csv_row(1 + i % 4, f'Who said "{i}"?', "More of it,\\nand more", "Nobody.")
        for i in range(8)
    ]
    rows += [csv_row(1, " ".join(["why"] * 31), "", ""), csv_row(2, "", "no title", "")]
    _, corpora = tables(tmp_path, "yahoo-questions", rows, rows, (4, 4, 8))
    assert sorted(corpora["test"].sentences) == [f"who said {i} ?" for i in range(8)]
    assert corpora["test"].labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (['"1","t","a"', '"1","t"'], "line 2: expected a class from 1 to 4 and 2 texts"),
        (['"5","t","a"'], "line 1: expected a class from 1 to 4 and 2 texts"),
        (['"1","t","a\nb"', '"x","t","a"'], "line 3: expected a class from 1 to 4 and 2 texts"),
        (['"1","t","a"'], "1 texts of use are left, too few to draw 4 of all classes alike for"),
        (abstracts("a", 2)[:6], "6 texts of use are left, too few to draw 4 of all classes alike"),
        (['"1","t","' + "a" * 140_000 + '"'], "line 1: cannot be read as CSV (field larger than"),
    ],
)
def test_tables_that_are_none(tmp_path, rows, told):
    with pytest.raises(UserError) as caught:
        tables(tmp_path, "dbpedia", rows, abstracts("test", 1), (4, 4, 4))
    assert str(caught.value).startswith(f"{tmp_path}/dbpedia/train.csv: {told}")


def test_a_table_that_is_no_utf_8(tmp_path):
    entry = small("dbpedia", 4, 4, 4, classes=4)
    lay(tmp_path, entry, text(abstracts("train", 2)), "")
    (tmp_path / "dbpedia" / "test.csv").write_bytes(b'"1","t","a"\n"1","t","\xe9"\n')
    with pytest.raises(UserError, match=r"test.csv: line 2: byte 0xe9 is not UTF-8$"):
        texts.corpora(entry, tmp_path)


def pairs(name, count):
    head = ["gold_label", "sentence1_parse", "sentence1", "sentence2", "pairID", "label1"]
    rows = [["-", "( A )", "A premise.", f"{name} {i}'s own.", str(i), ""] for i in range(count)]
    return text("\t".join(row) for row in [head, *rows])


def test_hypotheses(tmp_path):
    entry = small("snli", 5, 3, 3)
    lay(tmp_path, entry, pairs("Train", 9), pairs("Dev", 3), pairs("Test", 3))
    corpora = texts.corpora(entry, tmp_path)
    assert corpora["test"].sentences == [f"test {i}s own ." for i in range(3)]
    assert corpora["validation"].sentences == [f"dev {i}s own ." for i in range(3)]
    assert len(set(corpora["train"].sentences)) == 5
    assert {sentence.split()[0] for sentence in corpora["train"].sentences} == {"train"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a\tb\n", "line 1: expected the names of columns, sentence2 among them"),
        ("label\tsentence2\n0\ta\n0\n", "line 3: has no column 2, sentence2"),
        ("label\tsentence2\n\n", "line 2 is empty; expected a sentence a line"),
    ],
)
def test_tables_without_hypotheses(tmp_path, content, told):
    entry = small("snli", 1, 1, 1)
    lay(tmp_path, entry, content, pairs("Dev", 3), pairs("Test", 3))
    with pytest.raises(UserError) as caught:
        texts.corpora(entry, tmp_path)
    assert str(caught.value) == f"{tmp_path}/snli/snli_1.0_train.txt: {told}"


@pytest.mark.parametrize(
    ("name", "archive", "pack", "members"),
    [
        (
            "cbt",
            "CBTest.tgz",
            tar,
            ("CBTest/data/cbt_train.txt", "CBTest/data/cbt_valid.txt", "CBTest/data/cbt_test.txt"),
        ),
        (
            "dbpedia",
            "dbpedia_csv.tar.gz",
            tar,
            ("dbpedia_csv/train.csv", "dbpedia_csv/test.csv"),
        ),
        (
            "yahoo-questions",
            "yahoo_answers_csv.tgz",
            tar,
            ("yahoo_answers_csv/train.csv", "yahoo_answers_csv/test.csv"),
        ),
        (
            "snli",
            "snli_1.0.zip",
            zipped,
            tuple(f"snli_1.0/snli_1.0_{part}.txt" for part in ("train", "dev", "test")),
        ),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_releases_are_taken_whole_or_unpacked(tmp_path, name, archive, pack, members, packed):
    contents = {member: member.encode() for member in members}
    given = tmp_path / "given"
    if packed:
        given.mkdir()
        (given / archive).write_bytes(pack({**contents, "readme.txt": b"read me"}))
    else:
        for member, content in contents.items():
            (given / member).parent.mkdir(parents=True, exist_ok=True)
            (given / member).write_bytes(content)
    entry = lookup(name)
    import_from(given, entry, tmp_path / "data")
    stored = [tmp_path / "data" / name / file.name for file in entry.files]
    assert [path.read_bytes() for path in stored] == list(contents.values())


OPENINGS = {
    "why ? ! more": "why ? !",
    "no end of _UNK it": "no end of <unk> it",
    "don't ... . three": "dont . . . .",
    ". too short": None,
    "too " * 30 + "long": None,
}


def test_openings(tmp_path):
    """Of documents of four classes, in blocks in either file."""
    file = text(f"{label} {told}" for label in range(4) for told in OPENINGS)
    entry = small("yahoo-questions-derived", 12, 4, 8, classes=4)
    lay(tmp_path, entry, file, file)
    corpora = texts.corpora(entry, tmp_path)
    assert [len(corpus) for corpus in corpora.values()] == [12, 4, 8]
    for corpus in corpora.values():
        assert corpus.labels.tolist() == [int(told.split()[0]) for told in corpus.sentences]
    found = Counter(told for corpus in corpora.values() for told in corpus.sentences)
    kept = [told for told in OPENINGS.values() if told]
    assert found == Counter({f"{label} {told}": 2 for label in range(4) for told in kept})


PIECES_HEAD = "source\tsource_split\tlabel\ttitle\ttext"


def pieces(folder, rows, splits):
    entry = small("dbpedia-derived", *splits, classes=2)
    lay(folder, entry, text([PIECES_HEAD, *("\t".join(row) for row in rows)]))
    return texts.corpora(entry, folder)


def test_pieces_are_taken_once(tmp_path):
    """The same text in another form is the same; that of the later source stays."""
    rows = [("keaml", "train", str(i % 2), "", f"Saint No{i} , 's one .") for i in range(6)]
    rows += [("dhim", "test", str(i % 2), "", f"Saint No{i}'s one.") for i in range(3)]
    rows += [
        ("textoir", "dev", "1", "", "no punctuation"),
        ("olora", "test", "0", "T", "Long " * 51),
    ]
    corpora = pieces(tmp_path, rows, (3, 1, 2))
    found = [told for corpus in corpora.values() for told in corpus.sentences]
    expected = [f"saint no{i}s one ." if i < 3 else f"saint no{i} s one ." for i in range(6)]
    assert sorted(found) == expected
    assert corpora["test"].labels.tolist() == sorted(corpora["test"].labels)
    for corpus in corpora.values():
        assert corpus.labels.tolist() == [int(told[8]) % 2 for told in corpus.sentences]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("dhim", "test", "0", "text"), "line 3: expected 5 columns between tabs, found 4"),
        (("dhim", "test", "2", "", "text"), "line 3: label '2'; expected one of 0, 1"),
    ],
)
def test_pieces_that_are_none(tmp_path, row, told):
    good = ("dhim", "test", "1", "", "A text .")
    with pytest.raises(UserError) as caught:
        pieces(tmp_path, [good, row], (1, 0, 0))
    assert str(caught.value) == f"{tmp_path}/dbpedia-derived/dbpedia_pieces.tsv: {told}"


def test_words_of_hypotheses(tmp_path):
    """What validation leaves of the development set is for training."""
    entry = small("snli-derived", 6, 2, 3)
    head = "split\tlabel\tpremise\thypothesis"
    train = [head, *(f"train\t1\tA premise.\tPair no. {i}, isn't it?" for i in range(4))]
    held_out = [f"a premise\tdev {i} is n't 'it\t1" for i in range(4)]
    test = [f"a premise\t``test '' {i}\t0" for i in range(3)]
    lay(tmp_path, entry, text(train), text(held_out), text(test))
    corpora = texts.corpora(entry, tmp_path)
    assert list(corpora) == ["train", "validation", "test"]
    assert corpora["test"].sentences == ["test 0", "test 1", "test 2"]
    dev = [*corpora["train"].sentences[4:], *corpora["validation"].sentences]
    assert sorted(dev) == [f"dev {i} isnt it" for i in range(4)]
    assert corpora["train"].sentences[:4] == [f"pair no {i} isnt it" for i in range(4)]


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "vocabulary", "words", "sha256"),
    [
        ("childrens-books", 37_941, 16.11, "069fa00410aeaa04"),
        ("dbpedia-derived", 38_575, 29.82, "946d6d1e11fb202f"),
        ("yahoo-questions-derived", 10_728, 11.49, "93962472de925b2a"),
        ("snli-derived", 8_588, 7.44, "96c94c21a97d89ec"),
    ],
)
def test_the_real_ones(tmp_path, name, vocabulary, words, sha256):
    """As many words a sentence, without </s>, as the paper's losses let expect: 15, 30, 11.5, 7.5
    of its own sets."""
    data = load(DataView(dataset=name), held(name, tmp_path))
    assert data.info.vocabulary == vocabulary
    assert (data.train.lengths - 2).double().mean().item() == pytest.approx(words, abs=0.005)
    assert data.sha256.startswith(sha256)
