cdef class Plain:
    cdef Py_ssize_t type_at
    cdef Py_ssize_t type_end
    cdef Py_ssize_t id_at
    cdef Py_ssize_t id_end
    cdef Py_ssize_t ref_at
    cdef Py_ssize_t ref_end
    cdef bint members(self, const unsigned char* view, Py_ssize_t start, Py_ssize_t end) noexcept
    cdef object _note(self, const unsigned char* view, Py_ssize_t name, Py_ssize_t size, Py_ssize_t at, Py_ssize_t end)
