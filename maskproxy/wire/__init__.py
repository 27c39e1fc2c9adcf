"""Sans-I/O codecs and login machines: bytes in, messages out, and back. No sockets, clocks or threads."""
