"""Moves on the protocol: what a client can do besides sending one statement after the other.

A move is told a twin and returns what the twin sent. MOVES has those that the corpus describes (category
protocol-postgres) under its ids, and more of our own.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Final

from maskproxy.cli.twins.transcript import Address, Frame, RawSession
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.codec import int32, uint16
from maskproxy.wire.postgres.startup import CancelRequest
from tests.noninterference.twins import Play, Twin

SSN: Final = "SELECT ssn AS id FROM customers"
BOTH_FORMATS: Final = (0, 1)


def conversation(talk: Callable[[RawSession], None], parameters: Mapping[str, str] | None = None) -> Play:
    """One session."""

    def play(twin: Twin) -> list[Frame]:
        with twin.session(parameters) as session:
            if session.open:
                talk(session)
            return session.frames

    return play


def tell(session: RawSession, *messages: m.Message | bytes, answers: int = 1) -> None:
    """Send all in one write, then wait."""
    session.extended = True
    session.send(*messages)
    session.wait(answers)


def bind(portal: str = "", statement: str = "", formats: tuple[int, ...] = (), *params: bytes | None) -> m.Bind:
    return m.Bind(portal, statement, (), params, formats)


def mixed_formats(session: RawSession) -> None:
    for formats in ((0, 1, 0), (1, 0, 1), (1,), (0, 1)):  # the last: not one for each column, the server refuses
        parse = m.Parse("", "SELECT ssn, salary, dob FROM customers")
        tell(session, parse, bind("", "", formats), m.Describe(m.PORTAL, ""), m.Execute(""), m.Sync())


def prepared_in_sql(session: RawSession) -> None:
    session.query(f"PREPARE p AS {SSN}")
    tell(session, bind("", "p"), m.Execute(""), m.Sync())
    tell(session, m.Describe(m.STATEMENT, "p"), m.Sync())


def cursor_as_portal(session: RawSession) -> None:
    session.query(f"BEGIN; DECLARE c CURSOR FOR {SSN}")
    tell(session, m.Execute("c"), m.Sync())
    session.query("ROLLBACK")
    session.query("BEGIN")
    session.query(f"DECLARE c CURSOR FOR {SSN}")
    tell(session, m.Describe(m.PORTAL, "c"), m.Execute("c", 2), m.Execute("c"), m.Sync())


def portal_as_cursor(session: RawSession) -> None:
    session.query("BEGIN")
    tell(session, m.Parse("s", SSN), bind("pp", "s"), m.Sync())
    session.query("FETCH ALL FROM pp")
    session.query("ROLLBACK")


def portal_as_cursor_renamed(session: RawSession) -> None:
    """The cursor of an innocent statement, replaced by a portal of the same name."""
    session.query("BEGIN")
    session.query("DECLARE pp CURSOR FOR SELECT id FROM orders")
    tell(session, m.Parse("s", SSN), m.Close(m.PORTAL, "pp"), bind("pp", "s"), m.Sync())
    session.query("FETCH ALL FROM pp")
    session.query("MOVE BACKWARD ALL IN pp")


def describe_another(session: RawSession) -> None:
    tell(
        session,
        m.Parse("a", "SELECT id FROM orders"),
        m.Parse("b", "SELECT ssn FROM customers"),
        m.Describe(m.STATEMENT, "a"),
        bind("", "b"),
        m.Execute(""),
        m.Sync(),
    )


def skipped_to_sync(session: RawSession) -> None:
    bad, good = m.Parse("", "SELECT nosuch FROM orders"), m.Parse("", "SELECT ssn FROM customers")
    rest = (bind(), m.Describe(m.PORTAL, ""), m.Execute(""))
    tell(session, bad, *rest, m.Sync(), good, *rest, m.Sync(), answers=2)
    tell(session, good, bad, *rest, m.Sync(), good, *rest, bad, m.Sync(), m.Query(SSN), answers=3)


def function_call(session: RawSession) -> None:
    """table_to_xml(regclass, boolean, boolean, text) by its OID, 2923, with the OID that RowDescription shows."""
    session.query("SELECT id FROM customers LIMIT 0")
    columns = [m.decode_backend(*frame) for frame in session.frames if frame[0] == ord("T")]
    oid = columns[0].columns[0].table_oid if columns and isinstance(columns[0], m.RowDescription) else 0
    arguments = [int32(oid), b"\1", b"\0", b""]
    body = int32(2923) + uint16(1) + uint16(1) + uint16(4)
    body += b"".join(int32(len(each)) + each for each in arguments) + uint16(0)
    tell(session, m.FunctionCall(body))


def table_in_parameter(session: RawSession) -> None:
    for sql in ("SELECT table_to_xml($1::regclass,true,false,'')", "SELECT $1::regclass", "SELECT to_regclass($1)"):
        session.execute(sql, (b"payroll",))


def setting_in_parameter(session: RawSession) -> None:
    session.execute("SELECT set_config($1,$2,false)", (b"search_path", b"evil,public"))
    session.query("SHOW search_path")


def strings_of_startup(session: RawSession) -> None:
    session.query("SELECT '\\', ssn FROM customers --'")


def replication(session: RawSession) -> None:
    for sql in ("SELECT ssn FROM customers", "IDENTIFY_SYSTEM", "BASE_BACKUP", "START_REPLICATION 0/0"):
        session.query(sql)


def other_database(twin: Twin) -> list[Frame]:
    frames: list[Frame] = []
    own = twin.addresses["agent"]
    for database, user in (("postgres", own.user), ("template1", own.user), (own.database, "postgres")):
        session = RawSession(Address(own.port, database, user, own.token), {}, 10.0)
        if session.open:
            session.query("SELECT current_user")
        session.close()
        frames += session.frames
    return frames


def cancel_of_another(twin: Twin) -> list[Frame]:
    """A guessed key must not end the other session's statement; its own must."""
    with twin.session() as victim, twin.session(user="other") as attacker:
        victim.send(m.Query("SELECT count(*) FROM customers"))
        process, key = victim.key
        for guess in (bytes(len(key)), attacker.key[1]):
            _cancel(twin, process, guess)
        victim.wait()
        return [*victim.frames, *attacker.frames]


