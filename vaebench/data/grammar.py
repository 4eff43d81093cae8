"""Sentences and documents of a small grammar, for runs that must not need a download.

What a good code can hold is drawn once a text: what it is about, whether its writer is content, and
how it is built. A verb agrees with its subject in number, though other nouns stand between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from vaebench.data.corpora import Corpus
from vaebench.data.draws import permutation, uniform

Thing = TypeVar("Thing")

_REVIEW_SEED, _DOCUMENT_SEED, _ORDER_SEED = 20_260_141, 20_260_142, 20_260_143


@dataclass(frozen=True)
class Topic:
    """Nouns for things and places of a topic, and adjectives of those who are content and of those
    who are not; the commonest first."""

    nouns: str
    places: str
    bad: str
    good: str


TOPICS: Mapping[str, Topic] = {
    "food": Topic(
        nouns="soup salad burger pizza sandwich steak noodle cake taco curry dessert pancake",
        places="diner bakery buffet kitchen bistro",
        bad="bland cold greasy stale soggy burnt salty raw dry sour",
        good="tasty fresh delicious crisp juicy tender spicy sweet savory warm",
    ),
    "hotel": Topic(
        nouns="room bed lobby pool towel pillow bathroom elevator shower balcony carpet window",
        places="hotel motel resort hostel lodge",
        bad="dirty noisy tiny dusty broken moldy shabby smelly damp dark",
        good="clean quiet spacious cozy modern bright elegant comfortable charming airy",
    ),
    "travel": Topic(
        nouns="flight train seat ticket driver bus ferry suitcase taxi tour guide pilot",
        places="airport station harbor terminal platform",
        bad="late crowded slow cramped delayed bumpy rude dangerous lost tiring",
        good="punctual fast smooth safe relaxing easy scenic friendly cheap direct",
    ),
    "music": Topic(
        nouns="singer band song drummer concert guitar album chorus melody show violin speaker",
        places="theater club stadium arena bar",
        bad="loud boring shrill clumsy dull tuneless hoarse endless weak shaky",
        good="brilliant lively catchy gentle stunning powerful graceful clear original moving",
    ),
    "computers": Topic(
        nouns="laptop screen keyboard printer battery program website server cable camera tablet",
        places="office shop library lab school",
        bad="buggy unreliable outdated cracked useless hot fragile insecure complicated faulty",
        good="quick reliable sharp handy light sturdy silent secure simple clever",
    ),
}

# Words in capitals stand for others. SUBJECT sets the number of WAS, and the person, drawn once a
# text, that of LIKES and RETURNS; OBJECT and PLACE have numbers of their own.
REVIEW_FORMS = (
    "SUBJECT WAS GOOD .",
    "SUBJECT WAS VERY GOOD .",
    "PERSON LIKES OBJECT and OBJECT .",
    "SUBJECT at PLACE WAS GOOD .",
    "SUBJECT WAS GOOD and SUBJECT WAS VERY GOOD .",
    "PERSON LIKES OBJECT , for SUBJECT near PLACE WAS GOOD .",
    "SUBJECT at PLACE WAS VERY GOOD , so PERSON AGAIN RETURNS here .",
)
OPENING = "nearly every YEAR PERSON RETURNS to PLACE for OBJECT ."
DOCUMENT_FORMS = (
    "SUBJECT at PLACE WAS GOOD .",
    "PERSON LIKES OBJECT and OBJECT .",
    "SUBJECT near OBJECT WAS GOOD .",
    "PERSON AGAIN RETURNS to PLACE NOW .",
    "EVERYBODY says SUBJECT WAS VERY GOOD .",
)
_MOODS: tuple[Mapping[str, str], ...] = (  # not content, and content: their labels
    {
        "VERY": "really too quite awfully terribly",
        "AGAIN": "never hardly rarely",
        "LIKES": "hates dislikes avoids regrets",
    },
    {
        "VERY": "really very quite truly wonderfully",
        "AGAIN": "always gladly often",
        "LIKES": "loves enjoys recommends admires",
    },
)
_OTHERS: Mapping[str, str] = {
    "YEAR": "week summer month winter year spring",
    "NOW": "now today anyway though",
    "EVERYBODY": "everybody everyone somebody nobody",
}
_PERSONS = {"she": False, "they": True, "he": False, "we": True}  # whether they are plural
_DETERMINERS = (("the", "this", "that"), ("the", "these", "those"))
_TENSES = (("was", "were"), ("is", "are"))


def make_reviews() -> dict[str, Corpus]:
    """The splits of `grammar-reviews`: sentences of 5 to 15 words, by mood."""
    writer = _Writer(_REVIEW_SEED)
    sentences, labels = [], np.arange(2_800) % len(_MOODS)
    for mood in labels.tolist():
        writer.begin(writer.choose(list(TOPICS.values())), mood)
        sentences.append(writer.filled(writer.choose(REVIEW_FORMS)))
    return _split(Corpus(sentences, labels), train=2_000, validation=400)


def make_documents() -> dict[str, Corpus]:
    """The splits of `grammar-documents`: an opening of 12 words and 1 to 6 sentences of 8, by
    topic."""
    writer = _Writer(_DOCUMENT_SEED)
    sentences, labels = [], np.arange(840) % len(TOPICS)
    for topic in labels.tolist():
        writer.begin(list(TOPICS.values())[topic], writer.choose(range(len(_MOODS))))
        count = 1 + writer.choose(range(6))
        forms = [OPENING, *(writer.choose(DOCUMENT_FORMS) for _ in range(count))]
        sentences.append(" ".join(map(writer.filled, forms)))
    return _split(Corpus(sentences, labels), train=600, validation=120)


def _split(whole: Corpus, train: int, validation: int) -> dict[str, Corpus]:
    """The rest is for testing."""
    order = permutation(len(whole), _ORDER_SEED)
    parts = np.split(order, [train, train + validation])
    return {
        name: whole.some(part)
        for name, part in zip(("train", "validation", "test"), parts, strict=True)
    }


class _Writer:
    """Fills in forms by draws from one stream."""

    def __init__(self, seed: int) -> None:
        self._stream = iter(uniform(1 << 16, seed).tolist())
        self._topic, self._mood = next(iter(TOPICS.values())), 0
        self._tense, self._person, self._plural = 0, "she", False

    def begin(self, topic: Topic, mood: int) -> None:
        """A new text, with a tense and a person of its own."""
        self._topic, self._mood = topic, mood
        self._tense = self.choose(range(len(_TENSES)))
        self._person = self.choose(list(_PERSONS))

    def choose(self, things: Sequence[Thing]) -> Thing:
        """One of them, each as likely as any other."""
        return things[int(next(self._stream) * len(things))]

    def filled(self, form: str) -> str:
        """A form with words for its capitals."""
        return " ".join(map(self._words, form.split()))

    def _words(self, told: str) -> str:
        match told:
            case "SUBJECT":
                self._plural = self.choose((False, True))
                return self._phrase(self._topic.nouns, self._plural)
            case "OBJECT":
                return self._phrase(self._topic.nouns, self.choose((False, True)))
            case "PLACE":
                return self._phrase(self._topic.places, self.choose((False, True)))
            case "WAS":
                return _TENSES[self._tense][self._plural]
            case "GOOD":
                return self._common((self._topic.bad, self._topic.good)[self._mood])
            case "PERSON":
                return self._person
            case "RETURNS":
                return self._agreeing("returns")
            case "LIKES":
                return self._agreeing(self._common(_MOODS[self._mood]["LIKES"]))
            case "VERY" | "AGAIN":
                return self._common(_MOODS[self._mood][told])
            case _:
                return self._common(_OTHERS[told]) if told in _OTHERS else told

    def _phrase(self, nouns: str, plural: bool) -> str:
        noun = self._common(nouns)
        return f"{self.choose(_DETERMINERS[plural])} {_plural_of(noun) if plural else noun}"

    def _agreeing(self, verb: str) -> str:
        return verb.removesuffix("s") if _PERSONS[self._person] else verb

    def _common(self, words: str) -> str:
        """One of these words, the first ones more often."""
        things = words.split()
        return things[int(next(self._stream) ** 2 * len(things))]


def _plural_of(noun: str) -> str:
    if noun.endswith("y"):
        return noun.removesuffix("y") + "ies"
    return noun + ("es" if noun.endswith(("s", "ch")) else "s")
