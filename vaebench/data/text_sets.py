"""The text data sets: their files, mirrors and terms."""

from vaebench.data.assets import Archive, Entry, StoredFile

_PARTS = {"train": "train", "validation": "valid", "test": "test"}
YAHOO_TERMS = (
    "Yahoo! Answers Comprehensive Questions and Answers 1.0 (Yahoo Webscope, for research), by way "
    "of X. Zhang, J. Zhao and Y. LeCun (2015). Distributed without a licence text."
)
_YELP_TERMS = "Reviews of the Yelp Dataset Challenge: for academic, non-commercial use."


def drive_url(key: str) -> str:
    """Where Google Drive gives a file."""
    return f"https://drive.google.com/uc?export=download&id={key}"


def _drive_files(name: str, key: str) -> tuple[StoredFile, ...]:
    """The three files of a corpus as He et al. (2019) and Li et al. (2019) pack it."""
    archive = Archive(f"{name}_data.tar.gz", (drive_url(key),), aliases=(f"{name}_data.zip",))
    return tuple(
        StoredFile(
            part=part,
            name=f"{name}.{told}.txt",
            size=None,
            sha256=None,
            archive=archive,
            member=f"{name}_data/{name}.{told}.txt",
        )
        for part, told in _PARTS.items()
    )


def _drive_by_hand(name: str, key: str) -> str:
    return (
        f"{drive_url(key)} gives it to a browser: save it as {name}_data.tar.gz, or unpack it and "
        f"name the folder of {name}.train.txt, {name}.valid.txt and {name}.test.txt"
    )


_YAHOO_KEY = "13azGlTuGdzWLCmgDmQPmvb_jcexVWX7i"
_YELP_KEY = "1FT49oLNV8syhmGXEgiK6XTjEfMNqqEJJ"
_YELP_SHORT_KEY = "18h8UYr801qr-USCYRzZySi_DSbUkHW71"

YAHOO = Entry(
    name="yahoo",
    title="Yahoo Answers as of Yang et al., up to 200 words",
    kind="original",
    splits={"train": 100_000, "validation": 10_000, "test": 10_000},
    shape=(),
    format="text",
    terms=f"{YAHOO_TERMS} Chosen by Z. Yang et al. (2017), packed by J. He et al. (2019).",
    files=_drive_files("yahoo", _YAHOO_KEY),
    folders=("yahoo", "yahoo_data", "datasets/yahoo_data"),
    by_hand=_drive_by_hand("yahoo", _YAHOO_KEY),
)

YELP = Entry(
    name="yelp",
    title="Yelp reviews as of Yang et al., with stars",
    kind="original",
    splits={"train": 100_000, "validation": 10_000, "test": 10_000},
    shape=(),
    classes=5,
    format="text",
    terms=f"{_YELP_TERMS} Chosen by Z. Yang et al. (2017), packed by J. He et al. (2019).",
    files=_drive_files("yelp", _YELP_KEY),
    folders=("yelp", "yelp_data", "datasets/yelp_data"),
    by_hand=_drive_by_hand("yelp", _YELP_KEY),
)

YELP_SHORT = Entry(
    name="yelp-short",
    title="Yelp sentences as of Li et al., up to 15 words, by sentiment",
    kind="original",
    splits={"train": 100_000, "validation": 10_000, "test": 10_000},
    shape=(),
    classes=2,
    format="text",
    terms=f"{_YELP_TERMS} Cut by T. Shen et al. (2017), drawn and packed by B. Li et al. (2019).",
    files=_drive_files("short_yelp", _YELP_SHORT_KEY),
    folders=("yelp-short", "short_yelp_data", "datasets/short_yelp_data"),
    by_hand=_drive_by_hand("short_yelp", _YELP_SHORT_KEY),
)


def on_github(repository: str, commit: str, path: str) -> tuple[str, ...]:
    """Where GitHub gives a file of a commit."""
    return (
        f"https://raw.githubusercontent.com/{repository}/{commit}/{path}",
        f"https://github.com/{repository}/raw/{commit}/{path}",
    )


def _yahoo_file(part: str, told: str, size: int, sha256: str) -> StoredFile:
    repository, commit = "harvardnlp/DeepLatentNLP", "b89ff98088b2790f08b56515b6bbf5ce25451f63"
    return StoredFile(
        part=part,
        name=f"yahoo.{part}.txt",
        size=size,
        sha256=sha256,
        mirrors=on_github(repository, commit, f"data/yahoo/{told}.txt"),
        aliases=(f"{told}.txt",),
    )


