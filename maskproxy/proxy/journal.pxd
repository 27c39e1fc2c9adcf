cdef class SessionJournal:
    cdef public object journal
    cdef public object context
    cdef public str session
    cdef public object source
    cdef dict _open
    cdef object _templates

    cpdef object intent_of(self, Py_ssize_t number, object plan, object parameters, object done)
    cpdef object outcome(self, object action, bint lost=*)
    cpdef object outcome_of(
        self, Py_ssize_t number, Py_ssize_t rows, Py_ssize_t size, str tag, str sqlstate, object masked, bint lost=*
    )
