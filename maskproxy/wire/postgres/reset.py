"""Making a used connection as good as new: one exchange with the server, between two users of it.

    (idle) --"DISCARD ALL"--> ASKED --CommandComplete "DISCARD ALL"--> DONE --ReadyForQuery I--> CLEAN

DISCARD ALL ends cursors, prepared statements, temporary tables, LISTEN, advisory locks, cached plans, sequence values
and role, and sets every setting back to what the startup message asked for ("DISCARD" in the SQL reference). It cannot
run inside of a transaction, so its success also says that none was open. It does not end what an extension or a
procedural language keeps for itself, nor hide that there once were temporary objects (pg_my_temp_schema).

Nothing but that answer is accepted, save ParameterStatus for the settings that go back. A notice, a notification or
anything behind the end was meant for the former user. ``reported`` is what the server has told of its settings by now:
in the end it must be what it told at login, as that is what the next user will be told.
"""

from collections.abc import Mapping
from enum import Enum, auto

from maskproxy.base import limits
from maskproxy.base.errors import ProtocolError
from maskproxy.wire.postgres.backend_messages import (
    IDLE,
    CommandComplete,
    ParameterStatus,
    ReadyForQuery,
    decode_backend,
)
from maskproxy.wire.postgres.framing import Frames
from maskproxy.wire.postgres.frontend_messages import Query

_COMMAND = "DISCARD ALL"

REQUEST = Query(_COMMAND).encode()


class _State(Enum):
    ASKED = auto()
    DONE = auto()
    CLEAN = auto()


class BackendReset:
    """One exchange: send ``REQUEST``, then ``receive`` until it is True. Raises ProtocolError: close the connection."""

    def __init__(self, at_login: Mapping[str, str], reported: Mapping[str, str]) -> None:
        self._at_login = dict(at_login)
        self._reported = {**at_login, **reported}
        self._frames = Frames(limits.MAX_AUTH_MESSAGE)
        self._state = _State.ASKED

    def receive(self, data: bytes) -> bool:
        """Whether the connection is as it was after its login."""
        self._frames.feed(data)
        while (frame := self._frames.take()) is not None:
            match self._state, decode_backend(*frame):
                case ((_State.ASKED | _State.DONE), ParameterStatus(name, value)):
                    self._reported[name] = value
                case _State.ASKED, CommandComplete(tag) if tag == _COMMAND:
                    self._state = _State.DONE
                case _State.DONE, ReadyForQuery(status) if status == IDLE:
                    self._state = _State.CLEAN
                case _, message:
                    raise ProtocolError(f"the server answered a reset with {type(message).__name__}")
        if self._state is not _State.CLEAN:
            return False
        if self._frames.rest():
            raise ProtocolError("the server sent something behind a reset")
        if self._reported != self._at_login:
            raise ProtocolError("a setting is not what it was at login")
        return True
