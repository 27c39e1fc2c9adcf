"""The shop of the plays, and a database for pools of connections."""

import pytest

from maskproxy.base.refs import Engine
from maskproxy.core.settings import Database, PasswordFile, TlsMode
from tests.session.conftest import policies
from tests.support.pools import SCHEMA
from tests.support.servers import APP, APP_PASSWORD, HOST, Server

__all__ = ["policies"]


@pytest.fixture(scope="module", params=["postgres18", "postgres15"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    server: Server = request.getfixturevalue(request.param)
    password = tmp_path_factory.mktemp("pool") / "password"
    password.write_text(APP_PASSWORD.reveal(), encoding="utf-8")
    password.chmod(0o600)
    return Database(
        name="shop",
        engine=Engine.POSTGRES,
        host=HOST,
        port=server.port,
        user=APP,
        dbname=server.create_database(SCHEMA),
        password=PasswordFile(password),
        tls=TlsMode.VERIFY_FULL if server.ca else TlsMode.DISABLE,
        tls_root=server.ca,
        search_path=("public",),
    )
