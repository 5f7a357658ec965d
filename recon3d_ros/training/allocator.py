"""Keep freed memory in the process.

A training step frees and asks for the same large buffers again. glibc returns each of them to the system, and
the page faults of the next step then cost more than the convolutions: 1.5 to 5 s instead of 0.25 s a step,
measured in a virtual machine of two cores.
"""

from __future__ import annotations

import ctypes

# mallopt's parameters, from malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def keep_memory() -> bool:
    """Make glibc keep what is freed, in one arena that all threads share.

    Returns:
        False where there is no glibc (nothing is changed then).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {
        _M_MMAP_MAX: 0,
        _M_TRIM_THRESHOLD: 2**31 - 1,
        _M_TOP_PAD: 64 * 2**20,
        _M_ARENA_MAX: 1,  # the backward pass runs in a thread of its own, whose heaps could not grow
    }
    return all([mallopt(key, value) == 1 for key, value in settings.items()])
