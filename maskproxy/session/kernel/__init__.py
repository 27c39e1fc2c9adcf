"""Masks over bytes as they stand in DataRow messages: compiled, without a Python object per value.

``ops`` has the output and the ops that work on any value; ``texts``, ``tokens``, ``numbers``, ``decimals`` and
``dates`` have one family each. An op gives what the mask's function gives, byte for byte; where that is not plain it
asks it (``Call``).

Each file is Python and runs interpreted with the same answers; the ``.pxd`` beside it says which of its functions are
C functions for the other files. In the files a pointer is a ``bytes`` or ``bytearray`` when interpreted: hence places
are offsets from its start, and what differs (copying, filling) stands in ``ops.Output``.
"""
