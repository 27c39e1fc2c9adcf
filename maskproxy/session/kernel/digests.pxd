ctypedef void (*Transform)(void* context, const unsigned char* block) noexcept

cdef class Keyed:
    cdef unsigned char* digest
    cdef bytearray _digest
    cdef bytearray _inner
    cdef bytearray _outer
    cdef bytearray _context
    cdef bytearray _block
    cdef bytearray _outer_block
    cdef bytes _prefix
    cdef object _inner_hash
    cdef object _outer_hash
    cdef Transform _transform
    cdef int compute(self, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) except -1
    cdef int _compiled(self, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) except -1
