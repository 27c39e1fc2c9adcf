"""What a token looks like: ``mp_`` and 32 random bytes as base64url, so 46 characters that need no quoting in a DSN or
shell.

The prefix lets secret scanners find tokens that were committed or pasted by mistake. 256 random bits can't be guessed,
so the iteration count of their SCRAM verifier protects nothing and may stay at PostgreSQL's default.
"""

from base64 import urlsafe_b64encode

from maskproxy.base.secret import Secret

PREFIX = "mp_"
RANDOM_BYTES = 32


def new_token(randomness: bytes) -> Secret[str]:
    """Raises ValueError unless there are exactly RANDOM_BYTES."""
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"a token is made of {RANDOM_BYTES} random bytes")
    return Secret(PREFIX + urlsafe_b64encode(randomness).decode().rstrip("="))
