"""The clock behind the server's own: which statement it is about."""

import asyncio

import pytest

from maskproxy.proxy import statement_timer
from maskproxy.proxy.statement_timer import StatementTimer


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_timer, "GRACE_SECONDS", -0.9)


def test_it_fires_for_one_statement_and_not_for_several_short_ones() -> None:
    fired: list[float] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        timer = StatementTimer(lambda: fired.append(loop.time()))
        for number in range(4):  # a pipeline: each has its own time
            timer.started(number, 1)
        for number in range(4):
            await asyncio.sleep(0.05)
            timer.ended(number, 1)
        await asyncio.sleep(0.2)
        assert not fired
        timer.started(9, 1)
        await asyncio.sleep(0.2)
        assert len(fired) == 1
        timer.started(10, None)
        timer.started(11, 1)
        timer.stop()
        await asyncio.sleep(0.2)
        assert len(fired) == 1

    asyncio.run(play())
