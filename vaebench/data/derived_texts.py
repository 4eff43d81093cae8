"""Text data sets made of files that were published for other splits, or for other purposes.

All draws are seeded, so that everybody has the same splits.
"""

import json
import re
from pathlib import Path
from typing import NoReturn

import numpy as np

from vaebench.data import draws
from vaebench.data.assets import Entry
from vaebench.data.corpora import Corpus, checked_content, checked_lines
from vaebench.data.folder import fetch_command, stored_path
from vaebench.errors import UserError

_TOPIC_SEEDS = {"train": 20_260_131, "validation": 20_260_132}
_ORDER_SEEDS = {"train": 20_260_133, "validation": 20_260_134, "test": 20_260_135}
_SENTIMENT_SEEDS = {"test": 20_260_136, "dev": 20_260_137}
_REVIEW_SEED = 20_260_138

STARS = ("very negative", "negative", "neutral", "positive", "very positive")
_PREFIX = "Text:"
_ESCAPED = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
_TOKENS = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


def read_topics(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """Documents of files that have as many of every class, sorted by it.

    Every split has as many of every class as it can, in a mixed order.
    """
    whole = in_blocks(entry, folder)
    rest, corpora = np.arange(len(whole)), {}
    for name, seed in _TOPIC_SEEDS.items():
        chosen = draws.balanced(whole.labels[rest], entry.splits[name], seed)
        corpora[name] = _mixed(whole.some(rest[chosen]), name)
        rest = np.delete(rest, chosen)
    return {**corpora, "test": _mixed(whole.some(rest), "test")}


def in_blocks(entry: Entry, folder: Path) -> Corpus:
    """The lines of all files, of which each has as many of every class, sorted by it."""
    sentences, labels = [], []
    for file in entry.files:
        found = checked_lines(entry, file, folder)
        sentences += found
        labels.append(np.arange(len(found)) * entry.classes // len(found))
    return Corpus(sentences, np.concatenate(labels))


def _mixed(corpus: Corpus, name: str) -> Corpus:
    return corpus.some(draws.permutation(len(corpus), _ORDER_SEEDS[name]))


def read_sentiment(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """Sentences of four files, each of one class: the training ones drawn from the two test files,
    the others from the two dev files, with the classes as they come."""
    pools = {}
    for name, seed in _SENTIMENT_SEEDS.items():
        parts = [checked_lines(entry, entry.file(f"{name}.{label}"), folder) for label in (0, 1)]
        labels = np.repeat([0, 1], [len(part) for part in parts])
        pool = Corpus([*parts[0], *parts[1]], labels)
        pools[name] = pool.some(draws.permutation(len(pool), seed))
    train, validation, test = (entry.splits[name] for name in ("train", "validation", "test"))
    return {
        "train": pools["test"].some(np.arange(train)),
        "validation": pools["dev"].some(np.arange(validation)),
        "test": pools["dev"].some(np.arange(validation, validation + test)),
    }


def read_reviews(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """Reviews of a JSON file, tokenised; the split depends on their texts, not on their order."""
    (file,) = entry.files
    path, splits = stored_path(entry, file, folder), entry.splits
    found = _reviews(checked_content(entry, file, folder), path, fetch_command(entry, folder))
    if len(found) != sum(splits.values()):
        raise UserError(f"{path}: expected {sum(splits.values()):,} reviews, found {len(found):,}")
    found.sort()
    whole = Corpus([text for text, _ in found], np.array([label for _, label in found], np.int64))
    whole = whole.some(draws.permutation(len(whole), _REVIEW_SEED))
    ends = np.cumsum([splits[name] for name in ("train", "validation", "test")])
    parts = np.split(np.arange(len(whole)), ends[:-1])
    return {name: whole.some(part) for name, part in zip(splits, parts, strict=True)}


def tokenised(text: str) -> str:
    """Text in lower case, its tokens between blanks: words, with the apostrophes inside them, and
    every other sign by itself. It is escaped as in JSON; line breaks are blanks."""
    return " ".join(_TOKENS.findall(_ESCAPED.sub(_meant, text).lower()))


def _meant(match: re.Match[str]) -> str:
    """What an escape stands for."""
    told = match[1]
    if len(told) > 1:
        return chr(int(told[1:], 16))
    return " " if told in "nrt" else told


def _reviews(content: bytes, path: Path, fetch: str) -> list[tuple[str, int]]:
    """The tokenised text and the class of each review."""

    def refuse(why: str) -> NoReturn:
        mend = f"delete {path.parent}, and `{fetch}` fetches it again"
        raise UserError(f"{path}: {why}; {mend}")

    try:
        reviews = json.loads(content)
    except ValueError as error:  # of JSON, or of UTF-8
        refuse(f"cannot be read as JSON ({error})")
    if not isinstance(reviews, list):
        refuse("expected a list of reviews")
    found = []
    for number, review in enumerate(reviews, start=1):
        told = review if isinstance(review, dict) else {}
        text, label = told.get("sentence"), told.get("label")
        tokens = tokenised(text.strip().removeprefix(_PREFIX)) if isinstance(text, str) else ""
        if not tokens or label not in STARS:
            labels = ", ".join(STARS)
            refuse(f"review {number}: expected a `sentence`, and as `label` one of {labels}")
        found.append((tokens, STARS.index(label)))
    return found