def _cancel(twin: Twin, process: int, key: bytes) -> None:
    with socket.create_connection(("127.0.0.1", twin.addresses["agent"].port), 5) as connection:
        connection.sendall(CancelRequest(process, key).encode())
        while connection.recv(100):
            pass


def origin_lost(session: RawSession) -> None:
    session.query("SELECT ssn, ssn||'' FROM customers")
    session.query(SSN)


def view(session: RawSession) -> None:
    session.query("SELECT code FROM v_cust")


def left_for_the_next(twin: Twin) -> list[Frame]:
    """What one agent leaves in a session, for another who is given the same backend."""
    with twin.session() as first:
        for sql in (
            "CREATE TEMP TABLE t AS SELECT ssn x FROM customers",
            "SET my.v = '1'",
            "SET application_name = 'first'",
            "LISTEN ch",
            f"PREPARE p AS {SSN}",
            "BEGIN",
            f"DECLARE c CURSOR WITH HOLD FOR {SSN}",
            "COMMIT",
        ):
            first.query(sql)
        tell(first, m.Parse("s", SSN), m.Sync())
    with twin.session(user="other") as second:
        for sql in ("SELECT x FROM t", "EXECUTE p", "FETCH ALL FROM c", "SHOW application_name", "SHOW my.v"):
            second.query(sql)
        tell(second, bind("", "s"), m.Execute(""), m.Sync())
        return [*first.frames, *second.frames]


