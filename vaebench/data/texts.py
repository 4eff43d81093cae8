"""The corpora of the text data sets: read from their files, or made in code."""

from collections.abc import Callable, Mapping
from pathlib import Path

from vaebench.data import corpora as files
from vaebench.data import derived_texts, gaussian_sentences, grammar, reconstructed_texts
from vaebench.data.assets import Entry
from vaebench.data.corpora import Corpus

Corpora = Mapping[str, Corpus]

# The sets made in code; all others are read from their files.
MAKERS: dict[str, Callable[[], Corpora]] = {
    "gaussian-sentences": gaussian_sentences.make,
    "grammar-reviews": grammar.make_reviews,
    "grammar-documents": grammar.make_documents,
}

# How the files of a text data set are read, by their format.
READERS: dict[str, Callable[[Entry, Path], Corpora]] = {
    "text": files.read,
    "topics": derived_texts.read_topics,
    "sentiment": derived_texts.read_sentiment,
    "reviews": derived_texts.read_reviews,
    "books": reconstructed_texts.read_sentences,
    "abstracts": reconstructed_texts.read_abstracts,
    "questions": reconstructed_texts.read_questions,
    "hypotheses": reconstructed_texts.read_hypotheses,
    "openings": reconstructed_texts.read_openings,
    "pieces": reconstructed_texts.read_pieces,
    "words of hypotheses": reconstructed_texts.read_words_of_hypotheses,
}


def corpora(entry: Entry, folder: Path) -> Corpora:
    """The sentences of every split of a data set whose files are there."""
    return MAKERS[entry.name]() if entry.made_in_code else READERS[entry.format](entry, folder)
