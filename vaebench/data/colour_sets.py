"""The data sets of colour images: their files, mirrors and terms."""

from vaebench.data.assets import Archive, Entry, StoredFile

_CELEBA_MIRROR = "https://graal.ift.ulaval.ca/public/celeba/"

CELEBA = Entry(
    name="celeba",
    title="CelebA faces, aligned; centre 140x140 as 64x64 colour",
    kind="original",
    splits={"train": 162_770, "validation": 19_867, "test": 19_962},
    shape=(3, 64, 64),
    attributes=40,
    format="celeba",
    terms=(
        "By Z. Liu, P. Luo, X. Wang and X. Tang (CUHK). For non-commercial research only; the "
        "images are not to be sold, published or passed on: see "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
    ),
    files=(
        StoredFile(
            part="images",
            name="img_align_celeba.zip",
            size=1_443_490_838,
            sha256="46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
            mirrors=(
                f"{_CELEBA_MIRROR}img_align_celeba.zip",
                "https://s3.amazonaws.com/pytorch-tutorial-assets/img_align_celeba.zip",
            ),
        ),
        StoredFile(
            part="partition",
            name="list_eval_partition.txt",
            size=2_836_386,
            sha256="fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7",
            mirrors=(f"{_CELEBA_MIRROR}list_eval_partition.txt",),
        ),
        StoredFile(
            part="attributes",
            name="list_attr_celeba.txt",
            size=26_721_026,
            sha256="f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0",
            mirrors=(f"{_CELEBA_MIRROR}list_attr_celeba.txt",),
        ),
    ),
    folders=(
        *("celeba", "CelebA", "Img", "Anno", "Eval"),
        *("CelebA/Img", "CelebA/Anno", "CelebA/Eval"),
    ),
    by_hand=(
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html gives Img/img_align_celeba.zip (as it "
        "is, not unpacked), Eval/list_eval_partition.txt and Anno/list_attr_celeba.txt"
    ),
)

FACES = Entry(
    name="faces-64x64",
    title="Drawn faces, 64x64 colour, with eight attributes",
    kind="stand-in",
    splits={"train": 1_200, "validation": 240, "test": 300},
    shape=(3, 64, 64),
    attributes=8,
    terms="Drawn by this program; nobody's faces, and free to use.",
)

_CIFAR_TERMS = (
    "By A. Krizhevsky, V. Nair and G. Hinton, who ask to be cited (A. Krizhevsky, Learning "
    "Multiple Layers of Features from Tiny Images, 2009). Distributed without a licence text."
)
_CIFAR_BINARY = "cifar-10-binary.tar.gz"
_CIFAR_MIRRORS = (
    f"https://www.cs.toronto.edu/~kriz/{_CIFAR_BINARY}",
    f"https://cave.cs.toronto.edu/kriz/{_CIFAR_BINARY}",
)
_CIFAR_BY_HAND = f"https://www.cs.toronto.edu/~kriz/cifar.html gives {_CIFAR_BINARY}"
_CIFAR_MEMBERS = "cifar-10-batches-bin"
_CIFAR_FOLDERS = ("cifar10", "cifar-10", "CIFAR10", _CIFAR_MEMBERS)
_CIFAR_REFUSED = dict.fromkeys(
    ("cifar-10-python.tar.gz", "cifar-10-batches-py/data_batch_1", "data_batch_1"),
    "the python version is pickled, and a pickle may run any code when it is read; "
    f"get the binary version, {_CIFAR_BINARY}",
)
_CIFAR_RECORD = 1 + 3 * 32 * 32  # a label and an image


# As torchvision for Ruby publishes them; the authors' page has an MD5 of the archive alone.
_CIFAR_SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}


def _batches() -> tuple[StoredFile, ...]:
    """Five files of 10,000 training images and one of as many test images."""
    archive = Archive(_CIFAR_BINARY, _CIFAR_MIRRORS)
    parts = ("train-1", "train-2", "train-3", "train-4", "train-5", "test")
    return tuple(
        StoredFile(
            part=part,
            name=name,
            size=10_000 * _CIFAR_RECORD,
            sha256=sha256,
            archive=archive,
            member=f"{_CIFAR_MEMBERS}/{name}",
        )
        for part, (name, sha256) in zip(parts, _CIFAR_SHA256.items(), strict=True)
    )


CIFAR10 = Entry(
    name="cifar10",
    title="CIFAR-10 photographs, 32x32 colour",
    kind="original",
    splits={"train": 50_000, "test": 10_000},
    shape=(3, 32, 32),
    classes=10,
    format="records",
    terms=_CIFAR_TERMS,
    files=_batches(),
    folders=_CIFAR_FOLDERS,
    by_hand=_CIFAR_BY_HAND,
    refused=_CIFAR_REFUSED,
)

_SUBSET_ARRAYS = "cifar10_lossless_subset.npz"
_SUBSET_ARCHIVE = Archive(_CIFAR_BINARY, _CIFAR_MIRRORS, arrays=(_SUBSET_ARRAYS,))


def _first(part: str, count: int, batch: str, sha256: str) -> StoredFile:
    return StoredFile(
        part=part,
        name=f"{batch}_first_{count}.bin",
        size=count * _CIFAR_RECORD,
        sha256=sha256,
        archive=_SUBSET_ARCHIVE,
        member=f"{_CIFAR_MEMBERS}/{batch}.bin",
        beginning=True,
    )


CIFAR10_SUBSET = Entry(
    name="cifar10-subset",
    title="CIFAR-10's first 4,000 and 1,000 photographs, 32x32 colour",
    kind="derived",
    splits={"train": 4_000, "test": 1_000},
    shape=(3, 32, 32),
    classes=10,
    format="records",
    terms=(
        f"{_CIFAR_TERMS} The first 4,000 training and 1,000 test images alone, pixel for pixel: "
        "what is measured on them cannot be compared with numbers on all 60,000."
    ),
    files=(
        _first(
            "train",
            4_000,
            "data_batch_1",
            "0993cf8b8e43bc207603aef9787006995746513f5e3fa5a52e06d1b069926330",
        ),
        _first(
            "test",
            1_000,
            "test_batch",
            "8314c96d7cd65618193bab23acdd5d4c4af15bf6dd00a1781d55beedf3be1ef5",
        ),
    ),
    folders=_CIFAR_FOLDERS,
    by_hand=f"{_CIFAR_BY_HAND}; {_SUBSET_ARRAYS}, its first images as arrays, will do too",
    refused=_CIFAR_REFUSED,
)

SHAPES = Entry(
    name="shapes-32x32",
    title="Drawn shapes and textures, 32x32 colour",
    kind="stand-in",
    splits={"train": 300, "test": 100},
    shape=(3, 32, 32),
    classes=10,
    terms="Drawn by this program; free to use.",
)
