"""Functions of the database's own that rules trust (``trust.functions``): they may be called under masking scopes.

What such a function is given is what the scope sees: a masked column goes in masked. What it reads besides, and what it
gives back, is the administrator's judgement.
"""

from collections.abc import Sequence
from dataclasses import replace

from maskproxy.base.refs import TableRef
from maskproxy.core.catalog import Catalog
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.patterns import parse_pattern
from maskproxy.core.policy.problems import Problems
from maskproxy.core.sql.functions import FUNCTIONS, TYPES
from maskproxy.core.yaml import did_you_mean


def with_trust(catalog: Catalog, documents: Sequence[RulesDocument], problems: Problems) -> Catalog:
    """The same catalog, of whose functions all are trusted that some document names."""
    trusted = set()
    for document in documents:
        for index, text in enumerate(document.model.trust.functions):
            location = document.locate("trust", "functions", index)
            try:
                ref = _named(text, catalog)
            except ValueError as error:
                problems.error(location, str(error))
                continue
            function = catalog.user_functions.get(ref)
            if function is None:
                guess = did_you_mean(str(ref), list(map(str, catalog.user_functions)))
                problems.missing(location, f"unknown function `{ref}`{guess}", exact=True)
            elif function.unfit:
                problems.missing(location, f"function `{ref}` cannot be trusted: {function.unfit}", exact=True)
            else:
                trusted.add(ref)
    return replace(catalog, trusted={ref: catalog.user_functions[ref] for ref in sorted(trusted)})


def _named(text: str, catalog: Catalog) -> TableRef:
    """Raises ValueError for what no function can be named, or none may be named."""
    pattern = parse_pattern(text, "schema.function")
    schema, name = pattern.parts
    if schema is None or name is None:
        raise ValueError(f"`{text}`: name each function that is trusted, without *")
    types = TYPES | catalog.types | {each.ref.name for each in catalog.user_types.values()}
    if name in FUNCTIONS or name in types:
        raise ValueError(f"function `{text}` cannot be trusted: a built-in or a type has its name")
    return TableRef(schema, name)
