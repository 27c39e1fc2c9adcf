cdef class SessionState:
    cdef public object policy
    cdef public object meter
    cdef public bytes status
    cdef public bint skipping
    cdef public bint mid_frame
    cdef public bint leaving
    cdef public bint closed
    cdef public bint quiet
    cdef public object pipeline
    cdef public object statements
    cdef public object portals
    cdef public list to_client
    cdef public list to_backend
    cdef public list actions
    cdef public Py_ssize_t intents
    cdef public dict reported
    cdef public bint schema_changed
    cdef public bint cancelling
    cdef public object holdings
    cdef public bint pinned

    cpdef Py_ssize_t next_number(self)
