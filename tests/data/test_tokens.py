"""Sentences as ids, and the cache of them."""

import numpy as np
import pytest
import torch

from vaebench.data import tokens
from vaebench.data.corpora import Corpus
from vaebench.data.tokenizers import BOS, EOS, SPECIALS, UNK, Pieces, Words
from vaebench.data.tokens import tokenized
from vaebench.errors import UserError
from vaebench.registry.runs import TokenizerSettings

WORDS = TokenizerSettings(kind="words")
FEW = TokenizerSettings(kind="words", size=8)
BPE = TokenizerSettings(kind="bpe", size=40)


def corpus(*sentences):
    return Corpus(list(sentences), np.arange(len(sentences)) % 3)


CORPORA = {
    "train": corpus("the soup was good", "bad", "the staff was good to us", "the end"),
    "test": corpus("good soup", "the waiter was bad"),
}


@pytest.fixture
def encodings(monkeypatch):
    """Counts how often sentences are encoded, in place of how long it takes."""
    count = []
    for kind in (Words, Pieces):
        encode = kind.encode
        monkeypatch.setattr(
            kind, "encode", lambda self, found, do=encode: count.append(1) or do(self, found)
        )
    return count


def same(first, second):
    for name in CORPORA:
        pairs = zip(first[name].tensors.values(), second[name].tensors.values(), strict=True)
        if not all(torch.equal(a, b) for a, b in pairs):
            return False
    return True


def test_sentences_lie_one_after_the_other():
    splits, words = tokenized(CORPORA, None, (), None)
    test = splits["test"]
    place = words.words.index
    expected = [
        [BOS, place("good"), place("soup"), EOS],
        [BOS, place("the"), UNK, place("was"), place("bad"), EOS],
    ]
    assert test.tokens.tolist() == [*expected[0], *expected[1]]
    assert test.tokens.dtype == torch.int32 and test.lengths.dtype == torch.int64
    assert test.lengths.tolist() == [4, 6] and test.labels.tolist() == [0, 1]
    assert words.size == 4 + 9


@pytest.mark.parametrize("settings", [WORDS, BPE], ids=["words", "bpe"])
def test_what_was_made_is_kept(tmp_path, encodings, settings):
    first, tokenizer = tokenized(CORPORA, settings, (), tmp_path)
    assert len(encodings) == 2
    second, again = tokenized(CORPORA, settings, (), tmp_path)
    assert len(encodings) == 2 and same(first, second)
    assert again.identity == tokenizer.identity
    fresh, _ = tokenized(CORPORA, settings, (), None)
    assert same(first, fresh)


def test_everything_that_matters_has_a_file_of_its_own(tmp_path):
    other = {**CORPORA, "test": corpus("good soup", "the waiter was here")}
    moved = {"train": corpus(*CORPORA["train"].sentences, "good soup"), "test": CORPORA["test"]}
    vocabularies = []
    for number, word in enumerate(["soup", "good"]):
        vocabularies.append(tmp_path / f"{number}.txt")
        vocabularies[-1].write_text("\n".join([*SPECIALS, word]))
    cache = tmp_path / "cache"
    for found, settings, words in [
        (CORPORA, None, ()),
        (CORPORA, None, ("soup", "good")),
        (CORPORA, FEW, ()),
        (CORPORA, TokenizerSettings(kind="words", size=9), ()),
        (CORPORA, BPE, ()),
        (CORPORA, TokenizerSettings(kind="bpe", size=41), ()),
        (CORPORA, TokenizerSettings(kind="unigram", size=22), ()),
        *((CORPORA, TokenizerSettings(kind="words", vocabulary=str(v)), ()) for v in vocabularies),
        (other, None, ()),
        (moved, None, ()),
    ]:
        tokenized(found, settings, words, cache)
    assert len(list(cache.glob("tokens-*.npz"))) == 11
    vocabularies[1].write_text("\n".join([*SPECIALS, "soup"]))
    settings = TokenizerSettings(kind="words", vocabulary=str(vocabularies[1]))
    tokenized(CORPORA, settings, (), cache)
    assert len(list(cache.glob("tokens-*.npz"))) == 11