YAHOO_DERIVED = Entry(
    name="yahoo-derived",
    title="Yahoo Answers by topic, of Yang et al.'s held-out files, split anew",
    kind="derived",
    splits={"train": 16_000, "validation": 2_000, "test": 2_000},
    shape=(),
    classes=10,
    format="topics",
    terms=f"{YAHOO_TERMS} Chosen by Z. Yang et al. (2017), split by this program.",
    files=(
        _yahoo_file(
            "valid",
            told="val",
            size=3_683_468,
            sha256="3247ac3ffcc4d4bfd6216f2aaa617f6706cdc4081874da39245fe156825898d1",
        ),
        _yahoo_file(
            "test",
            told="test",
            size=3_679_881,
            sha256="ad843c4363adbdd07d8055d9bf121e5f23c285760df43a0031b89d8538293075",
        ),
    ),
    folders=("yahoo-derived", "yahoo", "data/yahoo", "yahoo_data", "yahoo-long"),
    by_hand="https://github.com/harvardnlp/DeepLatentNLP has data/yahoo/val.txt and test.txt",
)


def _sentiment_file(part: str, size: int, sha256: str) -> StoredFile:
    repository = "shentianxiao/language-style-transfer"
    commit = "f078a9d342705ea62b04dd3ac5926d3467c2ac63"
    return StoredFile(
        part=part,
        name=f"sentiment.{part}",
        size=size,
        sha256=sha256,
        mirrors=on_github(repository, commit, f"data/yelp/sentiment.{part}"),
    )


YELP_SHORT_DERIVED = Entry(
    name="yelp-short-derived",
    title="Yelp sentences by sentiment, of Shen et al.'s held-out files, split anew",
    kind="derived",
    splits={"train": 100_000, "validation": 10_000, "test": 10_000},
    shape=(),
    classes=2,
    format="sentiment",
    terms=(
        f"{_YELP_TERMS} Cut by T. Shen, T. Lei, R. Barzilay and T. Jaakkola (2017; Apache License "
        "2.0), drawn by this program."
    ),
    files=(
        _sentiment_file(
            "dev.0",
            size=1_164_707,
            sha256="405ef6d4bfbc8bb92c3c55b496f315069cb5edb49ed34a07b1206341b83c344b",
        ),
        _sentiment_file(
            "dev.1",
            size=1_603_395,
            sha256="3509f6573411bbda2d5c071ed72ad276c12356c15c06205b8fdf74b217970c61",
        ),
        _sentiment_file(
            "test.0",
            size=2_295_973,
            sha256="b7466e8859e9948892a859af7938a82c801c99b69f884014082fd072a155bbf2",
        ),
        _sentiment_file(
            "test.1",
            size=3_172_601,
            sha256="a66e0ec3f0e1230ad4d2c822750a381cf6d99a99fa9b5ae79546f21ff79ed5c3",
        ),
    ),
    folders=("yelp-short-derived", "yelp-short", "yelp", "data/yelp", "raw"),
    by_hand=(
        "https://github.com/shentianxiao/language-style-transfer has data/yelp/sentiment.dev.0, "
        "dev.1, test.0 and test.1"
    ),
)

YELP_DERIVED = Entry(
    name="yelp-derived",
    title="Yelp reviews with stars, lower-cased and tokenised",
    kind="derived",
    splits={"train": 4_000, "validation": 500, "test": 500},
    shape=(),
    classes=5,
    format="reviews",
    terms=(
        f"{_YELP_TERMS} A sample of X. Zhang, J. Zhao and Y. LeCun's (2015) in X. Wang et al.'s "
        "O-LoRA (2023; MIT License), tokenised and split by this program."
    ),
    files=(
        StoredFile(
            part="reviews",
            name="yelp.train.json",
            size=None,
            sha256=None,
            mirrors=on_github(
                "cmnfriend/O-LoRA",
                "07117e1fc4a5f5ad9308a815a42cee8f46502dc8",
                "CL_Benchmark/SC/yelp/train.json",
            ),
            aliases=("train.json",),
        ),
    ),
    folders=("yelp-derived", "yelp", "SC/yelp", "CL_Benchmark/SC/yelp"),
    by_hand="https://github.com/cmnfriend/O-LoRA has CL_Benchmark/SC/yelp/train.json",
)

GAUSSIAN_SENTENCES = Entry(
    name="gaussian-sentences",
    title="Sentences of a random LSTM that is told a point of five Gaussians",
    kind="derived",
    splits={"train": 16_000, "validation": 2_000, "test": 2_000},
    shape=(),
    classes=5,
    format="text",
    words=tuple(f"w{number}" for number in range(1_000)),
    terms="Drawn by this program as J. He et al. (2019) did, and free to use.",
)

GRAMMAR_REVIEWS = Entry(
    name="grammar-reviews",
    title="Sentences of a grammar, up to 15 words, by sentiment",
    kind="stand-in",
    splits={"train": 2_000, "validation": 400, "test": 400},
    shape=(),
    classes=2,
    format="text",
    terms="Drawn by this program; nobody's words, and free to use.",
)

GRAMMAR_DOCUMENTS = Entry(
    name="grammar-documents",
    title="Documents of a grammar, 20 to 60 words, by topic",
    kind="stand-in",
    splits={"train": 600, "validation": 120, "test": 120},
    shape=(),
    classes=5,
    format="text",
    terms="Drawn by this program; nobody's words, and free to use.",
)
