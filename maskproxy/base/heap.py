"""The C library's heap, for processes whose buffers of some hundred kilobytes come and go with each turn of their loop.

glibc gives such memory back to the kernel as soon as it is free, and the kernel clears it again before the next turn:
with batches of 250 kB that was a quarter of the recorder's time.
"""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


def keep_memory(size: int) -> None:
    """Up to ``size`` free bytes stay with the process. Without glibc this does nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, size)
        mallopt(_M_MMAP_THRESHOLD, size)
