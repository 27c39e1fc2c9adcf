"""Documents and a catalog make a ``RuleSet``. Every name is checked; nothing is used of rules that have an error.

An error is a name that exists nowhere, a contradiction, or a key whose effect is not built yet: rules must never
promise what is not enforced. A warning is what works but probably was not meant: a wildcard without a match, a mask
that cannot represent its result in a column's type (the column is NULL), a scope that sees nothing.

A table and its inheritance children or partitions share their rows, so they share labels and denials: reading the
parent reads the child. A generated column, and one of a materialized view, has the labels and denials of the columns it
is computed from. What a scope sees of a view is what it sees of the columns below it (``views``).
"""

import hashlib
from collections.abc import Mapping, Sequence

from maskproxy.base.refs import ColumnRef, Generation
from maskproxy.core.catalog import Catalog
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.drift import DRIFT, Reviewed, drifted, null_candidate
from maskproxy.core.policy.families import Carriers
from maskproxy.core.policy.labelling import LabelKeys, candidates, label_columns, label_masks
from maskproxy.core.policy.problems import Problems
from maskproxy.core.policy.row_filters import below_views
from maskproxy.core.policy.ruleset import RuleSet, Scope, Sight, see
from maskproxy.core.policy.sights import scope_sights
from maskproxy.core.policy.trust import with_trust
from maskproxy.core.policy.views import Views
from maskproxy.core.sql.views import view_flows

__all__ = ["RuleSet", "Scope", "compile_rules"]


def compile_rules(
    documents: Sequence[RulesDocument],
    catalog: Catalog,
    database: str,
    keys: LabelKeys,
    generation: Generation,
    *,
    seen: Reviewed | None = None,
    lenient: bool = False,
) -> RuleSet:
    """The rules of ``database``, by its name in the settings. Raises ConfigurationError with all problems.

    ``seen``: columns that are not as they were seen then are NULL; None: all are seen now. ``lenient``: these rules
    are in force already, so names that the database has lost are warnings.
    """
    problems = Problems(lenient=lenient)
    documents = sorted(documents, key=lambda document: document.source.file)
    for document in documents:
        _check_document(document, database, problems)
    catalog = with_trust(catalog, documents, problems)
    views = view_flows(catalog)
    carriers = Carriers(catalog, views)
    labelled = label_columns(documents, catalog, carriers, problems)
    labels = candidates(labelled, label_masks(documents, problems), catalog, keys, problems)
    sights = scope_sights(documents, catalog, carriers, views, problems)
    governed = below_views((table for sight in sights.values() for table in sight.tables), views)
    changed: dict[ColumnRef, str] = {}
    if seen is not None:
        changed = drifted(catalog, governed, seen)
        for column in changed:
            labels.setdefault(column, {})[DRIFT] = null_candidate(column, catalog, seen.location)
    _warn_of_views(sights, views, problems)
    problems.raise_errors()
    scopes = {name: see(name, sight, catalog, views, labels) for name, sight in sights.items()}
    _warn_of_partitions(sights, scopes, catalog, problems)
    _warn_of_indexes(scopes, problems)
    _warn_of_nulls(scopes, problems)
    return RuleSet(
        generation=generation,
        digest=hashlib.sha256(b"".join(sorted(document.digest for document in documents))).hexdigest(),
        catalog=catalog,
        views=views,
        labels=labels,
        sights=sights,
        scopes=scopes,
        warnings=problems.warnings(),
        governed=governed,
        drifted=changed,
    )


def _warn_of_indexes(scopes: Mapping[str, Scope], problems: Problems) -> None:
    for name, scope in scopes.items():
        if scope.telling_indexes and not scope.unrestricted:
            named = ", ".join(f"{index} of {table}" for table, index in dict.fromkeys(scope.telling_indexes))
            text = (
                f"scope `{name}` reads no rows in the order of indexes, so sorting a large table takes longer: that "
                f"order would tell of values that the scope may not see, or of filtered rows, by {named}"
            )
            problems.warn(scope.location, text)


def _warn_of_nulls(scopes: Mapping[str, Scope], problems: Problems) -> None:
    """Masks of rows that have no counterpart in masked evaluation."""
    for name, scope in scopes.items():
        for mask in scope.masks.values():
            if mask.apply is not None and mask.sql is None:
                text = f"{mask.column} is NULL in statements of scope `{name}` that use it: mask `{mask.name}` of label"
                problems.warn(mask.location, f"{text} `{mask.label}` has no SQL form there")


def _warn_of_views(sights: Mapping[str, Sight], views: Views, problems: Problems) -> None:
    for name, sight in sights.items():
        for view in sorted(sight.tables.keys() & views.keys()):
            if (problem := views[view].problem) is not None:
                text = f"scope `{name}` sees nothing of view {view}: its definition cannot be analysed ({problem})"
                problems.warn(sight.location, text)


def _warn_of_partitions(
    sights: Mapping[str, Sight], scopes: Mapping[str, Scope], catalog: Catalog, problems: Problems
) -> None:
    partitions = {child for table in catalog.tables.values() if table.partition_key for child in table.children}
    for name, scope in scopes.items():
        for ref in sorted(sights[name].tables):
            table = catalog.tables[ref]
            if (table.partition_key or ref in partitions) and not scope.catalog.tables[ref].visible_columns:
                text = (
                    f"scope `{name}` sees nothing of {ref}: its rows lie by a column that the scope may not see, so "
                    "their order would tell its values; `use: any` of the column's label gives that up"
                )
                problems.warn(sights[name].location, text)


def _check_document(document: RulesDocument, database: str, problems: Problems) -> None:
    if document.database != database:
        text = f"these rules are for database `{document.database}`, not for `{database}`"
        problems.error(document.locate("database"), text)
