"""From labels and masks in the rules to what each label asks for each column."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from maskproxy.base.refs import ColumnRef, Location
from maskproxy.base.types import PG_TYPES, PgType
from maskproxy.core.catalog import Catalog, Column
from maskproxy.core.masks.constants import Null
from maskproxy.core.masks.definition import Bound, MaskRule, Misfit, bind, recipe, sql_form
from maskproxy.core.policy.decision import ColumnMask
from maskproxy.core.policy.document import RulesDocument
from maskproxy.core.policy.families import Carriers
from maskproxy.core.policy.patterns import explain_no_match, match_columns, parse_pattern
from maskproxy.core.policy.problems import Problems
from maskproxy.core.policy.ruleset import Candidate, Denial
from maskproxy.core.yaml import did_you_mean

LabelKeys = Callable[[str], bytes]
"""Label to the key of its tokens."""


def key_setting(label: str) -> str:
    """The beginning of the names of the session settings that hold the label's key: a label is no name of a setting."""
    return f"maskproxy.token_{hashlib.sha256(label.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Why a column has a label: the place of the pattern, and whether that names only what the column comes from."""

    location: Location
    computed: bool


Labelled = Mapping[ColumnRef, Mapping[str, Origin]]
"""By column: its labels."""

Asked = Mapping[str, Sequence[tuple[MaskRule, Location]]]
"""By label: its masks, one for each document that has one."""


def known_labels(documents: Sequence[RulesDocument]) -> frozenset[str]:
    return frozenset(label for document in documents for label in document.model.labels)


def label_columns(
    documents: Sequence[RulesDocument], catalog: Catalog, carriers: Carriers, problems: Problems
) -> Labelled:
    """Labels of a table are also those of its inheritance children and partitions, and the other way round; labels of
    a column are also those of the stored columns computed from it."""
    labelled: dict[ColumnRef, dict[str, Origin]] = {}
    for document in documents:
        for label, patterns in document.model.labels.items():
            for index, text in enumerate(patterns):
                location = document.locate("labels", label, index)
                for column in _matches(text, location, catalog, problems):
                    copies = carriers.copies(column)
                    for carrier in carriers.all(column):
                        _label(labelled.setdefault(carrier, {}), label, Origin(location, carrier not in copies))
    return labelled


def _label(labels: dict[str, Origin], label: str, origin: Origin) -> None:
    """A pattern that names the column itself counts before one that names what it is computed from."""
    if label not in labels or (labels[label].computed and not origin.computed):
        labels[label] = origin


def _matches(text: str, location: Location, catalog: Catalog, problems: Problems) -> Sequence[ColumnRef]:
    try:
        pattern = parse_pattern(text, "schema.table.column")
    except ValueError as error:
        problems.error(location, str(error))
        return ()
    columns = match_columns(pattern, catalog)
    if not columns:
        problems.missing(location, explain_no_match(pattern, catalog), exact=pattern.exact)
    return columns


def label_masks(documents: Sequence[RulesDocument], problems: Problems) -> Asked:
    labels = known_labels(documents)
    asked: dict[str, list[tuple[MaskRule, Location]]] = {}
    for document in documents:
        for label, rule in document.model.masks.items():
            location = document.locate("masks", label)
            if label not in labels:
                problems.error(location, f"unknown label `{label}`{did_you_mean(label, labels)}")
            asked.setdefault(label, []).append((rule, location))
    return asked


def candidates(
    labelled: Labelled, asked: Asked, catalog: Catalog, keys: LabelKeys, problems: Problems
) -> dict[ColumnRef, dict[str, Candidate]]:
    """What each label of each column asks for."""
    return {
        column: {
            label: _candidate(column, label, origin, asked.get(label, ()), catalog, keys, problems)
            for label, origin in labels.items()
        }
        for column, labels in labelled.items()
    }


def _candidate(
    column: ColumnRef,
    label: str,
    origin: Origin,
    asked: Sequence[tuple[MaskRule, Location]],
    catalog: Catalog,
    keys: LabelKeys,
    problems: Problems,
) -> Candidate:
    if not asked:
        rule = f"labels.{label}"
        return Candidate((0, _NOTHING, rule), Denial(rule, origin.location))
    bound = [
        _bind(column, label, rule, where, catalog, keys(label), problems, computed=origin.computed)
        for rule, where in asked
    ]
    return max(bound, key=lambda candidate: candidate.strictness)


# reverse(ssn), of which the end is shown, shows the beginning of ssn: only who labels the column itself can want that
_COMPUTED = Misfit("it is computed from a labelled column and would show another part of it; label it to mask it so")
_NULL = Null(mask="null")
_NOTHING = _NULL.strictness


def _bind(
    ref: ColumnRef,
    label: str,
    rule: MaskRule,
    location: Location,
    catalog: Catalog,
    key: bytes,
    problems: Problems,
    *,
    computed: bool,
) -> Candidate:
    """A mask that cannot represent its result is ``null``: said now by ``check``, done at run time."""
    column = catalog.column(ref)
    assert column is not None  # patterns match columns of the catalog only
    type = PG_TYPES.get(column.type_oid)
    apply = _COMPUTED if computed and rule.shows_part else _function(rule, type, column, key)
    if isinstance(apply, Misfit):
        problems.warn(location, f"mask `{rule.mask}` of label `{label}` makes {ref} NULL: {apply.reason}")
        apply, rule = None, _NULL
    setting = key_setting(label)
    form = None if type is None or apply is None else sql_form(rule, type, column.typmod, setting)
    identity = f"masks.{label}"
    mask = ColumnMask(
        name=rule.mask,
        label=label,
        column=ref,
        type=type,
        apply=apply,
        sql=form,
        settings={} if form is None else rule.settings(key, setting),
        recipe=None if type is None or apply is None else recipe(rule, type, column.typmod, key),
        rule=identity,
        location=location,
    )
    return Candidate((rule.rank, rule.strictness, f"{identity} {location}"), mask)


def _function(rule: MaskRule, type: PgType | None, column: Column, key: bytes) -> Bound:
    if isinstance(rule, Null):
        return None
    if type is None:
        return Misfit(f"masks do not know its type {column.type_name}")
    return bind(rule, type, column.typmod, key)
