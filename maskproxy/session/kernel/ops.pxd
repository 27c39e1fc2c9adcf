cimport cython

@cython.final
cdef class Output:
    cdef unsigned char* bytes
    cdef bytearray _buffer
    cdef readonly Py_ssize_t room
    cdef Py_ssize_t at

    cdef int reserve(self, Py_ssize_t size) except -1
    cdef int copy(self, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) except -1
    cdef int fill(self, int byte, Py_ssize_t size) except -1
    cdef int length(self, Py_ssize_t at, Py_ssize_t value) except -1
    cdef bytes taken(self)

cdef class Op:
    cdef int mask(self, Output out, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) except -1

cdef class Call(Op):
    cdef object _function
    cdef int call(self, Output out, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) except -1

cdef class Constant(Call):
    cdef bytes _value
    cdef Py_ssize_t _width

cdef class BoolConstant(Call):
    cdef bytes _false
    cdef bytes _true

cdef class TextConstant(Call):
    cdef bytes _value
    cdef int _version

cdef Py_ssize_t characters(const unsigned char* source, Py_ssize_t start, Py_ssize_t end) noexcept
cdef Py_ssize_t sequence(const unsigned char* source, Py_ssize_t start, Py_ssize_t end) noexcept
cdef Py_ssize_t stripped(const unsigned char* source, Py_ssize_t start, Py_ssize_t end) noexcept
