"""Sentences as ids, made once a corpus and tokeniser and kept by content."""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaebench.data.corpora import Corpus
from vaebench.data.dataset import TextSplit
from vaebench.data.placing import alone, write
from vaebench.data.tokenizers import BOS, EOS, SPECIALS, Pieces, Tokenizer, Words
from vaebench.errors import UserError
from vaebench.registry.runs import TokenizerSettings

_FORMAT = 1  # raised when the same sentences come out as other ids

_Arrays = Mapping[str, NDArray[Any]]


def tokenized(
    corpora: Mapping[str, Corpus],
    settings: TokenizerSettings | None,
    words: Sequence[str],
    cache: Path | None,
) -> tuple[dict[str, TextSplit], Tokenizer]:
    """The splits as ids, and what made them.

    Words are those of the whole training split, pieces are learnt from it. `words` are the
    vocabulary of a data set that brings its own, where no other is asked for; `cache` is a folder
    for what was made before, by the hash of all that it depends on.
    """
    chosen = settings or TokenizerSettings(kind="words")
    if chosen.vocabulary is not None:
        given: Words | None = Words.read(Path(chosen.vocabulary).expanduser())
    else:
        own = bool(words) and chosen.kind == "words" and chosen.size is None
        given = Words((*SPECIALS, *words)) if own else None
    path = None
    if cache is not None:
        path = cache / f"tokens-{_key(corpora, chosen, given)[:32]}.npz"
    arrays = None if path is None else _kept(path)
    if arrays is None:
        arrays = _made(corpora, given or _learnt(corpora["train"], chosen))
        if path is not None:
            _keep(path, arrays)
    identity = arrays["tokenizer"].tobytes()
    tokenizer = Words.known(identity) if chosen.kind == "words" else Pieces(identity)
    splits = {
        name: TextSplit(
            torch.from_numpy(arrays[f"{name}-tokens"]),
            torch.from_numpy(arrays[f"{name}-lengths"]),
            torch.from_numpy(corpus.labels),
        )
        for name, corpus in corpora.items()
    }
    return splits, tokenizer


def _learnt(train: Corpus, settings: TokenizerSettings) -> Tokenizer:
    if settings.kind == "words":
        if settings.size is None:
            return Words.of(train.sentences)
        return Words.most_frequent(train.sentences, settings.size)
    if settings.size is None:
        raise UserError(f"data.tokenizer: {settings.kind} needs a size, such as 8000")
    return Pieces.of(train.sentences, settings.kind, settings.size)


def _made(corpora: Mapping[str, Corpus], tokenizer: Tokenizer) -> _Arrays:
    """What makes up the tokeniser (bytes) and, of every split, all ids in one row (int32), and how
    many each sentence has, <s> and </s> among them (int64)."""
    arrays: dict[str, NDArray[Any]] = {"tokenizer": np.frombuffer(tokenizer.identity, np.uint8)}
    for name, corpus in corpora.items():
        sentences = tokenizer.encode(corpus.sentences)
        flat = [place for ids in sentences for place in (BOS, *ids, EOS)]
        arrays[f"{name}-tokens"] = np.array(flat, np.int32)
        arrays[f"{name}-lengths"] = np.array([len(ids) + 2 for ids in sentences], np.int64)
    return arrays


def _key(corpora: Mapping[str, Corpus], settings: TokenizerSettings, given: Words | None) -> str:
    """The hash of all that the ids depend on."""
    digest = hashlib.sha256(f"{_FORMAT} {settings.kind} {settings.size}\n".encode())
    digest.update(given.identity if given else b"")
    for name, corpus in corpora.items():
        digest.update(f"\n{name} {len(corpus)}\n".encode())
        digest.update("\n".join(corpus.sentences).encode())
    return digest.hexdigest()


def _keep(path: Path, arrays: _Arrays) -> None:
    """Write arrays where the folder allows it; elsewhere they are made each time."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with suppress(UserError), alone(path.parent, lambda: None):
        write(path, [buffer.getvalue()])


def _kept(path: Path) -> _Arrays | None:
    """What `_keep` wrote; None if it is not there or damaged, so that it is made again."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception:  # on damaged bytes the readers raise whatever comes
        return None
