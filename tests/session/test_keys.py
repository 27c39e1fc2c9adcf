"""A session keeps the mask keys that its backend was opened with; other ones end it."""

from collections.abc import Callable

from maskproxy.base.refs import Generation
from maskproxy.core.plan import Stamp
from maskproxy.core.policy.compile import compile_rules
from maskproxy.core.policy.document import RulesDocument
from maskproxy.session.actions import CloseSession
from maskproxy.session.enforce import Policy
from maskproxy.session.postgres import PostgresSession
from tests.session.conftest import shop_catalog

PLAIN = """
version: 1
database: shop
labels: {name: [public.customers.name], mail: [public.customers.email]}
masks: {name: {mask: token}, mail: {mask: email}}
scopes: {s: {select: [public.customers]}}
"""
MORE = PLAIN.replace("mask: email", "mask: token")


def key(label: str) -> bytes:
    return label.encode().ljust(32)


def policy(rules: str = PLAIN, keys: Callable[[str], bytes] = key) -> Policy:
    document = RulesDocument.parse(rules, "r.yaml")
    compiled = compile_rules([document], shop_catalog(), "shop", keys, Generation(1))
    return Policy.of(compiled.combine(("s",)), Stamp(Generation(1), Generation(1)), ("public",))


def ended(session: PostgresSession) -> str | None:
    (action,) = session.take_actions() or [None]
    return action.error.message if isinstance(action, CloseSession) and action.error else None


def test_the_same_keys_under_new_rules() -> None:
    session = PostgresSession(policy(MORE))
    session.use(policy(MORE))
    session.use(policy(PLAIN))  # needs less
    session.use(policy(MORE))
    assert not session.closed


def test_a_key_that_the_backend_does_not_have() -> None:
    session = PostgresSession(policy(PLAIN))
    session.use(policy(MORE))
    assert session.closed
    assert ended(session) == "the settings of this session's scope have changed"


def test_another_key() -> None:
    session = PostgresSession(policy())
    session.use(policy(keys=lambda label: b"k" * 32))
    assert session.closed
