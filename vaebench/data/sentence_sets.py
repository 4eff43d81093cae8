"""The data sets of short texts: their files, mirrors and terms.

IGP published how large its sets are, and no files that can be checked here. What is drawn from its
sources is derived, therefore, even where the sources are the very ones.
"""

from vaebench.data.assets import Archive, Entry, StoredFile
from vaebench.data.text_sets import YAHOO_DERIVED, YAHOO_TERMS, drive_url, on_github


def _members(archive: Archive, members: dict[str, str]) -> tuple[StoredFile, ...]:
    """The files that an archive gives, by their parts; no checksums of them are published."""
    return tuple(
        StoredFile(
            part=part,
            name=member.rpartition("/")[2],
            size=None,
            sha256=None,
            archive=archive,
            member=member,
        )
        for part, member in members.items()
    )


def _fast_ai(name: str) -> str:
    return f"https://s3.amazonaws.com/fast-ai-nlp/{name}.tgz"


_CBT_URL = "www.thespermwhale.com/jaseweston/babi/CBTest.tgz"

CBT = Entry(
    name="cbt",
    title="Sentences of the Children's Book Test, up to 40 words, drawn anew",
    kind="derived",
    splits={"train": 192_000, "validation": 10_000, "test": 12_000},
    shape=(),
    format="books",
    terms=(
        "The Children's Book Test of F. Hill, A. Bordes, S. Chopra and J. Weston (2016; GNU Free "
        "Documentation License 1.3), from books of Project Gutenberg; drawn by this program."
    ),
    files=_members(
        Archive(
            "CBTest.tgz",
            (
                "https://huggingface.co/datasets/cbt/resolve/"
                "7503a0643517afe02a86e4750d375a9686008efa/data/CBTest.tgz",
                f"https://{_CBT_URL}",
            ),
        ),
        {
            "train": "CBTest/data/cbt_train.txt",
            "validation": "CBTest/data/cbt_valid.txt",
            "test": "CBTest/data/cbt_test.txt",
        },
    ),
    folders=("cbt", "CBTest", "CBTest/data"),
    by_hand=f"http://{_CBT_URL} is the release; save it as CBTest.tgz, or unpack it",
)

CHILDRENS_BOOKS = Entry(
    name="childrens-books",
    title="Sentences of children's books, up to 40 words, in place of the Children's Book Test",
    kind="stand-in",
    splits={"train": 192_000, "validation": 10_000, "test": 12_000},
    shape=(),
    format="books",
    terms=(
        "Books of Project Gutenberg, in the public domain in the United States; elsewhere check "
        "local law. Drawn by this program."
    ),
    files=(
        StoredFile(
            part="train",
            name="books.train.txt",
            size=25_621_384,
            sha256="8f05434cc5ecc362efe26f73bf746847fc85af3e29c3faa11e57bca402db7f21",
        ),
        StoredFile(
            part="validation",
            name="books.valid.txt",
            size=1_352_172,
            sha256="fd26ca2f77db3eebe06c43ef20b669f442f9c99c10967d8669d0406a7b9b5a39",
        ),
        StoredFile(
            part="test",
            name="books.test.txt",
            size=2_114_299,
            sha256="320ea646ea327dc9f87b13f8bbe750d0256dc41b24a371f1d48642ed1e11c412",
        ),
    ),
    folders=("childrens-books", "childrens-books-gutenberg"),
    by_hand=(
        "no public place has books.train.txt, books.valid.txt and books.test.txt, the sentences of "
        "85, 5 and 5 books of Project Gutenberg; cbt is the set that they stand for"
    ),
)


def _zhang(name: str, key: str, *others: str) -> tuple[StoredFile, ...]:
    """The two tables of a set of X. Zhang, J. Zhao and Y. LeCun (2015)."""
    archive = Archive(
        f"{name}.tar.gz", (_fast_ai(name), *others, drive_url(key)), aliases=(f"{name}.tgz",)
    )
    return _members(archive, {part: f"{name}/{part}.csv" for part in ("train", "test")})


def _zhang_by_hand(name: str, key: str) -> str:
    return (
        f"{drive_url(key)} gives it to a browser: save it as {name}.tar.gz, or unpack it and name "
        "the folder of train.csv and test.csv"
    )


_DBPEDIA_KEY, _YAHOO_KEY = "0Bz8a_Dbh9QhbQ2Vic1kxMmZZQ1k", "0Bz8a_Dbh9Qhbd2JNdDBsQUdocVU"
_DBPEDIA_TERMS = (
    "DBpedia's ontology classes, by X. Zhang, J. Zhao and Y. LeCun (2015; Creative Commons "
    "Attribution-ShareAlike and GNU Free Documentation License)"
)

_DBPEDIA_CLASSES = (
    "company",
    "school",
    "artist",
    "athlete",
    "office holder",
    "transport",
    "building",
    "natural place",
    "village",
    "animal",
    "plant",
    "album",
    "film",
    "written work",
)

DBPEDIA = Entry(
    name="dbpedia",
    title="Abstracts of DBpedia by class, up to 50 words, drawn anew",
    kind="derived",
    splits={"train": 140_000, "validation": 14_000, "test": 14_000},
    shape=(),
    classes=14,
    class_names=_DBPEDIA_CLASSES,
    format="abstracts",
    terms=f"{_DBPEDIA_TERMS}; drawn by this program.",
    files=_zhang(
        "dbpedia_csv",
        _DBPEDIA_KEY,
        "https://github.com/le-scientifique/torchDatasets/raw/master/dbpedia_csv.tar.gz",
    ),
    folders=("dbpedia", "dbpedia_csv"),
    by_hand=_zhang_by_hand("dbpedia_csv", _DBPEDIA_KEY),
)

