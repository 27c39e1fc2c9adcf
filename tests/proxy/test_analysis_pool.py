"""Analysts, as real processes: they answer, they are killed in time, and what dies is replaced."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import psutil
import pytest

from maskproxy.base.errors import InvalidEncoding, LimitExceeded, StatementError
from maskproxy.base.limits import MAX_ANALYSED, MAX_POLICIES_SENT, MiB
from maskproxy.core.plan import Plan, Stamp
from maskproxy.proxy.analysis_pool import AnalysisPool
from maskproxy.proxy.analyst import Bounds
from maskproxy.session.enforce import Policy

TEXT = "SELECT id, email FROM customers"
LONG = f"SELECT id FROM customers WHERE id IN ({', '.join(map(str, range(4_900)))})"
"""Some hundred milliseconds of analysis."""
PATIENT = Bounds(patience=60.0)
"""However busy the machine is, an analyst keeps what it has."""


@pytest.fixture
def policy(policies: dict[str, Policy]) -> Policy:
    """One that has cached nothing."""
    return fresh(policies["support"])


def fresh(policy: Policy) -> Policy:
    return Policy.of(policy.scope, policy.stamp, policy.search_path)


@asynccontextmanager
async def running(size: int = 2, bounds: Bounds = PATIENT) -> AsyncIterator[AnalysisPool]:
    """Ends with the check that no process is left."""
    pool = AnalysisPool(size, bounds)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pool.run())
        yield pool
        task.cancel()
    assert not first_processes()


def first_processes() -> list[psutil.Process]:
    """Those of pools. Servers of other tests are children of this process as well."""
    return [each for each in psutil.Process().children() if any("analyst" in word for word in _command(each))]


def _command(process: psutil.Process) -> list[str]:
    """Empty for one that has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def ask(
    pool: AnalysisPool, policy: Policy, text: str, client: Hashable = "ann"
) -> "asyncio.Future[Plan | StatementError]":
    future: asyncio.Future[Plan | StatementError] = asyncio.get_running_loop().create_future()
    pool.submit(client, policy, text, lambda result: future.done() or future.set_result(result))
    return future


async def analysts(number: int) -> list[psutil.Process]:
    """The processes that a first process has forked, once there are so many."""
    async with asyncio.timeout(20):
        while True:
            with suppress(psutil.NoSuchProcess):  # one that ends while it is looked at is none of them
                found = [each for first in first_processes() for each in first.children()]
                if len(found) == number and all(each.status() != psutil.STATUS_ZOMBIE for each in found):
                    return found
            await asyncio.sleep(0.01)


async def busy(number: int) -> psutil.Process:
    """The one of so many analysts that works, once one does."""
    found = await analysts(number)
    before = {each.pid: each.cpu_times().user for each in found}
    async with asyncio.timeout(20):
        while True:
            for each in found:
                if each.cpu_times().user > before[each.pid]:
                    return each
            await asyncio.sleep(0.005)


async def gone(process: psutil.Process) -> None:
    """It has ended; who started it may not have heard of that."""
    async with asyncio.timeout(20):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_plan_and_a_refusal(policy: Policy) -> None:
    async with running() as pool:
        plan = await ask(pool, policy, TEXT)
        assert isinstance(plan, Plan)
        assert policy.cached(TEXT) is plan
        refusal = await ask(pool, policy, "SELECT nothing FROM customers")
        assert isinstance(refusal, StatementError)
        assert refusal.sqlstate == "42703"
        assert policy.cached("SELECT nothing FROM customers") is None
        assert pool.statistics().analysed == 2
        assert pool.statistics().given_up == 0


async def ready(pool: AnalysisPool) -> None:
    async with asyncio.timeout(20):
        while not pool.warm:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_warm_when_all_analysts_are_there(policy: Policy) -> None:
    async with running() as pool:
        assert pool.statistics().ready == 0
        await ready(pool)
        for each in await analysts(2):
            each.kill()
            await gone(each)
        assert pool.statistics().ready == 0
        assert isinstance(await ask(pool, policy, TEXT), Plan)
        assert isinstance(await ask(pool, policy, f"{TEXT} LIMIT 1"), Plan)
        await ready(pool)


async def test_what_nobody_needs_to_parse_is_refused_at_once(policy: Policy) -> None:
    async with running() as pool:
        assert isinstance(await ask(pool, policy, "SELECT '\udcff'"), InvalidEncoding)
        assert isinstance(await ask(pool, policy, "(" * (MAX_ANALYSED + 1)), LimitExceeded)
        assert pool.statistics().analysed == 0


async def test_same_texts_of_one_client_are_analysed_once(policy: Policy) -> None:
    async with running() as pool:
        plans = await asyncio.gather(*(ask(pool, policy, TEXT) for _ in range(10)))
        assert len(set(map(id, plans))) == 1
        assert pool.statistics().analysed == 1


async def test_each_policy_has_its_own_plans(policies: dict[str, Policy]) -> None:
    """Also more of them than one analyst is told of."""
    async with running(1) as pool:
        for number in range(MAX_POLICIES_SENT + 2):
            old = policies["support"]
            policy = Policy.of(old.scope, Stamp(old.stamp.rules, type(old.stamp.catalog)(number)), old.search_path)
            plan = await ask(pool, policy, TEXT)
            assert isinstance(plan, Plan)
            assert plan.stamp == policy.stamp
        other = fresh(policies["analyst"]) if "analyst" in policies else fresh(policies["support"])
        assert isinstance(await ask(pool, other, TEXT), Plan | StatementError)


async def replaced(before: list[psutil.Process]) -> None:
    """As many analysts as before, of which one is another."""
    async with asyncio.timeout(20):
        while {each.pid for each in await analysts(len(before))} == {each.pid for each in before}:  # noqa: ASYNC110  (another process makes it)
            await asyncio.sleep(0.01)


