"""From sentences to ids and back: whole words, or the pieces of a SentencePiece model."""

import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from vaebench.errors import UserError

SPECIALS = ("<pad>", "<s>", "</s>", "<unk>")
PAD, BOS, EOS, UNK = range(len(SPECIALS))


class Tokenizer(Protocol):
    """Ids 0 to `size` - 1, of which the first four are `<pad>`, `<s>`, `</s>` and `<unk>`."""

    @property
    def size(self) -> int: ...

    @property
    def identity(self) -> bytes:
        """What it is, for hashes of data."""
        ...

    def encode(self, sentences: Iterable[str]) -> list[list[int]]:
        """The ids of sentences, without <s> and </s>."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The sentence of ids up to the first </s>; <pad> and <s> are left out."""
        ...


@dataclass(frozen=True)
class Words:
    """Tokens lie between blanks; `words` are the ids' words, the specials among them."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, sentences: Iterable[str]) -> "Words":
        """Every word of the training sentences in the order of first appearance (He et al.)."""
        seen = dict.fromkeys(word for sentence in sentences for word in sentence.split())
        return cls(SPECIALS + tuple(word for word in seen if word not in SPECIALS))

    @classmethod
    def most_frequent(cls, sentences: Iterable[str], size: int) -> "Words":
        """`<unk>` and the most frequent other words, `size` in all, after the other specials (IGP).

        Of equally frequent words the first to appear goes first; there may be fewer in all.
        """
        counts = Counter(word for sentence in sentences for word in sentence.split())
        for special in SPECIALS:
            counts.pop(special, None)
        return cls(SPECIALS + tuple(word for word, _ in counts.most_common(size - 1)))

    @classmethod
    def known(cls, identity: bytes) -> "Words":
        """The one of this `identity`."""
        return cls(tuple(identity.decode().split("\n")))

    @classmethod
    def read(cls, path: Path) -> "Words":
        """A vocabulary file: a word a line, its number from 0 the id, the specials first."""
        try:
            words = path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise UserError(f"{path}: line {line} is not UTF-8") from error
        for line, special in enumerate(SPECIALS, start=1):
            found = words[line - 1] if line <= len(words) else "the end"
            if found != special:
                expected = ", ".join(SPECIALS)
                raise UserError(
                    f"{path}: line {line}: expected {special}, found {found}; "
                    f"a vocabulary begins with {expected}, a line each"
                )
        seen: dict[str, int] = {}
        for line, word in enumerate(words, start=1):
            if word.split() != [word]:
                raise UserError(f"{path}: line {line}: expected one word, found {word!r}")
            if word in seen:
                raise UserError(f"{path}: line {line}: {word!r} stands in line {seen[word]}")
            seen[word] = line
        return cls(tuple(words))

    @property
    def size(self) -> int:
        return len(self.words)

    @property
    def identity(self) -> bytes:
        return "\n".join(self.words).encode()

    @cached_property
    def _ids(self) -> Mapping[str, int]:
        # A word of the text that looks like padding or an end is no such thing.
        hidden = dict.fromkeys(SPECIALS[:UNK], UNK)
        return {word: place for place, word in enumerate(self.words)} | hidden

    def encode(self, sentences: Iterable[str]) -> list[list[int]]:
        find = self._ids.get
        return [[find(word, UNK) for word in sentence.split()] for sentence in sentences]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self.words[place] for place in _content(ids))


class Pieces:
    """A SentencePiece model, its bytes."""

    def __init__(self, model: bytes) -> None:
        from sentencepiece import SentencePieceProcessor

        self.model = model
        self._processor: Any = SentencePieceProcessor(model_proto=model)

    @classmethod
    def of(cls, sentences: Sequence[str], kind: Literal["bpe", "unigram"], size: int) -> "Pieces":
        """A model trained on sentences: one thread and all of them, so that it comes out alike."""
        from sentencepiece import SentencePieceTrainer

        model = io.BytesIO()
        longest = max((len(sentence.encode()) for sentence in sentences), default=0)
        try:
            SentencePieceTrainer.train(
                sentence_iterator=iter(sentences),
                model_writer=model,
                model_type=kind,
                vocab_size=size,
                pad_id=PAD,
                bos_id=BOS,
                eos_id=EOS,
                unk_id=UNK,
                max_sentence_length=longest + 10,  # longer ones would be left out
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise UserError(f"tokenizer: {kind} of size {size}: {_reason(str(error))}") from error
        return cls(model.getvalue())

    @property
    def size(self) -> int:
        return int(self._processor.get_piece_size())

    @property
    def identity(self) -> bytes:
        return self.model

    def encode(self, sentences: Iterable[str]) -> list[list[int]]:
        return [list(ids) for ids in self._processor.encode(list(sentences))]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._processor.decode(_content(ids)))


def _reason(told: str) -> str:
    """What SentencePiece complains of, in our words where we know it."""
    if most := re.search(r"size too high.*<= (\d+)", told):
        return f"the training sentences give no more than {most[1]} pieces; choose a smaller size"
    if least := re.search(r"required_chars\. \d+ vs (\d+)", told):
        return f"the characters alone are {least[1]} pieces; choose a larger size"
    return told.rpartition("] ")[2].strip() or told


def _content(ids: Sequence[int]) -> list[int]:
    """Ids up to the first </s>, without <pad> and <s>."""
    kept = list(ids)
    if EOS in kept:
        kept = kept[: kept.index(EOS)]
    return [place for place in kept if place not in (PAD, BOS)]