DBPEDIA_DERIVED = Entry(
    name="dbpedia-derived",
    title="Abstracts of DBpedia by class, up to 50 words, of the parts that others published",
    kind="derived",
    splits={"train": 10_800, "validation": 1_000, "test": 3_000},
    shape=(),
    classes=14,
    class_names=_DBPEDIA_CLASSES,
    format="pieces",
    terms=(
        f"{_DBPEDIA_TERMS}. Parts of it in KEAML-JLU's DeepTextClustering (no licence stated), "
        "J-zin's DHIM and X. Wang et al.'s O-LoRA (MIT License); drawn by this program."
    ),
    files=(
        StoredFile(
            part="pieces",
            name="dbpedia_pieces.tsv",
            size=12_236_214,
            sha256="be0e5275ffbc7d98570f6d03b803fb329dc720e7c44d3f177c5f794e599c714f",
        ),
    ),
    folders=("dbpedia-derived", "dbpedia"),
    by_hand=(
        "no public place has dbpedia_pieces.tsv, a table of data/dbpedia in "
        "KEAML-JLU/DeepTextClustering, J-zin/DHIM and thuiar/TEXTOIR and of "
        "CL_Benchmark/TC/dbpedia in cmnfriend/O-LoRA, all on GitHub; dbpedia is the whole set"
    ),
)

YAHOO_QUESTIONS = Entry(
    name="yahoo-questions",
    title="Titles of questions to Yahoo Answers by topic, up to 30 words, drawn anew",
    kind="derived",
    splits={"train": 100_000, "validation": 10_000, "test": 10_000},
    shape=(),
    classes=10,
    format="questions",
    terms=f"{YAHOO_TERMS} Drawn by this program.",
    files=_zhang("yahoo_answers_csv", _YAHOO_KEY),
    folders=("yahoo-questions", "yahoo_answers_csv"),
    by_hand=_zhang_by_hand("yahoo_answers_csv", _YAHOO_KEY),
)

YAHOO_QUESTIONS_DERIVED = Entry(
    name="yahoo-questions-derived",
    title="Opening sentences of Yahoo Answers by topic, 3 to 30 words, of Yang et al.'s documents",
    kind="derived",
    splits={"train": 15_000, "validation": 1_400, "test": 3_000},
    shape=(),
    classes=10,
    format="openings",
    terms=f"{YAHOO_TERMS} Chosen by Z. Yang et al. (2017), cut and drawn by this program.",
    files=YAHOO_DERIVED.files,
    folders=("yahoo-questions-derived", *YAHOO_DERIVED.folders),
    by_hand=YAHOO_DERIVED.by_hand,
)

_SNLI_TERMS = (
    "The Stanford Natural Language Inference Corpus of S. R. Bowman, G. Angeli, C. Potts and C. D. "
    "Manning (2015; Creative Commons Attribution-ShareAlike 4.0)"
)
_SNLI_URL = "https://nlp.stanford.edu/projects/snli/snli_1.0.zip"

SNLI = Entry(
    name="snli",
    title="Hypotheses of SNLI, drawn anew",
    kind="derived",
    splits={"train": 100_000, "validation": 10_000, "test": 10_000},
    shape=(),
    format="hypotheses",
    terms=f"{_SNLI_TERMS}; drawn by this program.",
    files=_members(
        Archive("snli_1.0.zip", (_SNLI_URL,)),
        {
            "train": "snli_1.0/snli_1.0_train.txt",
            "validation": "snli_1.0/snli_1.0_dev.txt",
            "test": "snli_1.0/snli_1.0_test.txt",
        },
    ),
    folders=("snli", "snli_1.0"),
    by_hand=f"{_SNLI_URL} is the release",
)


def _rmib_file(part: str, told: str, size: int, sha256: str) -> StoredFile:
    repository, commit = "chenxingphh/rmib", "80bf2b2ac7b63a51584adc84cdb17da47ba296e4"
    return StoredFile(
        part=part,
        name=f"snli_{told}_lowercased_nopunct.txt",
        size=size,
        sha256=sha256,
        mirrors=on_github(repository, commit, f"data/snli/{told}.txt"),
        aliases=(f"{told}.txt",),
    )


SNLI_DERIVED = Entry(
    name="snli-derived",
    title="Hypotheses of SNLI without punctuation, those that others published, split anew",
    kind="derived",
    splits={"train": 26_842, "validation": 3_000, "test": 9_824},
    shape=(),
    format="words of hypotheses",
    terms=(
        f"{_SNLI_TERMS}. Parts of it in academic-repository's cat and chenxingphh's rmib (Apache "
        "License 2.0); drawn by this program."
    ),
    files=(
        StoredFile(
            part="train",
            name="snli_20k_pairs.tsv",
            size=2_308_031,
            sha256="504d97ac2f7a3df7c90caae71fc4c06d637f84f0905158639ebe0613ffa5ca98",
        ),
        _rmib_file(
            "validation",
            told="dev",
            size=1_103_875,
            sha256="b947834bcc1e9f5639436c72750f0d31610b50450e956eadb7f77360733671e5",
        ),
        _rmib_file(
            "test",
            told="test",
            size=1_097_377,
            sha256="a92dbfbcf0647f7cba053be791ff6d8f52a53d75bcfaf26fec742e93d853920b",
        ),
    ),
    folders=("snli-derived", "snli", "snli/raw", "raw", "data/snli"),
    by_hand=(
        "no public place has snli_20k_pairs.tsv, the rows of data/snli/train.csv and test.csv of "
        "academic-repository/cat on GitHub under a line with the names of the columns; snli is the "
        "whole set"
    ),
)
