"""What a client may ask for at startup, and with which settings its backend starts."""

import pytest

from maskproxy.base.errors import StartupRefused
from maskproxy.base.refs import Generation
from maskproxy.core.catalog import Catalog
from maskproxy.core.plan import Stamp
from maskproxy.core.policy.compile import compile_rules
from maskproxy.core.policy.document import RulesDocument
from maskproxy.proxy.admission import backend_parameters, read_startup
from maskproxy.session.enforce import Policy
from tests.support.catalogs import read_catalog
from tests.support.rules import compiled

RULES = "version: 1\ndatabase: shop\nscopes:\n  masking: {select: []}\n  everything: {unrestricted: true}\n"


def policy(scope: str) -> Policy:
    catalog = Catalog(generation=Generation(1), tables={})
    documents = [RulesDocument.parse(RULES, "shop.yaml")]
    rules = compile_rules(documents, catalog, "shop", lambda label: b"k" * 32, Generation(1))
    return Policy.of(rules.combine((scope,)), Stamp(Generation(1), Generation(1)), ("public", "Odd name"))


def backend(scope: str = "masking", **parameters: str) -> dict[str, str]:
    return backend_parameters(read_startup({"user": "agent", **parameters}), policy(scope))


PINNED = {
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "search_path": '"public", "Odd name"',
    "DateStyle": "ISO, MDY",
    "enable_indexonlyscan": "off",
}


def test_a_plain_client_gets_our_pins() -> None:
    assert backend() == PINNED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("application_name", "it's me"),
        ("TimeZone", "Europe/Vienna"),
        ("extra_float_digits", "3"),
        ("statement_timeout", "1000"),
    ],
)
def test_harmless_settings_are_passed_on(name: str, value: str) -> None:
    assert backend(**{name: value}) == PINNED | {name: value}


@pytest.mark.parametrize("name", ["_pq_nothing", "vendor.flag", "jdbc_hint", "enable_seqscan_of_some_fork"])
def test_unknown_parameters_are_accepted_and_not_passed_on(name: str) -> None:
    assert backend(**{name: "x"}) == PINNED


@pytest.mark.parametrize("encoding", ["UTF8", "utf-8", "'utf-8'", "Unicode", "SQL_ASCII"])
def test_spellings_of_utf8(encoding: str) -> None:
    assert backend(client_encoding=encoding) == PINNED


@pytest.mark.parametrize(
    "parameters",
    [
        {"role": "postgres"},
        {"session_authorization": "postgres"},
        {"search_path": "pg_temp, public"},
        {"client_encoding": "SJIS"},
        {"standard_conforming_strings": "off"},
        {"DateStyle": "German"},
        {"session_preload_libraries": "/tmp/x.so"},
        {"options": "-c role=postgres"},
        {"options": "-csession_replication_role=replica"},
        {"options": "--search-path=secret"},
        {"options": "-c client_encoding=SJIS"},
    ],
)
def test_dangerous_values_are_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(StartupRefused):
        backend(**parameters)


@pytest.mark.parametrize("value", ["true", "database", "1", "on"])
def test_replication_is_refused_under_every_scope(value: str) -> None:
    with pytest.raises(StartupRefused):
        read_startup({"user": "agent", "replication": value})


def test_an_unrestricted_client_gets_what_it_asks_for() -> None:
    assert backend("everything", role="x", options="-c search_path=secret -c a.b=c", client_encoding="SJIS") == {
        "role": "x",
        "search_path": "secret",
        "a.b": "c",
        "client_encoding": "SJIS",
    }


def test_our_own_parameters_stay_with_us() -> None:
    startup = read_startup({"user": "agent", "options": "-c maskproxy.scope=support -c TimeZone=UTC"})
    assert startup.scope == "support"
    assert startup.settings == {"TimeZone": "UTC"}
    assert startup.database == "agent"


KEYED = """
version: 1
database: shop
labels: {name: [public.people.name]}
masks: {name: {mask: token}}
scopes: {masking: {select: [public.people]}, everything: {unrestricted: true}}
"""


def test_a_masking_backend_gets_the_keys_of_its_masks_whatever_the_client_sends() -> None:
    known = read_catalog("CREATE TABLE public.people (\nname text\n);")
    rules = compiled(known, RulesDocument.parse(KEYED, "shop.yaml"))
    masking, everything = (
        Policy.of(rules.combine((name,)), Stamp(Generation(1), Generation(1)), ("public",))
        for name in ("masking", "everything")
    )
    keys = {name: secret.reveal() for name, secret in masking.scope.settings.items()}
    assert len(keys) == 2
    for spelling in (str, str.upper):
        options = " ".join(f"-c {spelling(name)}={'00' * 32}" for name in keys)
        sent = backend_parameters(read_startup({"user": "agent", "options": options}), masking)
        assert sent == PINNED | {"search_path": '"public"'} | keys
    assert backend_parameters(read_startup({"user": "agent"}), everything) == {}
