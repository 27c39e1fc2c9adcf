"""From the scopes of the rules to what each selects, sees clear and denies."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from maskproxy.base.refs import ColumnRef, Location, TableRef
from maskproxy.core.catalog import Catalog
from maskproxy.core.policy.document import RulesDocument, ScopeModel
from maskproxy.core.policy.families import Carriers
from maskproxy.core.policy.filter_types import Unfit
from maskproxy.core.policy.labelling import known_labels
from maskproxy.core.policy.patterns import Pattern, explain_no_match, match_columns, match_tables, parse_pattern
from maskproxy.core.policy.problems import Problems
from maskproxy.core.policy.rights import Granted, check_granted, read_granted, rights_of
from maskproxy.core.policy.row_filters import (
    Filters,
    RowFilter,
    below_views,
    compile_filter,
    descendants,
    inherited,
    stored_unfiltered,
    together,
)
from maskproxy.core.policy.ruleset import ColumnUse, Denial, Sight, Terms, strictest_use
from maskproxy.core.policy.scope_limits import NO_LIMITS, ScopeLimits, strictest_limits
from maskproxy.core.policy.views import Views
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
    documents: Sequence[RulesDocument], catalog: Catalog, carriers: Carriers, views: Views, problems: Problems
) -> dict[str, Sight]:
    """By name. Problems are reported where they stand, also in scopes that others include."""
    written = _written(documents, problems)
    reader = _Reader(catalog, known_labels(documents), carriers, views, problems)
    own = {name: reader.read(scope) for name, scope in written.items()}
    return {name: _with_included(name, written, own, reader, problems) for name in written}


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
    filters: Filters
    granted: tuple[Granted, ...] = ()
    limits: ScopeLimits = NO_LIMITS


class _Reader:
    def __init__(
        self, catalog: Catalog, labels: frozenset[str], carriers: Carriers, views: Views, problems: Problems
    ) -> None:
        self.catalog = catalog
        self.views = views
        self._labels = labels
        self._problems = problems
        self._carriers = carriers

    def read(self, scope: _Written) -> _Own:
        model = scope.model
        for index, label in enumerate(model.clear):
            self._check_label(label, scope.locate("clear", index))
        for label in model.use:
            self._check_label(label, scope.locate("use", label))
        tables = frozenset(self._selected(scope))
        if not (tables or model.select or model.include or model.unrestricted):
            self._problems.warn(scope.locate(), f"scope `{scope.name}` selects nothing")
        terms = Terms(frozenset(model.clear), model.use)
        denied, granted = dict(self._denied(scope)), tuple(self._granted(scope))
        return _Own(tables, terms, denied, self._filters(scope), granted, _limits(model))

    def _check_label(self, label: str, location: Location) -> None:
        if label not in self._labels:
            self._problems.error(location, f"unknown label `{label}`{did_you_mean(label, self._labels)}")

    def _selected(self, scope: _Written) -> Iterator[TableRef]:
        for index, text in enumerate(scope.model.select):
            location = scope.locate("select", index)
            if pattern := self._pattern(text, location, "schema.table"):
                found = match_tables(pattern, self.catalog)
                self._report(pattern, location, found)
                yield from found

    def _denied(self, scope: _Written) -> Iterator[tuple[ColumnRef, Denial]]:
        for index, text in enumerate(scope.model.deny):
            location = scope.locate("deny", index)
            if pattern := self._pattern(text, location, "schema.table.column", "schema.table"):
                found = match_columns(pattern, self.catalog)
                self._report(pattern, location, found)
                denial = Denial(f"scopes.{scope.name}.deny", location)
                for column in found:
                    for carrier in self._carriers.all(column):
                        yield carrier, denial

    def _granted(self, scope: _Written) -> Iterator[Granted]:
        model = scope.model
        lists = {"insert": model.insert, "update": model.update, "delete": model.delete}
        for each in read_granted(lists, scope.locate, self._pattern, self.catalog):
            self._report(each.pattern, each.location, [*each.columns, *each.tables])
            yield each

    def _filters(self, scope: _Written) -> Filters:
        found: dict[TableRef, tuple[RowFilter, ...]] = {}
        for text, condition in scope.model.rows.items():
            location = scope.locate("rows", text)
            if pattern := self._pattern(text, location, "schema.table"):
                tables = match_tables(pattern, self.catalog)
                self._report(pattern, location, tables)
                for table in tables:
                    if row_filter := self._filter(condition, table, scope.name, location):
                        found[table] = (*found.get(table, ()), row_filter)
        return found

    def _filter(self, condition: str, table: TableRef, scope: str, location: Location) -> RowFilter | None:
        rule = f"scopes.{scope}.rows"
        try:
            return compile_filter(condition, self.catalog.tables[table], self.catalog, rule, location)
        except Unfit as error:
            self._problems.error(location, f"row filter of `{table}`: {error}")
            return None

    def _pattern(self, text: str, location: Location, *shapes: str) -> Pattern | None:
        try:
            return parse_pattern(text, *shapes)
        except ValueError as error:
            self._problems.error(location, str(error))
            return None

    def _report(self, pattern: Pattern, location: Location, found: Sequence[object]) -> None:
        if not found:
            self._problems.missing(location, explain_no_match(pattern, self.catalog), exact=pattern.exact)


def _limits(model: ScopeModel) -> ScopeLimits:
    return NO_LIMITS if model.limits is None else ScopeLimits(**model.limits.model_dump())


def _with_included(
    name: str, written: Mapping[str, _Written], own: Mapping[str, _Own], reader: "_Reader", problems: Problems
) -> Sight:
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
    filters = _filters(together(own[each].filters for each in sorted(reached)), tables, reader, problems)
    terms = dict.fromkeys(tables, Terms(clear, uses))
    limits = strictest_limits(own[each].limits for each in reached)
    return Sight(terms, denied, scope.model.unrestricted, scope.locate(), rights, filters, limits)


def _filters(written: Filters, tables: frozenset[TableRef], rules: "_Reader", problems: Problems) -> Filters:
    """Those of one scope with all it includes, also of the tables below views and of children."""
    read = below_views(tables, rules.views)
    for table in sorted(written.keys() - read):
        if read.isdisjoint(descendants(table, rules.catalog)):
            for row_filter in written[table]:
                problems.warn(row_filter.location, f"`{table}` has a row filter but is not selected")
    for view in stored_unfiltered(sorted(tables), written, rules.views, rules.catalog):
        text = f"nothing of {view} is seen: it stores rows of tables with row filters; give it a filter of its own"
        problems.warn(written[min(written)][0].location, text)
    return inherited(written, read, rules.catalog, problems)


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
