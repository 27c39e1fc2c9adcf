"""The reset of a used connection: one answer is right, whatever else a server says makes it unfit for others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskproxy.base.errors import ProtocolError
from maskproxy.wire.postgres import messages as m
from maskproxy.wire.postgres.reset import REQUEST, BackendReset

from .logins import pieces

AT_LOGIN = {"TimeZone": "UTC", "application_name": "agent", "is_superuser": "off"}
DONE = m.CommandComplete("DISCARD ALL").encode()
READY = m.ReadyForQuery(m.IDLE).encode()
ZONE_BACK = m.ParameterStatus("TimeZone", "UTC").encode()


def reset(**reported: str) -> BackendReset:
    return BackendReset(AT_LOGIN, reported)


def test_what_is_sent():
    assert m.decode_frontend(REQUEST[0], REQUEST[5:]) == m.Query("DISCARD ALL")


def test_the_right_answer():
    assert reset().receive(DONE + READY)


@given(st.none() | st.lists(st.integers(0, 60), max_size=4))
def test_settings_that_went_back(cuts: list[int] | None):
    machine = reset(TimeZone="CET")
    *first, last = pieces(ZONE_BACK + DONE + READY, cuts)
    assert not any(machine.receive(piece) for piece in first)
    assert machine.receive(last)


def test_old_servers_and_new_ones_report_before_and_behind_the_command():
    assert reset(TimeZone="CET").receive(DONE + ZONE_BACK + READY)


def test_without_an_answer_it_is_not_over():
    machine = reset()
    assert not machine.receive(DONE)
    assert not machine.receive(READY[:-1])
    assert machine.receive(READY[-1:])


@pytest.mark.parametrize(
    "reported",
    [
        pytest.param({"TimeZone": "CET"}, id="did not go back"),
        pytest.param({"is_superuser": "on"}, id="changed meanwhile"),
        pytest.param({"extension.setting": "x"}, id="was not there at login"),
    ],
)
def test_a_setting_that_is_not_what_it_was(reported: dict[str, str]):
    with pytest.raises(ProtocolError, match="setting"):
        reset(**reported).receive(DONE + READY)


def test_a_setting_that_goes_elsewhere():
    with pytest.raises(ProtocolError, match="setting"):
        reset(TimeZone="CET").receive(m.ParameterStatus("TimeZone", "EET").encode() + DONE + READY)


ERROR = m.ErrorResponse((("S", "ERROR"), ("C", "25001"), ("M", "DISCARD ALL cannot run inside a transaction block")))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ERROR.encode() + READY, id="an error"),
        pytest.param(m.NoticeResponse((("M", "hello"),)).encode() + DONE + READY, id="a notice"),
        pytest.param(DONE + m.NoticeResponse((("M", "hello"),)).encode() + READY, id="a notice behind it"),
        pytest.param(m.NotificationResponse(7, "channel", "payload").encode() + DONE + READY, id="a notification"),
        pytest.param(m.DataRow((b"value",)).encode() + DONE + READY, id="a row of the former user"),
        pytest.param(m.CommandComplete("SELECT 1").encode() + DONE + READY, id="an answer to the former user"),
        pytest.param(m.CommandComplete("DISCARD TEMP").encode() + READY, id="another command"),
        pytest.param(READY + DONE, id="ready before it is done"),
        pytest.param(DONE + DONE + READY, id="done twice"),
        pytest.param(DONE + m.ReadyForQuery(m.IN_TRANSACTION).encode(), id="in a transaction"),
        pytest.param(DONE + m.ReadyForQuery(m.FAILED).encode(), id="in a failed transaction"),
        pytest.param(DONE + READY + ZONE_BACK, id="a setting behind the end"),
        pytest.param(DONE + READY + READY, id="ready twice"),
        pytest.param(DONE + READY + b"S", id="half a message behind the end"),
        pytest.param(b"\xff\0\0\0\4", id="an unknown message"),
        pytest.param(b"C\xff\xff\xff\xff", id="a message without end"),
    ],
)
def test_a_wrong_answer(answer: bytes):
    with pytest.raises(ProtocolError):
        reset().receive(answer)


def test_errors_do_not_repeat_what_the_server_said():
    with pytest.raises(ProtocolError) as raised:
        reset().receive(m.NotificationResponse(7, "channel", "CANARY").encode())
    assert "CANARY" not in f"{raised.value!r} {raised.value.detail} {raised.value.hint}"
