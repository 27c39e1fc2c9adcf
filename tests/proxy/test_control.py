import asyncio
from pathlib import Path
from typing import Any

from maskproxy.proxy.control import ask, control_path, serve_control


async def echo(request: dict[str, Any]) -> dict[str, Any]:
    return {"heard": request}


async def test_an_answer_for_a_question(tmp_path: Path) -> None:
    server = await serve_control(control_path(tmp_path, 3), echo)
    assert await ask(control_path(tmp_path, 3), {"op": "status"}) == {"heard": {"op": "status"}}
    server.close()


async def test_nobody_there(tmp_path: Path) -> None:
    assert await ask(control_path(tmp_path, 0), {"op": "status"}) is None


async def test_a_dead_workers_socket_is_replaced(tmp_path: Path) -> None:
    control_path(tmp_path, 0).write_bytes(b"")
    server = await serve_control(control_path(tmp_path, 0), echo)
    assert await ask(control_path(tmp_path, 0), {}) == {"heard": {}}
    server.close()


async def test_garbage_gets_no_answer_and_harms_nobody(tmp_path: Path) -> None:
    server = await serve_control(control_path(tmp_path, 0), echo)
    reader, writer = await asyncio.open_unix_connection(control_path(tmp_path, 0))
    writer.write(b"\xff\xfe not json\n")
    assert await reader.read() == b""
    writer.close()
    assert await ask(control_path(tmp_path, 0), {"a": 1}) == {"heard": {"a": 1}}
    server.close()
