"""The allocator between the sides: ours keeps freed memory, a baseline runs as glibc does."""

import ctypes

from vaebench.training.allocator import has_glibc

# mallopt's parameters, from glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_MIB = 2**20


def give_back_freed_memory() -> None:
    """Undo `keep_freed_memory` and hand all free memory to the kernel; nothing without glibc.

    A fresh process raises the two thresholds by itself, up to 32 and 64 MiB, as blocks are freed;
    once `mallopt` was called it no longer does. So the ends of their ranges are set, the best that
    a baseline could have had by itself, and not the 128 KiB at which a process starts.
    """
    if not has_glibc():
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_MAX, 65_536)
    libc.mallopt(_MMAP_THRESHOLD, 32 * _MIB)
    libc.mallopt(_TRIM_THRESHOLD, 64 * _MIB)
    libc.mallopt(_TOP_PAD, 0)
    libc.malloc_trim(0)
