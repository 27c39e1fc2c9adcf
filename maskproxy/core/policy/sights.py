"""From the scopes of the rules to what each selects, sees clear and denies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from maskproxy.base.refs import ColumnRef, Location, TableRef
from maskproxy.core.catalog import Catalog
from maskproxy.core.policy.document import RulesDocument, ScopeModel
from maskproxy.core.policy.families import Carriers
from maskproxy.core.policy.labelling import known_labels
from maskproxy.core.policy.patterns import Pattern, explain_no_match, match_columns, match_tables, parse_pattern
from maskproxy.core.policy.problems import Problems
from maskproxy.core.policy.rights import Granted, check_granted, read_granted, rights_of
from maskproxy.core.policy.ruleset import ColumnUse, Denial, Sight, Terms, strictest_use
from maskproxy.core.yaml import did_you_mean


@dataclass(frozen=True, slots=True)
class _Written:
    """A scope and where it is written."""

    name: str
    model: ScopeModel
    document: RulesDocument

    def locate(self, *path: str | int) -> Location:
        return self.document.locate("scopes", self.name, *path)


def scope_sights(
    documents: Sequence[RulesDocument], catalog: Catalog, carriers: Carriers, problems: Problems
) -> dict[str, Sight]:
    """By name. Problems are reported where they stand, also in scopes that others include."""
    written = _written(documents, problems)
    reader = _Reader(catalog, known_labels(documents), carriers, problems)
    own = {name: reader.read(scope) for name, scope in written.items()}
    return {name: _with_included(name, written, own, problems) for name in written}


def _written(documents: Sequence[RulesDocument], problems: Problems) -> dict[str, _Written]:
    written: dict[str, _Written] = {}
    for document in documents:
        for name, model in document.model.scopes.items():
            scope = _Written(name, model, document)
            if name in written:
                problems.error(scope.locate(), f"scope `{name}` stands already at {written[name].locate()}")
            else:
                written[name] = scope
    return written


@dataclass(frozen=True, slots=True)
class _Own:
    """The lists of one scope, resolved, without what it includes."""

    tables: frozenset[TableRef]
    terms: Terms
    denied: Mapping[ColumnRef, Denial]
    granted: tuple[Granted, ...] = ()


class _Reader:
    def __init__(self, catalog: Catalog, labels: frozenset[str], carriers: Carriers, problems: Problems) -> None:
        self._catalog = catalog
        self._labels = labels
        self._problems = problems
        self._carriers = carriers

    def read(self, scope: _Written) -> _Own:
        model = scope.model
        for location, text in _not_enforced(scope):
            self._problems.error(location, text)
        for index, label in enumerate(model.clear):
            self._check_label(label, scope.locate("clear", index))
        for label in model.use:
            self._check_label(label, scope.locate("use", label))
        tables = frozenset(self._selected(scope))
        if not (tables or model.select or model.include or model.unrestricted):
            self._problems.warn(scope.locate(), f"scope `{scope.name}` selects nothing")
        terms = Terms(frozenset(model.clear), model.use)
        return _Own(tables, terms, dict(self._denied(scope)), tuple(self._granted(scope)))

    def _check_label(self, label: str, location: Location) -> None:
        if label not in self._labels:
            self._problems.error(location, f"unknown label `{label}`{did_you_mean(label, self._labels)}")

    def _selected(self, scope: _Written) -> Iterator[TableRef]:
        for index, text in enumerate(scope.model.select):
            location = scope.locate("select", index)
            if pattern := self._pattern(text, location, "schema.table"):
                found = match_tables(pattern, self._catalog)
                self._report(pattern, location, found)
                yield from found

    def _denied(self, scope: _Written) -> Iterator[tuple[ColumnRef, Denial]]:
        for index, text in enumerate(scope.model.deny):
            location = scope.locate("deny", index)
            if pattern := self._pattern(text, location, "schema.table.column", "schema.table"):
                found = match_columns(pattern, self._catalog)
                self._report(pattern, location, found)
                denial = Denial(f"scopes.{scope.name}.deny", location)
                for column in found:
                    for carrier in self._carriers.all(column):
                        yield carrier, denial

    def _granted(self, scope: _Written) -> Iterator[Granted]:
        model = scope.model
        lists = {"insert": model.insert, "update": model.update, "delete": model.delete}
        for each in read_granted(lists, scope.locate, self._pattern, self._catalog):
            self._report(each.pattern, each.location, [*each.columns, *each.tables])
            yield each

    def _pattern(self, text: str, location: Location, *shapes: str) -> Pattern | None:
        try:
            return parse_pattern(text, *shapes)
        except ValueError as error:
            self._problems.error(location, str(error))
            return None

    def _report(self, pattern: Pattern, location: Location, found: Sequence[object]) -> None:
        if not found:
            report = self._problems.error if pattern.exact else self._problems.warn
            report(location, explain_no_match(pattern, self._catalog))


def _not_enforced(scope: _Written) -> Iterator[tuple[Location, str]]:
    """Keys of the format whose effect does not exist yet."""
    for key in ("rows", "limits"):
        if getattr(scope.model, key):
            yield scope.locate(key), f"`{key}` is not enforced yet: remove it"


def _with_included(name: str, written: Mapping[str, _Written], own: Mapping[str, _Own], problems: Problems) -> Sight:
    """``include`` reads as if the lists of the included scopes were written here."""
    scope = written[name]
    reached = _reach(name, written, problems)
    tables = frozenset().union(*(own[each].tables for each in reached))
    clear = frozenset().union(*(own[each].terms.clear for each in reached))
    uses: dict[str, ColumnUse] = {}
    for label, use in (pair for each in reached for pair in own[each].terms.uses.items()):
        uses[label] = strictest_use(use, uses.get(label, use))
    denied: dict[ColumnRef, Denial] = {}
    for each in sorted(reached):
        for column, denial in own[each].denied.items():
            denied.setdefault(column, denial)
    check_granted(own[name].granted, tables, denied, problems)
    rights = rights_of(granted for each in reached for granted in own[each].granted).within(tables)
    return Sight(dict.fromkeys(tables, Terms(clear, uses)), denied, scope.model.unrestricted, scope.locate(), rights)


def _reach(name: str, written: Mapping[str, _Written], problems: Problems) -> frozenset[str]:
    """The scope and all it includes, directly or not."""
    reached, waiting = {name}, [name]
    while waiting:
        scope = written[waiting.pop()]
        for index, included in enumerate(scope.model.include):
            location = scope.locate("include", index)
            if included == name:
                problems.error(location, f"scope `{name}` includes itself")
            elif included not in written:
                problems.error(location, f"unknown scope `{included}`{did_you_mean(included, written)}")
            elif written[included].model.unrestricted:
                problems.error(location, f"scope `{included}` is unrestricted and cannot be included")
            elif included not in reached:
                reached.add(included)
                waiting.append(included)
    return frozenset(reached)
