"""Nothing is allowed on a server that was not reviewed, and the list of settings stands in one place."""

import re

import pytest

from maskproxy.base.refs import TableRef
from maskproxy.core.sql.settings import is_readable
from maskproxy.core.system_relations import SYSTEM_RELATIONS
from tests.core.sql.builtins import allowed, reviewed
from tests.support.servers import Server


@pytest.mark.parametrize("version", ["postgres18", "postgres15"])
def test_every_allowed_built_in_was_reviewed(version: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(version)
    with server.admin() as admin:
        new = allowed(admin) - reviewed()
    assert not new, "review, then run python -m tests.core.sql.builtins DSN:\n" + "\n".join(sorted(new))


def test_pg_settings_shows_what_may_be_shown() -> None:
    names = re.findall(r"'(\w+)'", SYSTEM_RELATIONS[TableRef("pg_catalog", "pg_settings")].filter)
    assert len(names) > 25
    assert [name for name in names if not is_readable(name) and name != "max_index_keys"] == []
