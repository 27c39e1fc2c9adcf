"""What is wrong with rules, collected over all stages so that one run shows everything."""

from collections.abc import Iterable

from maskproxy.base.errors import ConfigurationError, Problem
from maskproxy.base.refs import Location


class Problems:
    """Errors make the rules unusable; warnings are shown by ``check``."""

    def __init__(self, *, lenient: bool = False) -> None:
        self._lenient = lenient
        self._errors: set[Problem] = set()
        self._warnings: set[Problem] = set()

    def error(self, location: Location, text: str) -> None:
        self._errors.add(Problem(location, text))

    def missing(self, location: Location, text: str, *, exact: bool) -> None:
        """A name that nothing in the database has, given by itself (``exact``) or by a pattern. Where the database has
        changed under rules that are in force, such a name means nothing any more: the other rules go on."""
        if exact and not self._lenient:
            self.error(location, text)
        else:
            self.warn(location, text)

    def warn(self, location: Location, text: str) -> None:
        self._warnings.add(Problem(location, text))

    def raise_errors(self) -> None:
        if self._errors:
            raise ConfigurationError(_sorted(self._errors))

    def warnings(self) -> tuple[Problem, ...]:
        return tuple(_sorted(self._warnings))


def _sorted(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: (problem.location, problem.text))
