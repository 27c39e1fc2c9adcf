"""A TCP relay between a driver and the proxy that keeps what went to the client, as bytes and per connection."""

import asyncio
import contextlib
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HOST = "127.0.0.1"
CHUNK = 256 * 1024


@dataclass(slots=True)
class Connection:
    """One connection. ``user`` is what its startup packet says; None before it, and under TLS."""

    head: bytearray = field(default_factory=bytearray)
    sent: bytearray = field(default_factory=bytearray)

    @property
    def user(self) -> str | None:
        return _startup_user(bytes(self.head))


@dataclass(slots=True)
class Relay:
    port: int
    target: int
    connections: list[Connection] = field(default_factory=list)
    tasks: set[asyncio.Task[None] | None] = field(default_factory=set)  # the loop itself holds them weakly

    def forget(self) -> None:
        """Drop what is recorded, keep relaying."""
        for connection in self.connections:
            connection.sent.clear()


@contextmanager
def run_relay(target: int) -> Iterator[Relay]:
    """Relays from a port of its own to ``target``, in a thread with its own event loop."""
    loop = asyncio.new_event_loop()
    relay = Relay(0, target)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(
        asyncio.start_server(lambda reader, writer: _relay(relay, reader, writer), HOST, 0), loop
    ).result()
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _close(server: asyncio.Server) -> None:
    server.close()
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _relay(relay: Relay, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
    connection = Connection()
    relay.connections.append(connection)
    relay.tasks.add(asyncio.current_task())
    try:
        server, to_server = await asyncio.open_connection(HOST, relay.target)
    except OSError:
        to_client.close()
        return
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pump(client, to_server, connection.head, limit=CHUNK))
            group.create_task(_pump(server, to_client, connection.sent))
    except* ConnectionError:
        pass
    finally:
        to_client.close()
        to_server.close()
        relay.tasks.discard(asyncio.current_task())


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray, limit: int | None = None
) -> None:
    while data := await reader.read(CHUNK):
        if limit is None or len(kept) < limit:
            kept += data
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def _startup_user(head: bytes) -> str | None:
    """The user of the first packet that is a StartupMessage (length, version 3.x, name and value pairs)."""
    while len(head) >= 8:
        length, version = struct.unpack_from("!II", head)
        if version >> 16 == 3:
            fields = head[8:length].split(b"\0")
            parameters = dict(zip(fields[::2], fields[1::2], strict=False))
            return parameters.get(b"user", b"").decode()
        head = head[length:]  # SSLRequest, GSSENCRequest
    return None
