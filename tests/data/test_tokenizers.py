"""From sentences to ids and back."""

import pytest

from vaebench.data.tokenizers import BOS, EOS, PAD, SPECIALS, UNK, Pieces, Words
from vaebench.errors import UserError

SENTENCES = [
    f"the {noun} of {place} {verb} {how} ."
    for noun in ("soup", "waiter", "singer", "train")
    for place in ("paris", "rome", "oslo")
    for verb in ("was", "seemed")
    for how in ("good", "awful", "quite late")
]
PIECES = pytest.mark.parametrize(("kind", "size"), [("bpe", 80), ("unigram", 30)])


def test_words_are_numbered_as_they_appear():
    words = Words.of(["b a", "a c <unk> b"])
    assert words.words == (*SPECIALS, "b", "a", "c")
    assert words.size == 7
    assert words.encode(["a b", "c"]) == [[5, 4], [6]]


def test_the_most_frequent_words():
    """<unk> is one of them; of equally frequent ones the first to appear goes first."""
    sentences = ["d b a <unk> <unk>", "c a b </s>", "a <unk> e"]
    words = Words.most_frequent(sentences, size=4)
    assert words.words == (*SPECIALS, "a", "b", "d")
    assert words.size == 4 + 3
    assert words.encode(["a <unk> c d </s>"]) == [[4, UNK, UNK, 6, UNK]]
    assert Words.most_frequent(sentences, size=9).words == (*SPECIALS, "a", "b", "d", "c", "e")


def test_unknown_words():
    words = Words.of(["a b"])
    assert words.encode(["a x <unk> b"]) == [[4, UNK, UNK, 5]]
    assert words.decode([4, UNK, 5]) == "a <unk> b"


@pytest.mark.parametrize("special", SPECIALS[:UNK])
def test_words_that_look_like_specials_are_none(special):
    words = Words.of([f"a {special} b"])
    assert words.size == 6
    assert words.encode([f"a {special}"]) == [[4, UNK]]


def test_words_come_back():
    words = Words.of(SENTENCES)
    for ids, sentence in zip(words.encode(SENTENCES), SENTENCES, strict=True):
        assert words.decode(ids) == sentence
        assert words.decode([BOS, *ids, EOS, PAD, PAD]) == sentence
        assert words.decode([BOS, *ids, EOS, *ids]) == sentence


def test_words_are_known_by_their_identity():
    words = Words.of(SENTENCES)
    assert Words.known(words.identity) == words
    assert Words.of(["a b"]).identity != Words.of(["b a"]).identity


def vocabulary(tmp_path, content):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


HEAD = "".join(f"{special}\n" for special in SPECIALS)


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_vocabulary_file(tmp_path, end):
    for mark in ("", "\ufeff"):
        words = Words.read(vocabulary(tmp_path, f"{mark}{HEAD}good\ncaf\u00e9{end}"))
        assert words.words == (*SPECIALS, "good", "caf\u00e9")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "line 1: expected <pad>, found ; a vocabulary begins with <pad>, <s>, </s>, <unk>"),
        ("<pad>\n<s>\n<unk>\n</s>\n", "line 3: expected </s>, found <unk>; a vocabulary"),
        ("<pad>\n<s>\n</s>\n", "line 4: expected <unk>, found the end; a vocabulary begins"),
        (HEAD + "a\nb\na\n", "line 7: 'a' stands in line 5"),
        (HEAD + "the 1024\n", "line 5: expected one word, found 'the 1024'"),
        (HEAD + "a\n\nb\n", "line 6: expected one word, found ''"),
        (HEAD.encode() + b"a\n\xff\n", "line 6 is not UTF-8"),
    ],
)
def test_wrong_vocabulary_files(tmp_path, content, expected):
    path = vocabulary(tmp_path, content)
    with pytest.raises(UserError) as caught:
        Words.read(path)
    assert str(caught.value).removeprefix(f"{path}: ").startswith(expected)


def test_no_vocabulary_file(tmp_path):
    with pytest.raises(UserError, match=r"vocab.txt: cannot be read \(No such file"):
        Words.read(tmp_path / "vocab.txt")


@PIECES
def test_pieces_come_back(kind, size):
    pieces = Pieces.of(SENTENCES, kind, size)
    assert pieces.size == size
    for ids, sentence in zip(pieces.encode(SENTENCES), SENTENCES, strict=True):
        assert all(UNK < place < size for place in ids)
        assert pieces.decode(ids) == sentence
        assert pieces.decode([BOS, *ids, EOS, PAD]) == sentence
        assert pieces.decode([BOS, *ids, EOS, *ids]) == sentence
    new = "the late waiter seemed awful"
    assert pieces.decode(pieces.encode([new])[0]) == new


@PIECES
def test_pieces_have_the_specials_where_words_have_them(kind, size):
    processor = Pieces.of(SENTENCES, kind, size)._processor
    assert [processor.id_to_piece(place) for place in range(4)] == list(SPECIALS)


@PIECES
def test_no_text_is_a_special(kind, size):
    pieces = Pieces.of(SENTENCES, kind, size)
    (ids,) = pieces.encode(["the <s> soup </s> <pad> was \u4f60"])
    assert not {PAD, BOS, EOS} & set(ids) and UNK in ids


@PIECES
def test_pieces_are_learnt_alike(kind, size):
    first, second = (Pieces.of(SENTENCES, kind, size) for _ in range(2))
    assert first.identity == second.identity
    assert Pieces(first.identity).encode(SENTENCES) == first.encode(SENTENCES)


def test_long_documents_count():
    """SentencePiece leaves out what is longer than 4,192 bytes unless it is told otherwise."""
    long = " ".join(["zyx"] * 2_000)
    pieces = Pieces.of([*SENTENCES, long], "bpe", 80)
    assert UNK not in pieces.encode(["zyx"])[0]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_size_that_cannot_be(kind):
    with pytest.raises(UserError) as caught:
        Pieces.of(SENTENCES, kind, 8_000)
    message = str(caught.value)
    told, most = message.removesuffix(" pieces; choose a smaller size").rsplit(" ", 1)
    assert told == f"tokenizer: {kind} of size 8000: the training sentences give no more than"
    assert Pieces.of(SENTENCES, kind, int(most)).size == int(most)
    with pytest.raises(UserError, match=r"alone are [0-9]+ pieces; choose a larger"):
        Pieces.of(SENTENCES, kind, 9)
