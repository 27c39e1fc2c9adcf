"""What Hypothesis draws for the protocol: wire text, integers of each width, every message, cuts of a byte stream."""

from collections.abc import Iterable

from hypothesis import strategies as st

from maskproxy.wire.postgres import messages as m

int16s = st.integers(-(2**15), 2**15 - 1)
int32s = st.integers(-(2**31), 2**31 - 1)
uint32s = st.integers(0, 2**32 - 1)
texts = st.binary(max_size=12).map(lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
names = texts.filter(bool)
fields = st.none() | st.binary(max_size=12)
keys = st.binary(min_size=4, max_size=256)


def tuples_of(items: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=5).map(tuple)


_columns = st.builds(m.FieldDescription, texts, uint32s, int16s, uint32s, int16s, int32s, int16s)
_reports = tuples_of(st.tuples(st.integers(1, 255).map(chr), texts))
_copies = (st.integers(0, 255), tuples_of(int16s))
_kinds = st.sampled_from([m.STATEMENT, m.PORTAL])
_empty = (m.Sync, m.Flush, m.Terminate, m.CopyDone, m.EmptyQueryResponse, m.NoData, m.ParseComplete, m.BindComplete)

BY_CLASS: dict[type[m.Message], st.SearchStrategy[m.Message]] = {
    kind: st.builds(kind, *parts)
    for kind, *parts in (
        *((kind,) for kind in (*_empty, m.CloseComplete, m.PortalSuspended)),
        (m.Query, texts),
        (m.Parse, texts, texts, tuples_of(uint32s)),
        (m.Bind, texts, texts, tuples_of(int16s), tuples_of(fields), tuples_of(int16s)),
        (m.Describe, _kinds, texts),
        (m.Close, _kinds, texts),
        (m.Execute, texts, int32s),
        (m.FunctionCall, st.binary()),
        (m.CopyData, st.binary()),
        (m.CopyFail, texts),
        (m.PasswordMessage, texts),
        (m.SASLInitialResponse, texts, fields),
        (m.SASLResponse, st.binary()),
        (m.AuthenticationOk,),
        (m.AuthenticationCleartextPassword,),
        (m.AuthenticationMD5Password, st.binary(min_size=4, max_size=4)),
        (m.AuthenticationSASL, tuples_of(names)),
        (m.AuthenticationSASLContinue, st.binary()),
        (m.AuthenticationSASLFinal, st.binary()),
        (m.ParameterStatus, texts, texts),
        (m.BackendKeyData, uint32s, keys),
        (m.ReadyForQuery, st.sampled_from([m.IDLE, m.IN_TRANSACTION, m.FAILED])),
        (m.RowDescription, tuples_of(_columns)),
        (m.ParameterDescription, tuples_of(uint32s)),
        (m.DataRow, tuples_of(fields)),
        (m.CommandComplete, texts),
        (m.ErrorResponse, _reports),
        (m.NoticeResponse, _reports),
        (m.NotificationResponse, uint32s, texts, texts),
        (m.NegotiateProtocolVersion, st.integers(0, 2**16 - 1), tuples_of(texts)),
        (m.CopyInResponse, *_copies),
        (m.CopyOutResponse, *_copies),
        (m.CopyBothResponse, *_copies),
        (m.FunctionCallResponse, fields),
    )
}


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    """Return ``data`` in pieces that end at the given offsets."""
    ends = sorted({offset % (len(data) + 1) for offset in at} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
