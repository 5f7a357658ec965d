"""Keep freed memory in the process.

A node and a training step free and ask for the same large buffers again and again. glibc returns each of them
to the system, which zeroes and maps it anew page by page. Measured in a virtual machine of two cores, that
made a training step 1.5 to 5 s instead of 0.25 s long.
"""

from __future__ import annotations

import ctypes

# mallopt's parameters, from malloc.h, and what they are set to.
_SETTINGS = {
    "M_MMAP_MAX": (-4, 0),
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),
    "M_TOP_PAD": (-2, 64 * 2**20),
    "M_ARENA_MAX": (-8, 1),
}


def keep_memory() -> bool:
    """Make glibc keep what is freed, in one arena that all threads share; call it before they start.

    Nothing is mapped at all: 32 MiB is the highest M_MMAP_THRESHOLD that glibc accepts, and a cloud of
    more than 2 million points is larger. One arena, because a node's worker and torch's backward pass are
    threads: their own arenas would be heaps of 64 MiB that cannot grow. The price is that a process keeps the
    most it ever used; a node of one inference at a time uses the same again with every frame.

    Returns:
        False where the C library is not glibc, or refuses a value.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    return all([mallopt(number, value) == 1 for number, value in _SETTINGS.values()])
