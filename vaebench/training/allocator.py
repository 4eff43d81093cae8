"""How the C library's allocator treats large blocks that are freed.

glibc gives them back to the kernel, so that every step of a large model touches fresh pages, one
fault each: up to two fifths of the time of an IWAE step with k = 50.
"""

import ctypes
import os

# mallopt's parameters, from glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """From now on hold freed memory for the next step; False, and nothing done, without glibc.

    The process keeps its peak of memory until it ends.
    """
    if not has_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(
        [
            mallopt(_MMAP_MAX, 0),  # no block of its own, which would go when it is freed
            mallopt(_TRIM_THRESHOLD, 2**31 - 1),
            mallopt(_TOP_PAD, 64 * 2**20),  # grow in large pieces
        ]
    )


def has_glibc() -> bool:
    """Whether this process runs on glibc."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # another system, another C library
        return False
