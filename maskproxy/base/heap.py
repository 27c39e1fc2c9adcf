"""Memory of processes whose event loop must not stand still, and whose buffers come and go with each of its turns.

glibc gives a buffer of some hundred kilobytes back to the kernel as soon as it is free, and the kernel clears it again
before the next turn: with batches of 250 kB that was a quarter of the recorder's time.

Python looks for garbage in cycles among all its objects when those that were added to them since are a quarter. The
modules alone are 140,000 objects, which takes 65 ms: all clients of a worker waited so long, every few hundred plans.
"""

import ctypes
import gc

_OLD = 20
"""Collections of the middle generation before one of the oldest: 140,000 objects more, not 70,000."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


def keep_memory(size: int) -> None:
    """Up to ``size`` free bytes stay with the process. Without glibc this does nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, size)
        mallopt(_M_MMAP_THRESHOLD, size)


def keep_objects() -> None:
    """What is there now stays as long as it is referred to, and is not looked at any more. Cycles that are made from
    now on are found as ever."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _OLD)