def partial_execute(session: RawSession) -> None:
    session.query("BEGIN")
    tell(session, m.Parse("", "SELECT ssn, email FROM customers ORDER BY id"), bind("p", "", (1,)), m.Sync())
    for _ in range(4):
        tell(session, m.Execute("p", 2), m.Sync())
    session.query("COMMIT")


def flushed(session: RawSession) -> None:
    """Without Sync: answers come when the client asks for them."""
    session.extended = True
    session.send(m.Parse("", SSN), m.Describe(m.STATEMENT, ""), m.Flush())
    session.wait_quietly(0.3)
    session.send(bind(), m.Execute("", 1), m.Flush())
    session.wait_quietly(0.3)
    tell(session, m.Execute(""), m.Sync())


def name_used_again(session: RawSession) -> None:
    """One name for a statement on clear columns, then for one on masked ones, in one pipeline."""
    clear, secret = m.Parse("s", "SELECT name FROM customers"), m.Parse("s", "SELECT email FROM customers")
    run = (bind("", "s"), m.Execute(""))
    tell(session, clear, *run, m.Close(m.STATEMENT, "s"), secret, *run, m.Sync())
    tell(session, secret, *run, m.Sync())
    session.query("DEALLOCATE s")
    tell(session, clear, *run, m.Sync())
    session.query("DISCARD ALL")
    tell(session, secret, *run, m.Sync())


def parameters_as_guesses(session: RawSession) -> None:
    for sql, value in (
        ("SELECT id FROM customers WHERE ssn = $1", b"123-45-6789"),
        ("SELECT ssn = $1 FROM customers", b"123-45-6789"),
        ("SELECT id FROM customers WHERE salary > $1::numeric ORDER BY id", b"50000"),
        ("SELECT id FROM customers WHERE ssn = ANY ($1::text[])", b"{123-45-6789,888-11-2222}"),
        ("SELECT $1 || ssn FROM customers", b"x"),
    ):
        session.execute(sql, (value,), (1,))


def typed_by_the_client(session: RawSession) -> None:
    """Parameter types that the client names: regclass, record, text."""
    for oid in (2205, 2249, 25, 705):
        tell(
            session,
            m.Parse("", "SELECT $1, ssn FROM customers", (oid,)),
            m.Describe(m.STATEMENT, ""),
            bind("", "", (), b"payroll"),
            m.Execute(""),
            m.Sync(),
        )


def copied(session: RawSession) -> None:
    for sql in ("COPY customers TO STDOUT", "COPY (SELECT ssn FROM customers) TO STDOUT (FORMAT binary)"):
        session.execute(sql)
        session.query(sql)
    session.query("COPY orders FROM STDIN")
    session.query("SELECT ssn FROM customers; COPY customers TO STDOUT; SELECT email FROM customers")


def several_statements(session: RawSession) -> None:
    session.query(f"{SSN}; SELECT id FROM orders; SELECT email, salary FROM customers; SELECT 1/0; {SSN}")
    session.query(f"BEGIN; {SSN}; SAVEPOINT a; SELECT nosuch; ROLLBACK TO a; {SSN}; COMMIT")
    session.query("ROLLBACK")


def failed_transaction(session: RawSession) -> None:
    session.query("BEGIN")
    session.query("SELECT email::int FROM customers")
    session.query(SSN)
    session.query("ROLLBACK")
    session.query(SSN)


def names_after_rollback(session: RawSession) -> None:
    """A cursor is gone with its savepoint, a prepared statement stays when its transaction is rolled back."""
    clear = "SELECT id FROM orders"
    for sql in (
        *("BEGIN", "SAVEPOINT a", f"DECLARE c CURSOR FOR {SSN}", "ROLLBACK TO a", f"DECLARE c CURSOR FOR {clear}"),
        *("FETCH ALL FROM c", "ROLLBACK TO a", f"DECLARE c CURSOR FOR {SSN}", "FETCH 2 FROM c", "COMMIT", "FETCH c"),
        *("BEGIN", f"PREPARE p AS {clear}", "ROLLBACK", f"PREPARE p AS {SSN}", "EXECUTE p", "DEALLOCATE p"),
        *("BEGIN", f"PREPARE p AS {SSN}", "SELECT 1/0", "ROLLBACK", "EXECUTE p"),
    ):
        session.query(sql)


