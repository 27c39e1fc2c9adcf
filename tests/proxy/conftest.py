"""The shop of the plays."""

from tests.session.conftest import policies

__all__ = ["policies"]
