"""The allocator: freed memory is kept, where the C library can be told to."""

import subprocess
import sys

import pytest

from vaebench.training import allocator

# Page faults of ten tensors of 40 MB, one after the other, before and after.
FAULTS = """
import resource, torch
from vaebench.training.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.empty(10 * 2**20).fill_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

default = faults()
assert keep_freed_memory()
faults()
print(default, faults())
"""


@pytest.mark.skipif(not allocator.has_glibc(), reason="only glibc can be told")
def test_kept_memory_is_not_faulted_in_again():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    default, kept = map(int, done.stdout.split())
    assert default > 100 and kept * 10 < default


@pytest.mark.parametrize("error", [None, AttributeError, ValueError, OSError])
def test_without_glibc_nothing_is_done(monkeypatch, error):
    def confstr(name):
        if error is not None:
            raise error(name)
        return None

    monkeypatch.setattr(allocator.os, "confstr", confstr)
    assert allocator.keep_freed_memory() is False
