"""Statements are the same for the same seed, whole, and hold guesses as they are."""

from random import Random

import postgast
import pytest

from maskproxy.base.refs import ColumnRef
from maskproxy.cli.twins.compare import Tokens
from maskproxy.cli.twins.statements import _SHAPES, Target, make_plays

GUESS = "O'Neil {c}"


def target(column: str = "Secret", *, token: bool = False) -> Target:
    ref = ColumnRef("public", "t", column)
    return Target(column=ref, type="text", by='o."id"', guesses=(GUESS,), token=token)


def statements(count: int, seed: int = 1, *, token: bool = False) -> list[str]:
    plays = make_plays([target(token=token), target("other", token=token)], count, Random(seed))
    return [statement for play in plays for statement in play.statements]


def test_a_seed_decides_everything() -> None:
    assert statements(50) == statements(50)
    assert statements(50) != statements(50, seed=2)


def test_each_column_sees_each_shape() -> None:
    plays = list(make_plays([target(), target("other")], 2 * len(_SHAPES), Random(1)))
    for name in ("Secret", "other"):
        own = [play.statements for play in plays if play.target.column.column == name]
        assert len({" ".join(each).replace(name, "")[:12] for each in own}) > 8
        assert len(own) == len(_SHAPES)


@pytest.mark.parametrize("token", [False, True])
def test_every_statement_is_of_the_servers_grammar(token: bool) -> None:
    made = statements(1_000, token=token)
    for statement in made:
        postgast.parse(statement)
        assert "{" not in statement.replace(GUESS.replace("'", "''"), "")
    assert any(GUESS.replace("'", "''") in statement for statement in made)


def test_tokens_are_not_computed_with() -> None:
    made = statements(1_000, token=True)
    assert not any(word in statement for statement in made for word in ("md5(", "length(", " > ", "left("))


def test_tokens_of_the_right_twin_are_said_in_terms_of_the_left() -> None:
    tokens = Tokens({"person-bbb": "person-aaa", "70000": "60000"})
    assert tokens.replace(b"x person-bbb,70000 700001") == b"x person-aaa,60000 700001"
    assert tokens.replace((70_000).to_bytes(4)) == (60_000).to_bytes(4)
    assert tokens.replace((70_000).to_bytes(8)) == (60_000).to_bytes(8)
    assert Tokens({}).replace(b"x") == b"x"
