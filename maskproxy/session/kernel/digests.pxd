ctypedef int (*Update)(void* context, const void* data, size_t size) noexcept
ctypedef int (*Final)(unsigned char* digest, void* context) noexcept

cdef class Keyed:
    cdef unsigned char* digest
    cdef bytearray _digest
    cdef bytearray _inner
    cdef bytearray _outer
    cdef bytearray _work
    cdef object _inner_hash
    cdef object _outer_hash
    cdef Update _update
    cdef Final _final
    cdef int compute(self, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) except -1
