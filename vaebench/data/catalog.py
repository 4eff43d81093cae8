"""What data sets and weights there are, by name.

A new data set is one entry. Every checksum stands for bytes that were verified against the
published ones, or is itself a published one; where there is none it is None, and the store records
the first it meets.
"""

import re

from vaebench.data.assets import Asset, Entry, StoredFile, Weights
from vaebench.data.colour_sets import CELEBA, CIFAR10, CIFAR10_SUBSET, FACES, SHAPES
from vaebench.data.image_sets import (
    DIGITS,
    FASHION_MNIST,
    MNIST,
    OMNIGLOT,
    OMNIGLOT_DERIVED,
    STROKES,
)
from vaebench.data.sentence_sets import (
    CBT,
    CHILDRENS_BOOKS,
    DBPEDIA,
    DBPEDIA_DERIVED,
    SNLI,
    SNLI_DERIVED,
    YAHOO_QUESTIONS,
    YAHOO_QUESTIONS_DERIVED,
)
from vaebench.data.text_sets import (
    GAUSSIAN_SENTENCES,
    GRAMMAR_DOCUMENTS,
    GRAMMAR_REVIEWS,
    YAHOO,
    YAHOO_DERIVED,
    YELP,
    YELP_DERIVED,
    YELP_SHORT,
    YELP_SHORT_DERIVED,
)
from vaebench.errors import UserError, unknown

_INCEPTION = Weights(
    name="inception",
    title="Inception-v3 of 2015-12-05, for the FID",
    terms=(
        "The network of TensorFlow's inception-2015-12-05.tgz (Google, Apache License 2.0), "
        "converted for PyTorch by pytorch-fid."
    ),
    files=(
        StoredFile(
            part="weights",
            name="pt_inception-2015-12-05-6726825d.pth",
            size=95_628_359,
            sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            mirrors=(
                "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
                "pt_inception-2015-12-05-6726825d.pth",
            ),
            aliases=("weights-inception-2015-12-05-6726825d.pth",),
        ),
    ),
    folders=("inception", "checkpoints", "hub/checkpoints", "torch/hub/checkpoints"),
)

CATALOG: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        *(MNIST, FASHION_MNIST, CELEBA, OMNIGLOT, OMNIGLOT_DERIVED),
        *(CIFAR10, CIFAR10_SUBSET),
        *(DIGITS, FACES, STROKES, SHAPES),
        *(YAHOO, YELP, YELP_SHORT),
        *(YAHOO_DERIVED, YELP_DERIVED, YELP_SHORT_DERIVED, GAUSSIAN_SENTENCES),
        *(CBT, DBPEDIA, YAHOO_QUESTIONS, SNLI),
        *(CHILDRENS_BOOKS, DBPEDIA_DERIVED, YAHOO_QUESTIONS_DERIVED, SNLI_DERIVED),
        *(GRAMMAR_REVIEWS, GRAMMAR_DOCUMENTS),
    )
}

WEIGHTS: dict[str, Weights] = {_INCEPTION.name: _INCEPTION}


def register(entry: Entry) -> None:
    """Add a data set of a user's to the catalogue, under a name that is not taken."""
    if not re.fullmatch("[a-z0-9][a-z0-9.-]*", entry.name):
        raise UserError(
            f"{entry.name!r} cannot be a data set's name: expected small letters, digits, - and ."
        )
    if entry.name in WEIGHTS or CATALOG.get(entry.name, entry) != entry:
        raise UserError(f"there is a data set or weights {entry.name!r} already; name yours anew")
    CATALOG[entry.name] = entry


def lookup(name: str) -> Entry:
    """The data set of this name; a UserError with the nearest names if there is none."""
    if name in WEIGHTS:
        sets = ", ".join(CATALOG)
        raise UserError(
            f"{name!r} is the name of weights, not of a data set; data sets are: {sets}"
        )
    if name not in CATALOG:
        raise unknown("data set", name, CATALOG)
    return CATALOG[name]


def lookup_weights(name: str) -> Weights:
    """The weights of this name; a UserError with the nearest names if there are none."""
    if name not in WEIGHTS:
        raise unknown("weights", name, WEIGHTS)
    return WEIGHTS[name]


def asset(name: str) -> Asset:
    """The data set or the weights of this name; a UserError if there are none."""
    if name in WEIGHTS:
        return WEIGHTS[name]
    if name not in CATALOG:
        raise unknown("data set or weights", name, {**CATALOG, **WEIGHTS})
    return CATALOG[name]
