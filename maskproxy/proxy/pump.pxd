from maskproxy.proxy.journal cimport SessionJournal
from maskproxy.proxy.link cimport Link
from maskproxy.session.postgres cimport PostgresSession

cdef class Pump:
    cdef readonly PostgresSession session
    cdef Link _client
    cdef Link _backend
    cdef SessionJournal _journal
    cdef object _timer
    cdef object _rest
    cdef object _failed
    cdef public object on_portable
    cdef bint _timed
    cdef bint _stopped

    cpdef object client_data(self, bytes data)
    cpdef object backend_data(self, bytes data)
    cpdef object recorded(self, Py_ssize_t number, bint durable)
    cpdef object flush(self)
    cpdef object flush_to_client(self)
    cpdef object pace(self)
    cpdef object serve_by(self, Link backend)
    cdef object _act(self, object action)
