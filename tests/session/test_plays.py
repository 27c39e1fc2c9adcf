"""Every play, cut in every way, gives the same transcript."""

from pathlib import Path

import pytest

from maskproxy.session.enforce import Policy
from tests.support.plays import load_play, run_play

PLAYS = sorted((Path(__file__).parent.parent / "plays" / "postgres").glob("*.play"))


@pytest.mark.parametrize("mode", ["whole", "bytes", "cuts 1", "cuts 2", "cuts 3"])
@pytest.mark.parametrize("path", PLAYS, ids=lambda path: path.stem)
def test_play(path: Path, mode: str, policies: dict[str, Policy]) -> None:
    how, _, seed = mode.partition(" ")
    run_play(load_play(path), policies, how, seed=int(seed or 0))


def test_there_are_plays() -> None:
    assert len(PLAYS) >= 25
