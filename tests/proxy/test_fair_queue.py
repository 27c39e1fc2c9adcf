"""Who is served next when several clients have work waiting."""

from dataclasses import dataclass

from maskproxy.proxy.fair_queue import FairQueue


@dataclass(frozen=True, slots=True)
class Work:
    client: str
    number: int


def queue(hands: int, *work: Work) -> FairQueue[Work]:
    filled: FairQueue[Work] = FairQueue(hands)
    for each in work:
        filled.put(each)
    return filled


FLOOD = [Work("flood", number) for number in range(100)]


def test_clients_take_turns() -> None:
    waiting = queue(9, *FLOOD[:3], Work("other", 0), Work("third", 0), Work("other", 1))
    order = [waiting.take() for _ in range(6)]
    assert order == [FLOOD[0], Work("other", 0), Work("third", 0), FLOOD[1], Work("other", 1), FLOOD[2]]
    assert waiting.take() is None
    assert len(waiting) == 0


def test_one_hand_is_left_to_the_others() -> None:
    waiting = queue(2, *FLOOD)
    assert waiting.take() == FLOOD[0]
    assert waiting.take() is None
    waiting.put(Work("other", 0))
    assert waiting.take() == Work("other", 0)
    waiting.finished(FLOOD[0])
    assert waiting.take() == FLOOD[1]


def test_a_single_hand_serves_everybody() -> None:
    waiting = queue(1, FLOOD[0], FLOOD[1])
    assert waiting.take() == FLOOD[0]
    waiting.finished(FLOOD[0])
    assert waiting.take() == FLOOD[1]


def test_work_that_nobody_wants_any_more() -> None:
    waiting = queue(3, FLOOD[0], FLOOD[1])
    assert waiting.take() == FLOOD[0]
    assert not waiting.drop(FLOOD[0])  # it is under way
    assert waiting.drop(FLOOD[1])
    assert not waiting.drop(FLOOD[1])
    assert waiting.take() is None
