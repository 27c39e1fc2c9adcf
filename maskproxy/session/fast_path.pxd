from maskproxy.session.rows cimport RowMasks
from maskproxy.session.state cimport SessionState

cdef class FastPath:
    cdef SessionState _state
    cdef object _requests
    cdef object _replies
    cdef readonly bint active
    cdef object _policy
    cdef object _plan
    cdef object _prepared
    cdef tuple _bound
    cdef str _name
    cdef RowMasks _masks
    cdef tuple _shown
    cdef bint _shows_description
    cdef bint _waits
    cdef int _stage
    cdef Py_ssize_t _number
    cdef Py_ssize_t _most
    cdef Py_ssize_t _rows
    cdef Py_ssize_t _bytes
    cdef str _tag
    cdef bytes _rest

    cpdef bint offer(self, bytes data)
    cpdef bint feed(self, bytes data)
    cpdef bint recorded(self, Py_ssize_t number, bint durable)
    cpdef object leave(self)
    cdef bint _offer_query(self, bytes data)
    cdef bint _offer_bound(self, bytes data, object parse, object bind, Py_ssize_t end, bint describes)
    cdef object _parsed(self, object parse, str bound)
    cdef bint _may(self, object plan)
    cdef object _begin(self, object plan, int stage, object parameters)
    cdef Py_ssize_t _complete(self, bytes data)
    cdef bint _release(self, Py_ssize_t start)
    cdef bint _pass_on(self, bytes data, Py_ssize_t sent, Py_ssize_t offset)
    cdef bint _allows(self, Py_ssize_t size, Py_ssize_t rows)
    cdef bint _take(self, int kind, bytes data, Py_ssize_t start, Py_ssize_t end)
    cdef bint _agrees(self, bytes frame)
    cdef bint _finish(self)
    cdef object _portal(self)
    cdef object _keep_portal(self, object portal)
    cdef object _record_outcome(self)
    cdef object _hand_over_bound(self, object portal)
    cdef object _add(self, object kind, object portal)
