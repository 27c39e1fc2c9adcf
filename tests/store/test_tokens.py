"""The shape of tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.store.tokens import RANDOM_BYTES, new_token


@given(st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES))
def test_a_token_needs_no_quoting_and_holds_all_of_its_randomness(randomness: bytes) -> None:
    token = new_token(randomness).reveal()
    assert token.startswith("mp_")
    assert len(token) == 46
    assert token.replace("_", "").replace("-", "").isalnum()
    other = bytes([randomness[0] ^ 1]) + randomness[1:]
    assert new_token(other).reveal() != token


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_less_randomness_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        new_token(bytes(size))