def test_labels_are_those_of_the_corpus_not_of_the_cache(tmp_path):
    tokenized(CORPORA, None, (), tmp_path)
    train = Corpus(CORPORA["train"].sentences, np.array([2, 2, 0, 1]))
    splits, _ = tokenized({**CORPORA, "train": train}, None, (), tmp_path)
    assert splits["train"].labels.tolist() == [2, 2, 0, 1]
    assert len(list(tmp_path.glob("tokens-*.npz"))) == 1


@pytest.mark.parametrize("damage", ["altered", "cut", "empty", "folder", "other"])
@pytest.mark.parametrize("settings", [WORDS, BPE], ids=["words", "bpe"])
def test_what_is_damaged_is_made_again(tmp_path, encodings, settings, damage):
    first, _ = tokenized(CORPORA, settings, (), tmp_path)
    (path,) = tmp_path.glob("tokens-*.npz")
    content = path.read_bytes()
    path.unlink()
    match damage:
        case "altered":
            place = content.index(first["test"].tokens.numpy().tobytes())
            path.write_bytes(content[:place] + b"\x07" + content[place + 1 :])
        case "cut":
            path.write_bytes(content[:-30])
        case "empty":
            path.write_bytes(b"")
        case "folder":
            path.mkdir()
        case "other":
            path.write_text("no archive")
    second, _ = tokenized(CORPORA, settings, (), tmp_path)
    assert len(encodings) == 4 and same(first, second)
    if damage != "folder":
        assert same(first, tokenized(CORPORA, settings, (), tmp_path)[0]) and len(encodings) == 4


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path, encodings):
    (tmp_path / "file").write_text("")
    splits, _ = tokenized(CORPORA, None, (), tmp_path / "file" / "cache")
    assert same(splits, tokenized(CORPORA, None, (), None)[0])


def test_a_vocabulary_of_the_data_set_itself():
    own = ("staff", "was", "never", "good")
    splits, words = tokenized(CORPORA, None, own, None)
    assert words.words == (*SPECIALS, *own)
    assert splits["train"].tokens[:6].tolist() == [BOS, UNK, UNK, 5, 7, EOS]
    _, pieces = tokenized(CORPORA, BPE, own, None)
    assert pieces.size == 40
    assert tokenized(CORPORA, FEW, own, None)[1].words[4:6] == ("the", "was")


def test_the_most_frequent_words_are_those_of_the_training_split(tmp_path):
    for _ in range(2):  # made, and kept
        splits, words = tokenized(CORPORA, FEW, (), tmp_path)
        assert words.words == (*SPECIALS, "the", "was", "good", "soup", "bad", "staff", "to")
        assert splits["test"].tokens.tolist() == [BOS, 6, 7, EOS, BOS, 4, UNK, 5, 8, EOS]


def test_a_vocabulary_file_comes_before_the_words_there_are(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIALS, "good"]))
    settings = TokenizerSettings(kind="words", vocabulary=str(path))
    for own in ((), ("soup",)):
        assert tokenized(CORPORA, settings, own, None)[1].words == (*SPECIALS, "good")


def test_too_many_pieces_are_refused(tmp_path):
    settings = TokenizerSettings(kind="bpe", size=8_000)
    with pytest.raises(UserError, match=r"no more than [0-9]+ pieces; choose a smaller size"):
        tokenized(CORPORA, settings, (), tmp_path)
    assert not list(tmp_path.glob("tokens-*"))


def test_another_format_is_made_anew(tmp_path, monkeypatch):
    tokenized(CORPORA, None, (), tmp_path)
    monkeypatch.setattr(tokens, "_FORMAT", tokens._FORMAT + 1)
    tokenized(CORPORA, None, (), tmp_path)
    assert len(list(tmp_path.glob("tokens-*.npz"))) == 2


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"kind": "words", "size": 9, "vocabulary": "v.txt"}, "leave size out"),
        ({"kind": "words", "size": 7}, "size"),
        ({"kind": "bpe"}, "bpe needs a size, such as 8000"),
        ({"kind": "unigram", "size": 9, "vocabulary": "v.txt"}, "leave vocabulary out"),
    ],
)
def test_settings_that_cannot_be(settings, told):
    with pytest.raises(UserError, match=rf"^data\.tokenizer.*{told}"):
        TokenizerSettings.read(settings, "data.tokenizer")
