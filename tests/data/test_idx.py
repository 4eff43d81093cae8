"""Reading idx files, good and bad."""

import gzip
import struct

import numpy as np
import pytest

from vaebench.data import idx
from vaebench.errors import UserError


def idx_bytes(array):
    header = struct.pack(f">2x2B{array.ndim}I", 8, array.ndim, *array.shape)
    return header + array.tobytes()


SHAPE = (3, 4, 5)
ARRAY = np.arange(60, dtype=np.uint8).reshape(SHAPE)
GOOD = idx_bytes(ARRAY)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("shape", [(60,), SHAPE])
def test_reads_plain_and_packed(tmp_path, pack, shape):
    path = tmp_path / "images"
    path.write_bytes(pack(idx_bytes(ARRAY.reshape(shape))))
    found = idx.read(path, shape)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, ARRAY.reshape(shape))
    assert idx.file_size(shape) == len(idx_bytes(ARRAY.reshape(shape)))


BAD = {
    "labels for images": (
        idx_bytes(ARRAY.reshape(60)),
        "expected magic 2051 (bytes in 3 dimensions), found 2049",
    ),
    "text": (b"<!DOCTYPE html>", "expected magic 2051 (bytes in 3 dimensions), found 1008813135"),
    "other shape": (idx_bytes(ARRAY.reshape(4, 3, 5)), "expected 3x4x5, found 4x3x5"),
    "cut short": (GOOD[:-1], "expected 76 bytes, found 75 (cut short)"),
    "cut in the header": (GOOD[:9], "expected 76 bytes, found 9 (cut short)"),
    "empty": (b"", "expected 76 bytes, found 0 (cut short)"),
    "too long": (GOOD + b"xy", "expected 76 bytes, found 78 (more than it should hold)"),
    "cut before packing": (
        gzip.compress(GOOD[:-1]),
        "expected 76 bytes, found 75 (cut short)",
    ),
    "more than expected is not unpacked": (
        gzip.compress(GOOD + bytes(1000)),
        "expected 76 bytes, found 77 (more than it should hold)",
    ),
    "cut after packing": (
        gzip.compress(GOOD)[:-12],
        "corrupt gzip file (Compressed file ended before the end-of-stream marker was reached)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_names_file_expected_found_and_mend(tmp_path, what):
    content, message = BAD[what]
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        idx.read(path, SHAPE, "fetch it")
    assert str(caught.value) == f"{path}: {message}; fetch it"


def test_a_flipped_bit_in_a_gzip_file(tmp_path):
    packed = bytearray(gzip.compress(GOOD))
    packed[-6] ^= 1  # in the checksum of the content
    path = tmp_path / "images.gz"
    path.write_bytes(packed)
    with pytest.raises(UserError, match=r"corrupt gzip file \(CRC check failed .*delete it and"):
        idx.read(path, SHAPE)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"none: cannot be read \(No such file or directory\); d"):
        idx.read(tmp_path / "none", SHAPE)
