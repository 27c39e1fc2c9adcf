from maskproxy.session.kernel.numbers cimport Whole
from maskproxy.session.kernel.ops cimport Call, Output

cdef class DecimalConstant(Call):
    cdef bytes _value
    cdef bint _reads(self, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) noexcept

cdef class BinaryDecimalConstant(DecimalConstant):
    pass

cdef class DecimalMultiple(Call):
    cdef Whole _digits
    cdef long long _step
    cdef Py_ssize_t _decimals
    cdef int _nearest
    cdef Py_ssize_t _whole_digits
    cdef long long _value
    cdef Py_ssize_t _scale
    cdef int _read(self, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) noexcept
    cdef int _write(self, Output out, bint negative, long long magnitude, Py_ssize_t count) except -1

cdef class BinaryDecimalMultiple(DecimalMultiple):
    pass
