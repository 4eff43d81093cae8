"""Token matrices: sentences as ids, made once a corpus and tokeniser and kept by content."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vaebench.data.corpora import Corpus
from vaebench.data.dataset import TextSplit
from vaebench.data.placing import write
from vaebench.data.tokenizers import BOS, EOS, Pieces, Tokenizer, Words
from vaebench.errors import UserError
from vaebench.registry.canonical import canonical
from vaebench.registry.runs import TokenizerSettings

_FORMAT = "1"  # raised when the same sentences come out as other ids


def tokenized(
    corpora: Mapping[str, Corpus], settings: TokenizerSettings | None, cache: Path | None
) -> tuple[dict[str, TextSplit], Tokenizer]:
    """The splits as ids, and what made them.

    Words are those of the whole training split, pieces are learnt from it. `cache` is a folder for
    what was made before, by the hash of all that it depends on.
    """
    chosen = settings or TokenizerSettings(kind="words")
    key = _key(corpora, chosen)
    folder = None if cache is None else cache / f"tokens-{key[:32]}"
    tokenizer = _tokenizer(corpora["train"], chosen, folder)
    splits = {}
    for name, corpus in corpora.items():
        path = None if folder is None else folder / f"{name}.npz"
        found = None if path is None else _kept(path)
        if found is None:
            found = _encoded(corpus, tokenizer)
            if path is not None:
                _keep(path, found)
        tokens, lengths = (torch.from_numpy(array) for array in found)
        splits[name] = TextSplit(tokens, lengths, torch.from_numpy(corpus.labels))
    return splits, tokenizer


def _tokenizer(train: Corpus, settings: TokenizerSettings, folder: Path | None) -> Tokenizer:
    if settings.kind == "words":
        if settings.vocabulary is not None:
            return Words.read(Path(settings.vocabulary).expanduser())
        return Words.of(train.sentences)
    if settings.size is None:
        raise UserError(f"data.tokenizer: {settings.kind} needs a size, such as 8000")
    path = None if folder is None else folder / "pieces.model"
    if path is not None and path.exists():
        return Pieces(path.read_bytes())
    pieces = Pieces.of(train.sentences, settings.kind, settings.size)
    if path is not None:
        write(path, [pieces.model])
    return pieces


def _encoded(corpus: Corpus, tokenizer: Tokenizer) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """All ids in one row, and how many each sentence has, <s> and </s> among them."""
    sentences = tokenizer.encode(corpus.sentences)
    lengths = np.array([len(ids) + 2 for ids in sentences], np.int64)
    flat = [place for ids in sentences for place in (BOS, *ids, EOS)]
    return np.array(flat, np.int32), lengths


def _key(corpora: Mapping[str, Corpus], settings: TokenizerSettings) -> str:
    digest = hashlib.sha256(f"{_FORMAT}\n{canonical(settings.model_dump())}\n".encode())
    if settings.vocabulary is not None:
        digest.update(Words.read(Path(settings.vocabulary).expanduser()).identity)
    for name, corpus in corpora.items():
        digest.update(f"\n{name} {len(corpus)}\n".encode())
        digest.update("\n".join(corpus.sentences).encode())
    return digest.hexdigest()


def _keep(path: Path, found: tuple[NDArray[np.int32], NDArray[np.int64]]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, tokens=found[0], lengths=found[1])
    write(path, [buffer.getvalue()])


def _kept(path: Path) -> tuple[NDArray[np.int32], NDArray[np.int64]] | None:
    """What `_keep` wrote; None if it is not there or damaged, so that it is made again."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["tokens"], arrays["lengths"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
