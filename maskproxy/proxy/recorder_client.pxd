cdef class RecorderClient:
    cdef object _path
    cdef double _deadline
    cdef _Line _line
    cdef public object index
    cdef Py_ssize_t _recorded
    cdef Py_ssize_t _refused
    cdef Py_ssize_t _connections

    cpdef object submit(self, bytes record, object done=*)
    cpdef object give_up(self, object waiting)

cdef class _Line:
    cdef object _loop
    cdef RecorderClient _client
    cdef object _transport
    cdef list _outgoing
    cdef bint _flushing
    cdef bint _leisure
    cdef bytearray _incoming
    cdef Py_ssize_t _submitted
    cdef Py_ssize_t _submitted_bytes
    cdef Py_ssize_t _answered
    cdef Py_ssize_t _answered_bytes
    cdef object _writes
    cdef public object waiting
    cdef readonly bint lost
    cdef readonly object end

    cpdef object send(self, bytes record, object done)
    cpdef object _flush(self)
