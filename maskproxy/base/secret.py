"""A value that must not be seen: its ``repr``, ``str`` and format show nothing."""

from typing import Generic, TypeVar

T = TypeVar("T", bound=str | bytes)


class Secret(Generic[T]):
    """Wraps a password, token or key. Only ``reveal()`` gives it back; it cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")
