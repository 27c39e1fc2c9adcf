"""A client that reads a whole result at the least cost: ``python -m benchmarks.reader STATEMENT ROWS``.

libpq logs in and sends the statement; the answer is then read from the socket and thrown away, so that the client's own
work hides nothing of the proxy's. Address and password come from libpq's environment. Prints the seconds from sending
the statement to its end, and the bytes received, as JSON.
"""

import json
import os
import socket
import sys
import time

import psycopg

READY = b"Z\x00\x00\x00\x05I"
BUFFER = bytearray(256 * 1024)


def read(statement: str, rows: int) -> dict[str, float]:
    """Raises RuntimeError with the start of the answer when it does not end with that many rows."""
    tag = f"SELECT {rows}\0".encode()
    end = b"C" + (len(tag) + 4).to_bytes(4, "big") + tag + READY
    connection = psycopg.connect("", autocommit=True)
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as raw:
        raw.setblocking(True)
        begin = time.perf_counter()
        connection.pgconn.send_query(statement.encode())
        view, total, tail, head = memoryview(BUFFER), 0, b"", b""
        while not tail.endswith(READY):
            count = raw.recv_into(view)
            if not count:
                raise RuntimeError(f"the connection ended after {total} bytes: {head!r}")
            head = head or bytes(view[: min(count, 500)])
            tail = (tail + bytes(view[max(0, count - len(end)) : count]))[-len(end) :]
            total += count
        seconds = time.perf_counter() - begin
    if tail != end:
        raise RuntimeError(f"not {rows} rows: {head!r}")
    return {"seconds": seconds, "bytes": total}


if __name__ == "__main__":
    print(json.dumps(read(sys.argv[1], int(sys.argv[2]))))
