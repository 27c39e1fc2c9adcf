"""Rules compiled against a catalog of tests/catalogs."""

from pathlib import Path

from maskproxy.base.refs import Generation
from maskproxy.core.catalog import Catalog
from maskproxy.core.policy.compile import RuleSet, compile_rules
from maskproxy.core.policy.document import RulesDocument

ROOT = Path(__file__).parents[2]


def read_rules(path: str) -> RulesDocument:
    """``path`` from the repository's root."""
    return RulesDocument.parse((ROOT / path).read_text(), path)


def compiled(catalog: Catalog, *documents: RulesDocument) -> RuleSet:
    return compile_rules(documents, catalog, "shop", label_key, Generation(1))


def label_key(label: str) -> bytes:
    return label.encode().ljust(32, b"\0")
