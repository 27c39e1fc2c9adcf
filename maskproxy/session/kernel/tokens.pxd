from maskproxy.session.kernel.digests cimport Keyed
from maskproxy.session.kernel.ops cimport Call, Output
from maskproxy.session.kernel.numbers cimport Whole

cdef class TextToken(Call):
    cdef Keyed _keyed
    cdef bytes _before
    cdef bytes _after
    cdef bytes _letters
    cdef int _length
    cdef Py_ssize_t _pad
    cdef int _version

cdef class WholeToken(Call):
    cdef Keyed _keyed
    cdef Whole _whole
    cdef long long _largest

cdef class BytesToken(Call):
    cdef Keyed _keyed
    cdef int _binary
    cdef int _uuid
    cdef Py_ssize_t _raw(self, Output out, const unsigned char* source, Py_ssize_t start, Py_ssize_t size) except -2
