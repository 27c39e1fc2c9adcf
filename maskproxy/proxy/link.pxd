cdef class Link:
    cdef object _transport
    cdef bint _reading
    cdef public object tls
    cdef public bint write_paused

    cpdef object write(self, object chunks)
    cpdef object set_reading(self, bint reading)
