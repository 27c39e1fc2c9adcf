"""HMAC-SHA-256 by states that are copied, against Python's ``hmac``."""

import _hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskproxy.base.secret import Secret
from maskproxy.session import rows
from maskproxy.session.kernel.digests import FUNCTIONS, Functions, Keyed, digest_of


@pytest.mark.parametrize("functions", [FUNCTIONS, None], ids=["openssl", "hashlib"])
@settings(deadline=None)
@given(key=st.binary(max_size=70), prefix=st.binary(max_size=9), values=st.lists(st.binary(max_size=200), max_size=4))
def test_is_hmac(functions: Functions | None, key: bytes, prefix: bytes, values: list[bytes]) -> None:
    keyed = Keyed(Secret(key), prefix, functions)
    for value in [*values, b"x" * 1000]:
        assert digest_of(keyed, value) == hmac.digest(key, prefix + value, "sha256")


def test_openssl_is_found_where_it_can_be_used() -> None:
    """Not where Python has its hashes built in: tokens are slower there and the same."""
    assert (FUNCTIONS is not None) == (rows.COMPILED and hasattr(_hashlib, "__file__"))


def test_a_key_is_not_shown() -> None:
    key = b"a key that nobody may see, ever."
    keyed = Keyed(Secret(key), b"", FUNCTIONS)
    assert "nobody" not in repr(keyed) + str(getattr(keyed, "__dict__", ""))
