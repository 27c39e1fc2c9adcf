"""A model of the server's extended protocol, for sessions that are tested without one."""

from collections.abc import Mapping, Sequence

from maskproxy.wire.postgres import messages as m
from tests.support.plays import frames


class Server:
    """Answers as the protocol chapter says: one reply a request, after an error nothing up to Sync.

    ``texts``: what it knows, with the messages it answers to a simple Query but for ReadyForQuery."""

    def __init__(self, texts: Mapping[str, Sequence[bytes]]) -> None:
        self.texts = texts
        self.statements: dict[str, str] = {}
        self.portals: dict[str, str] = {}
        self.skipping = False
        self.status = b"I"

    def answer(self, data: bytes) -> bytes:
        return b"".join(self._one(frame) for _, frame in frames(data))

    def _error(self, sqlstate: str) -> bytes:
        self.skipping = True
        self.status = b"E" if self.status != b"I" else b"I"
        return m.ErrorResponse((("S", "ERROR"), ("V", "ERROR"), ("C", sqlstate), ("M", "no"))).encode()

    def _run(self, text: str) -> bytes:
        self.status = {"BEGIN": b"T", "COMMIT": b"I"}.get(text, self.status)
        return b"".join(self.texts[text])

    def _one(self, frame: bytes) -> bytes:
        kind, payload = frame[0], frame[5:]
        if kind == m.FrontendType.SYNC:
            self.skipping = False
            if self.status == b"I":
                self.portals.clear()
            return m.ReadyForQuery(self.status).encode()
        if self.skipping:
            return b""
        match kind:
            case m.FrontendType.QUERY:
                self.statements.pop("", None)
                self.portals.pop("", None)
                out = self._run(m.Query.decode(payload).sql)
                if self.status == b"I":
                    self.portals.clear()
                return out + m.ReadyForQuery(self.status).encode()
            case m.FrontendType.PARSE:
                message = m.Parse.decode(payload)
                if message.name and message.name in self.statements:
                    return self._error("42P05")
                self.statements[message.name] = message.sql
                return m.ParseComplete().encode()
            case m.FrontendType.BIND:
                bind = m.Bind.decode(payload)
                if bind.statement not in self.statements:
                    return self._error("26000")
                if bind.portal and bind.portal in self.portals:
                    return self._error("42P03")
                self.portals[bind.portal] = self.statements[bind.statement]
                return m.BindComplete().encode()
            case m.FrontendType.DESCRIBE:
                return self._describe(m.Describe.decode(payload))
            case m.FrontendType.EXECUTE:
                name = m.Execute.decode(payload).portal
                if name not in self.portals:
                    return self._error("34000")
                answer = self._run(self.portals[name])
                first = self.texts[self.portals[name]][0]
                return answer.removeprefix(first) if first[0] == m.BackendType.ROW_DESCRIPTION else answer
            case m.FrontendType.CLOSE:
                close = m.Close.decode(payload)
                (self.statements if close.kind == b"S" else self.portals).pop(close.name, None)
                return m.CloseComplete().encode()
        return b""

    def _describe(self, message: m.Describe) -> bytes:
        known = self.statements if message.kind == b"S" else self.portals
        if message.name not in known:
            return self._error("26000" if message.kind == b"S" else "34000")
        first = self.texts[known[message.name]][0]
        described = first if first[0] == m.BackendType.ROW_DESCRIPTION else m.NoData().encode()
        return (m.ParameterDescription(()).encode() if message.kind == b"S" else b"") + described
