"""Settings that may be set and shown."""

import pytest

from maskproxy.base.errors import Refused
from maskproxy.core.sql.settings import check_reset, check_setting, is_readable

PATH = ("app", "Public Data")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("application_name", "psql"),
        ("Application_Name", "x'; DROP --"),
        ("client_encoding", "UTF8"),
        ("client_encoding", "utf-8"),
        ("DateStyle", "ISO, MDY"),
        ("DateStyle", "iso"),
        ("extra_float_digits", "-3"),
        ("IntervalStyle", "postgres"),
        ("jit", "off"),
        ("lock_timeout", "0"),
        ("search_path", 'app, "Public Data"'),
        ("search_path", ' APP ,"Public Data"'),
        ("search_path", ""),
        ("standard_conforming_strings", "on"),
        ("statement_timeout", "5 min"),
        ("TimeZone", "Europe/Vienna"),
        ("timezone", "<+02>-02"),
        ("transaction_isolation", "repeatable read"),
    ],
)
def test_allowed(name: str, value: str) -> None:
    check_setting(name, value, search_path=PATH)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("role", "postgres"),
        ("session_authorization", "postgres"),
        ("client_encoding", "SJIS"),
        ("client_encoding", "SQL_ASCII"),
        ("standard_conforming_strings", "off"),
        ("backslash_quote", "on"),
        ("row_security", "off"),
        ("search_path", "app"),
        ("search_path", '"Public Data", app'),
        ("search_path", 'app, "Public Data", evil'),
        ("search_path", "app, public data"),
        ("search_path", " "),
        ("search_path", ","),
        ("DateStyle", "German"),
        ("statement_timeout", "5; DROP"),
        ("application_name", "a\0b"),
        ("timezone", "Europe/Vienna'"),
        ("server_version", "9"),
        ("options", "-c role=postgres"),
        ("replication", "database"),
        ("session_preload_libraries", "x"),
        ("default_text_search_config", "x"),
        ("enable_seqscan", "off"),  # rows then come in the order of an index
        ("enable_hashjoin", "off"),
        ("geqo", "off"),
        ("geqo_seed", "0.5"),
        ("my.own", "x"),
        ("", ""),
    ],
)
def test_refused(name: str, value: str) -> None:
    with pytest.raises(Refused) as caught:
        check_setting(name, value, search_path=PATH)
    assert caught.value.hint
    if len(value) > 3:
        assert value not in caught.value.message


@pytest.mark.parametrize("name", ["server_version", "standard_conforming_strings", "TimeZone", "transaction_isolation"])
def test_readable(name: str) -> None:
    assert is_readable(name)


@pytest.mark.parametrize("name", ["data_directory", "hba_file", "all", "role", "maskproxy.key", "krb_server_keyfile"])
def test_not_readable(name: str) -> None:
    assert not is_readable(name)


def test_reset() -> None:
    check_reset("Statement_Timeout")
    for name in ("role", "server_version", "nosuch"):
        with pytest.raises(Refused):
            check_reset(name)