async def test_too_much_cpu_time(policy: Policy) -> None:
    async with running(bounds=replace(PATIENT, cpu_seconds=0.05)) as pool:
        before = await analysts(2)
        refusal = await ask(pool, policy, LONG)
        assert isinstance(refusal, LimitExceeded)
        assert refusal.sqlstate == "54000"
        assert refusal.hint
        await replaced(before)
        assert isinstance(await ask(pool, policy, TEXT), Plan)
        assert pool.statistics().given_up == 1


async def test_too_much_time(policy: Policy) -> None:
    """Analysts that do nothing: a patient one, and the hasty one that takes over."""
    async with running(1, Bounds(seconds=1.5, patience=0.1)) as pool:
        await ready(pool)
        (patient,) = await analysts(1)
        patient.suspend()
        begin = time.monotonic()
        answer = ask(pool, policy, LONG)
        await replaced([patient])
        (hasty,) = await analysts(1)
        hasty.suspend()
        assert isinstance(await answer, LimitExceeded)
        assert time.monotonic() - begin < 5
        await gone(hasty)
        assert isinstance(await ask(pool, policy, "SELECT id FROM customers"), Plan)


async def test_what_a_starving_analyst_has_is_taken_over(policy: Policy) -> None:
    """Where others take the whole processor, new statements wait, but not for ever; then all is as before."""
    async with running(1, Bounds(patience=0.1)) as pool:
        await ready(pool)
        (patient,) = await analysts(1)
        patient.suspend()
        answer = ask(pool, policy, TEXT)
        await replaced([patient])
        (hasty,) = await analysts(1)
        assert isinstance(await answer, Plan)
        assert os.sched_getscheduler(hasty.pid) == os.SCHED_BATCH
        assert isinstance(await ask(pool, policy, f"{TEXT} LIMIT 1"), Plan)
        await replaced([hasty])
        await ready(pool)
        (patient,) = await analysts(1)
        assert os.sched_getscheduler(patient.pid) == os.SCHED_IDLE
        assert pool.statistics().given_up == 0


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL])
async def test_an_analyst_crashes(policy: Policy, how: signal.Signals) -> None:
    async with running(1) as pool:
        await analysts(1)
        answer = ask(pool, policy, LONG)
        (await busy(1)).send_signal(how)
        assert isinstance(await answer, LimitExceeded)
        assert isinstance(await ask(pool, policy, TEXT), Plan)


async def test_an_analyst_that_dies_idle_costs_nobody_a_statement(policy: Policy) -> None:
    async with running(1) as pool:
        (idle,) = await analysts(1)
        idle.kill()
        await gone(idle)
        assert isinstance(await ask(pool, policy, TEXT), Plan)


async def test_the_first_process_dies(policy: Policy) -> None:
    async with running() as pool:
        theirs = await analysts(2)
        (first,) = first_processes()
        first.kill()
        for each in theirs:
            await gone(each)
        assert isinstance(await ask(pool, policy, TEXT), Plan)
        assert pool.statistics().given_up == 0


async def test_too_much_memory(policy: Policy) -> None:
    async with running(1, replace(PATIENT, memory=MiB)) as pool:
        refusal = await ask(pool, policy, LONG)
        assert isinstance(refusal, StatementError)
        assert isinstance(await ask(pool, policy, "SELECT 1"), Plan)


async def test_a_flood_keeps_nobody_else_waiting(policy: Policy) -> None:
    """Fifty sessions of one client, each with a long text; another's is answered after at most one of them."""
    async with running(2) as pool:
        await ask(pool, policy, TEXT)
        flood = [ask(pool, policy, f"{LONG} LIMIT {number}", "flood") for number in range(50)]
        await busy(2)
        assert isinstance(await ask(pool, policy, "SELECT id FROM customers"), Plan)
        assert sum(each.done() for each in flood) <= 1


async def test_results_of_those_who_have_gone_are_dropped(policy: Policy) -> None:
    async with running(1) as pool:
        heard: list[object] = []
        under_way = pool.submit("ann", policy, LONG, heard.append)
        await busy(1)
        waiting = pool.submit("ann", policy, "SELECT id FROM customers", heard.append)
        under_way()
        waiting()
        assert pool.statistics().waiting == 0
        assert isinstance(await ask(pool, policy, TEXT), Plan)
        assert heard == []
        assert policy.cached("SELECT id FROM customers") is None


async def test_who_waits_too_long_for_a_turn_is_refused(policy: Policy) -> None:
    async with running(1, Bounds(seconds=0.5, patience=1.0)) as pool:
        await ready(pool)
        (stopped,) = await analysts(1)
        stopped.suspend()
        first, second = ask(pool, policy, TEXT), ask(pool, policy, "SELECT id FROM customers")
        assert isinstance(await second, LimitExceeded)
        assert isinstance(await first, Plan)


WORKER = """
import asyncio, sys
from maskproxy.proxy.analysis_pool import AnalysisPool

async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(AnalysisPool().run())
        print("started", flush=True)

asyncio.run(main())
"""


def test_a_worker_that_is_killed_leaves_no_analysts() -> None:
    with subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"started\n"
        deadline = time.monotonic() + 20
        while len(left := psutil.Process(worker.pid).children(recursive=True)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        worker.kill()
    assert not psutil.wait_procs(left, timeout=5)[1]


async def test_analysts_have_nothing_of_the_environment(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    async with running(1) as pool:
        await ready(pool)
        (analyst,) = await analysts(1)
        assert "SHOP_PASSWORD" not in analyst.environ()
        assert os.sched_getscheduler(analyst.pid) == os.SCHED_IDLE
