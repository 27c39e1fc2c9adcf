"""A client that reads a whole result at the least cost: ``python -m benchmarks.reader STATEMENT ROWS FORMAT PAUSE``.

libpq logs in and sends the statement; the answer is then read from the socket and thrown away, so that the client's own
work hides nothing of the proxy's. FORMAT is ``text`` (a simple query) or ``binary`` (an extended one). PAUSE: seconds
that each 256 KiB take at least, and a hundred times that passes before the first. Address and password come from
libpq's environment. Prints the seconds from sending the statement to its end, and the bytes received, as JSON.
"""

import json
import os
import socket
import sys
import time

import psycopg

READY = b"Z\x00\x00\x00\x05I"
BUFFER = bytearray(256 * 1024)


def read(statement: str, rows: int, *, binary: bool, pause: float) -> dict[str, float]:
    """Raises RuntimeError with the start of the answer when it does not end with that many rows."""
    tag = f"SELECT {rows}\0".encode()
    end = b"C" + (len(tag) + 4).to_bytes(4, "big") + tag + READY
    connection = psycopg.connect("", autocommit=True)
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as raw:
        raw.setblocking(True)
        begin = time.perf_counter()
        if binary:
            connection.pgconn.send_query_params(statement.encode(), None, result_format=1)
        else:
            connection.pgconn.send_query(statement.encode())
        time.sleep(100 * pause)
        woken = time.perf_counter()
        view, total, tail, head = memoryview(BUFFER), 0, b"", b""
        while not tail.endswith(READY):
            count = raw.recv_into(view)
            if not count:
                raise RuntimeError(f"the connection ended after {total} bytes: {head!r}")
            head = head or bytes(view[: min(count, 500)])
            tail = (tail + bytes(view[max(0, count - len(end)) : count]))[-len(end) :]
            total += count
            if pause:
                time.sleep(max(0.0, woken + pause * total / len(BUFFER) - time.perf_counter()))
        seconds = time.perf_counter() - begin
    if tail != end:
        raise RuntimeError(f"not {rows} rows: {head!r}")
    return {"seconds": seconds, "bytes": total}


if __name__ == "__main__":
    text, count, kind, rest = sys.argv[1:]
    print(json.dumps(read(text, int(count), binary=kind == "binary", pause=float(rest))))
