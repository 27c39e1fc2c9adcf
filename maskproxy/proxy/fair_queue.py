"""Work that waits, by client: each client in turn, and no client on all the hands at once.

A client that floods us keeps itself waiting. With more than one hand, one is always left to the others, so what they
ask for waits at most for the work of one of them.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class _Work(Protocol):
    @property
    def client(self) -> Hashable: ...


W = TypeVar("W", bound=_Work)


class FairQueue(Generic[W]):
    """``take`` starts a piece of work, ``finished`` ends it."""

    def __init__(self, hands: int) -> None:
        self._most = max(1, hands - 1)  # pieces of one client under way at a time
        self._waiting: OrderedDict[Hashable, deque[W]] = OrderedDict()  # the client whose turn it is first
        self._under_way: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, work: W) -> None:
        self._waiting.setdefault(work.client, deque()).append(work)

    def take(self) -> W | None:
        """The next piece of work; None when there is none that may start now."""
        client = next((each for each in self._waiting if self._under_way.get(each, 0) < self._most), None)
        if client is None:
            return None
        waiting = self._waiting[client]
        work = waiting.popleft()
        self._waiting.move_to_end(client)
        if not waiting:
            del self._waiting[client]
        self._under_way[client] = self._under_way.get(client, 0) + 1
        return work

    def finished(self, work: W) -> None:
        """A piece that ``take`` gave is done with."""
        left = self._under_way[work.client] - 1
        if left:
            self._under_way[work.client] = left
        else:
            del self._under_way[work.client]

    def drop(self, work: W) -> bool:
        """Whether it was still waiting; then it is gone."""
        waiting = self._waiting.get(work.client, deque())
        if work not in waiting:
            return False
        waiting.remove(work)
        if not waiting:
            del self._waiting[work.client]
        return True