def settings_after_savepoint(session: RawSession) -> None:
    values = "SELECT photo, stay, seen, weight, photo || '', stay * 1, seen::text FROM persons ORDER BY id"
    for setting in ("bytea_output = escape", "IntervalStyle = sql_standard", "extra_float_digits = -15"):
        for sql in ("BEGIN", f"SET {setting}", "SAVEPOINT a", "RESET ALL", values, "ROLLBACK TO a", values, "ROLLBACK"):
            session.query(sql)
        session.query(values)


def bound_to_what_was_made_anew(session: RawSession) -> None:
    """A FETCH whose cursor, and an EXECUTE whose statement, is another one by the time it runs."""
    session.query("BEGIN")
    session.query("DECLARE c CURSOR FOR SELECT name FROM customers")
    declare = m.Parse("d", f"DECLARE c CURSOR FOR {SSN}")
    fetch = (m.Parse("f", "FETCH 1 FROM c"), bind("x", "f"))
    tell(session, *fetch, m.Close(m.PORTAL, "c"), declare, bind("", "d"), m.Execute(""), m.Execute("x"), m.Sync())
    session.query("ROLLBACK")
    session.query("PREPARE p AS SELECT name FROM customers")
    session.query("BEGIN")
    tell(session, m.Parse("e", "EXECUTE p"), bind("x", "e"), m.Sync())
    session.query("DEALLOCATE p")
    session.query(f"PREPARE p AS {SSN}")
    tell(session, m.Execute("x"), m.Sync())
    session.query("ROLLBACK")


MOVES: Final[Mapping[str, Play]] = {
    "PX-PG-02": conversation(mixed_formats),
    "PX-PG-03": conversation(prepared_in_sql),
    "PX-PG-05": conversation(cursor_as_portal),
    "PX-PG-06": conversation(portal_as_cursor),
    "PX-PG-09": conversation(describe_another),
    "PX-PG-11": conversation(skipped_to_sync),
    "PX-PG-14": conversation(function_call),
    "PX-PG-15": conversation(table_in_parameter),
    "PX-PG-17": conversation(setting_in_parameter),
    "PX-PG-19": conversation(strings_of_startup, {"options": "-c standard_conforming_strings=off"}),
    "PX-PG-20": conversation(origin_lost, {"search_path": "evil,public", "client_encoding": "LATIN1"}),
    "PX-PG-21": conversation(replication, {"replication": "database"}),
    "PX-PG-22": other_database,
    "PX-PG-23": cancel_of_another,
    "PX-PG-27": conversation(origin_lost),
    "PX-PG-28": conversation(view),
    "PX-PG-31": left_for_the_next,
    "PX-PG-36": left_for_the_next,
    "a portal in place of a cursor": conversation(portal_as_cursor_renamed),
    "a few rows at a time": conversation(partial_execute),
    "no Sync": conversation(flushed),
    "a name used again": conversation(name_used_again),
    "guesses as parameters": conversation(parameters_as_guesses),
    "parameters of the client's types": conversation(typed_by_the_client),
    "COPY": conversation(copied),
    "several statements": conversation(several_statements),
    "names after a rollback": conversation(names_after_rollback),
    "settings after a savepoint": conversation(settings_after_savepoint),
    "bound to what was made anew": conversation(bound_to_what_was_made_anew),
    "a failed transaction": conversation(failed_transaction),
    "settings at startup": conversation(
        origin_lost, {"options": "-c client_min_messages=debug5 -c log_statement=all", "DateStyle": "German"}
    ),
}
