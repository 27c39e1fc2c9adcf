"""Processes that end with the one that started them, however that ends (Linux, prctl(2))."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(how: signal.Signals = signal.SIGTERM, parent: int | None = None) -> None:
    """Have the kernel send us ``how`` when our parent is gone, also by SIGKILL. Exits if it is: who knows its number
    also notices that it went before we came here."""
    parent = parent or os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:
        sys.exit(1)
