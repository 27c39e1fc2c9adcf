from maskproxy.session.kernel.ops cimport Call, Output

cdef class Whole:
    cdef Py_ssize_t _width
    cdef bytearray _digits
    cdef unsigned char* digits
    cdef Py_ssize_t first
    cdef long long value
    cdef int read(self, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) noexcept
    cdef int write(self, Output out, long long value) except -1
    cdef Py_ssize_t decimal(self, long long value) noexcept

cdef class WholeConstant(Call):
    cdef bytes _value
    cdef Whole _whole

cdef class Multiple(Call):
    cdef Whole _whole
    cdef long long _step
    cdef long long _bound
    cdef int _nearest
