from maskproxy.session.fast_path cimport FastPath
from maskproxy.session.state cimport SessionState

cdef class PostgresSession:
    cdef readonly SessionState state
    cdef object _settings
    cdef object _requests
    cdef object _replies
    cdef public FastPath _fast
    cdef bint _backend_gone

    cpdef object client_data(self, bytes data)
    cpdef object backend_data(self, bytes data)
    cpdef object recorded(self, Py_ssize_t number, bint durable)
