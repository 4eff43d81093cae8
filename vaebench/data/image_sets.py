"""The data sets of grey images: their files, mirrors and terms."""

from collections.abc import Mapping

from vaebench.data.assets import Entry, StoredFile


def _idx_files(
    mirrors: tuple[str, ...], sha256: Mapping[str, str | None]
) -> tuple[StoredFile, ...]:
    """The four files of MNIST and its like: 60,000 and 10,000 images of 28x28 bytes, and labels."""
    layout = {
        "train-images": ("train-images-idx3-ubyte", 16 + 60_000 * 28 * 28),
        "train-labels": ("train-labels-idx1-ubyte", 8 + 60_000),
        "test-images": ("t10k-images-idx3-ubyte", 16 + 10_000 * 28 * 28),
        "test-labels": ("t10k-labels-idx1-ubyte", 8 + 10_000),
    }
    return tuple(
        StoredFile(
            part=part,
            name=name,
            size=size,
            sha256=sha256[part],
            mirrors=tuple(f"{mirror}{name}.gz" for mirror in mirrors),
            aliases=(name.replace("-idx", ".idx"),),
        )
        for part, (name, size) in layout.items()
    )


MNIST = Entry(
    name="mnist",
    title="MNIST handwritten digits, 28x28 grey",
    kind="original",
    splits={"train": 60_000, "test": 10_000},
    shape=(1, 28, 28),
    classes=10,
    terms=(
        "By Y. LeCun, C. Cortes and C. Burges, made from NIST Special Databases 1 and 3. "
        "Distributed without a licence text; commonly quoted as CC BY-SA 3.0."
    ),
    files=_idx_files(
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://yann.lecun.com/exdb/mnist/",
        ),
        sha256={
            "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "test-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "test-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    folders=("mnist", "MNIST/raw", "MNIST", "raw"),
)

FASHION_MNIST = Entry(
    name="fashion-mnist",
    title="Fashion-MNIST clothing, 28x28 grey",
    kind="original",
    splits={"train": 60_000, "test": 10_000},
    shape=(1, 28, 28),
    classes=10,
    terms="MIT License, copyright 2017 Zalando SE.",
    files=_idx_files(
        mirrors=(
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        sha256={
            "train-images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "test-images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "test-labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
    folders=("fashion-mnist", "FashionMNIST/raw", "FashionMNIST", "raw"),
)

DIGITS = Entry(
    name="digits-28x28",
    title="scikit-learn's 8x8 digits, enlarged to 28x28",
    kind="stand-in",
    splits={"train": 1_500, "test": 297},
    shape=(1, 28, 28),
    classes=10,
    terms=(
        "Test part of the UCI data set 'Optical Recognition of Handwritten Digits' by E. Alpaydin "
        "and C. Kaynak, shipped with scikit-learn (CC BY 4.0)."
    ),
)

_OMNIGLOT_TERMS = (
    "By B. M. Lake, R. Salakhutdinov and J. B. Tenenbaum (Science 350, 2015). MIT License, "
    "copyright 2015 Brenden Lake."
)

OMNIGLOT = Entry(
    name="omniglot",
    title="OMNIGLOT characters as of Burda et al., 28x28 grey",
    kind="original",
    splits={"train": 24_345, "test": 8_070},
    shape=(1, 28, 28),
    classes=1_623,
    format="chardata",
    in_order_of_class=True,
    terms=f"{_OMNIGLOT_TERMS} Resized and split by Y. Burda, R. Grosse and R. Salakhutdinov.",
    files=(
        StoredFile(
            part="chardata",
            name="chardata.mat",
            size=None,
            sha256=None,
            mirrors=(
                "https://raw.githubusercontent.com/yburda/iwae/master/datasets/OMNIGLOT/chardata.mat",
                "https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/chardata.mat",
            ),
        ),
    ),
    folders=("omniglot", "OMNIGLOT"),
    by_hand="https://github.com/yburda/iwae has it as datasets/OMNIGLOT/chardata.mat",
)

_DRAWINGS_COMMIT = "b0481240b7eb42393285a93ce7d2f266ff10c62b"


def _drawings(part: str, size: int, sha256: str) -> StoredFile:
    name = f"images_{part}.npz"
    return StoredFile(
        part=part,
        name=name,
        size=size,
        sha256=sha256,
        mirrors=(
            f"https://raw.githubusercontent.com/bitsandscraps/omniglot/{_DRAWINGS_COMMIT}/{name}",
            f"https://github.com/bitsandscraps/omniglot/raw/{_DRAWINGS_COMMIT}/{name}",
        ),
    )


OMNIGLOT_DERIVED = Entry(
    name="omniglot-derived",
    title="OMNIGLOT's 105x105 drawings as 28x28 grey, split anew",
    kind="derived",
    splits={"train": 24_345, "test": 8_070},
    shape=(1, 28, 28),
    classes=1_623,
    format="drawings",
    in_order_of_class=True,
    terms=f"{_OMNIGLOT_TERMS} Resized and split by this program.",
    files=(
        _drawings(
            "background",
            size=3_340_794,
            sha256="8bf84167413cd00beacdce3fe582f780ab538d8dbef043a6d688f2527bbce199",
        ),
        _drawings(
            "evaluation",
            size=2_415_269,
            sha256="0b84c7ffd94c4841c0040e529c86a82eaaccb986d8eadad5673f7991b7475276",
        ),
    ),
    folders=("omniglot-derived", "omniglot", "OMNIGLOT"),
    by_hand=(
        f"https://github.com/bitsandscraps/omniglot at commit {_DRAWINGS_COMMIT[:7]} has "
        "images_background.npz and images_evaluation.npz"
    ),
)

STROKES = Entry(
    name="strokes-28x28",
    title="Drawn characters of four alphabets, 28x28 grey",
    kind="stand-in",
    splits={"train": 300, "test": 100},
    shape=(1, 28, 28),
    classes=20,
    in_order_of_class=True,
    terms="Drawn by this program; nobody's writing, and free to use.",
)
